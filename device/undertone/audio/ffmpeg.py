"""Decodes what libsndfile does not read, such as M4A, WebM and AMR, with FFmpeg's libraries.

They come with PyAV, which is in the extra ``formats`` and takes a while to import.
"""

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from undertone.errors import AudioSourceError
from undertone.support.installation import add_extra

# fmt: off
FFMPEG_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".aac", ".amr", ".asf", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov",
    ".mp4", ".webm", ".wma", ".wmv",
})
# fmt: on
"""Suffixes of the formats below; most of these files are videos, of which the sound is read."""

_DEMUXERS = "aac,amr,asf,matroska,mov"
"""Formats that are one file.  Others, such as playlists, could have FFmpeg open files and addresses
that they name."""

_STATING_LENGTH = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})
"""Formats whose headers state the length; for others FFmpeg estimates it."""

_TOLERANCE_S = 0.25
"""Encoders state the length with or without what they pad the sound with."""


_LARGEST_FRAME = 2**20
"""Samples; codecs use a few thousand, and larger ones take memory without limit."""


class DecodingError(Exception):
    """The file is truncated or damaged at this point."""


class FfmpegSound:
    """The sound of an open file, with the interface of soundfile.SoundFile that is used here.

    It has one channel, the mean of all; a change of the sample rate or the channels on the way is
    followed.  Of several audio streams, the one that FFmpeg considers the best is read.
    """

    channels = 1
    frames = 0
    """The number of frames is not known without decoding them."""
    extra_info = ""

    def __init__(self, file: IO[bytes], name: str, problem: str) -> None:
        """Open ``file``, which stays open.

        problem: what libsndfile says of the file.  Raises AudioSourceError, which calls the file
        ``name``.
        """
        try:
            import av
        except ImportError:
            raise AudioSourceError(
                f"{name} is not audio that can be read ({problem}): convert it to WAV or FLAC, or, "
                f"if it is M4A, AAC, MP4, MOV, 3GP, WebM, WMA or AMR, {add_extra('formats')}."
            ) from None
        self._errors = (av.FFmpegError, ValueError)  # some errors of FFmpeg are Python's own
        file.seek(0)
        try:
            self._container: Any = av.open(
                file, metadata_errors="replace", options={"format_whitelist": _DEMUXERS}
            )
        except self._errors:
            raise AudioSourceError(
                f"{name} is not audio that can be read ({problem}): copy it again, or convert it "
                "to WAV or FLAC, for example with ffmpeg."
            ) from None
        stream: Any = self._container.streams.best("audio")
        if stream is None or stream.codec_context is None:  # none, or of an unknown codec
            self._container.close()
            raise AudioSourceError(
                f"{name} has no audio stream that can be decoded: name a file with sound."
            )
        self.samplerate: int = stream.codec_context.sample_rate or 0
        self._stated_s = self._stated(stream)
        self._decoded = self._decode(stream)
        self._rest = np.empty((0, 1), np.float32)

    def __enter__(self) -> "FfmpegSound":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def read(self, frames: int, **_: object) -> NDArray[np.float32]:
        """The next ``frames`` frames, float32, shape (n, 1); fewer only at the end.

        Raises DecodingError where the file is damaged, once what comes before has been read.
        """
        pieces, count = [self._rest], len(self._rest)
        while count < frames:
            try:
                piece = next(self._decoded, None)
            except DecodingError:
                if not count:
                    raise
                self._decoded = _failing()
                break
            if piece is None:
                break
            pieces.append(piece)
            count += len(piece)
        sound = np.concatenate(pieces)
        self._rest = sound[frames:]
        return sound[:frames]

    def _stated(self, stream: Any) -> float:
        """The length in seconds that the header states; 0 if it states none."""
        if self._container.format.name not in _STATING_LENGTH:
            return 0.0
        if stream.duration is not None:
            return float(stream.duration * stream.time_base)
        alone = len(self._container.streams) == 1
        return (self._container.duration or 0) / 1e6 if alone else 0.0

    def _decode(self, stream: Any) -> Iterator[NDArray[np.float32]]:
        from av import AudioResampler

        layout: object = None
        converter: Any = None
        count = 0
        try:
            for frame in self._container.decode(stream):
                if frame.samples > _LARGEST_FRAME:
                    raise DecodingError
                if layout != (frame.format.name, frame.layout.name, frame.sample_rate):
                    layout = (frame.format.name, frame.layout.name, frame.sample_rate)
                    converter = AudioResampler("fltp", frame.layout, self.samplerate)
                for converted in converter.resample(frame):
                    sound = converted.to_ndarray().mean(axis=0, dtype=np.float64)
                    count += len(sound)
                    yield sound.astype(np.float32)[:, np.newaxis]
        except self._errors as error:
            raise DecodingError from error
        if count < (self._stated_s - _TOLERANCE_S) * self.samplerate:
            raise DecodingError


def _failing() -> Iterator[NDArray[np.float32]]:
    raise DecodingError
    yield
