"""Reads sound from files of any length in constant memory."""

import logging
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples, to_int16
from undertone.audio.ffmpeg import FFMPEG_SUFFIXES, DecodingError, FfmpegSound
from undertone.audio.resample import Resampler
from undertone.errors import AudioSourceError, RuntimeMissingError
from undertone.support.native_output import mute_c_stderr

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus",
    ".rf64", ".snd", ".voc", ".w64", ".wav", ".wave",
})
# fmt: on
"""Suffixes of the audio files that libsndfile reads.

It reads a few more, but their suffixes (``.mat``, ``.raw``) have other meanings too.
"""

FILE_SUFFIXES = AUDIO_SUFFIXES | FFMPEG_SUFFIXES
"""Suffixes that identify the files with sound in a folder, whether PyAV is installed or not."""

# A rate or channel count outside these means a damaged header, and could exhaust the memory.
LOWEST_RATE_HZ = 2_000
HIGHEST_RATE_HZ = 768_000
MOST_CHANNELS = 64
_UNKNOWN_FRAMES = 2**63 - 1  # what libsndfile reports for a streamed FLAC

_STATED_AND_FOUND_SIZES = re.compile(
    r"^ *(?:RIFF|RIFX|riff|Riff size|data|FORM|SSND|BODY|Data Size) *: (\d+) \(should be (\d+)\)",
    re.MULTILINE,
)
"""What libsndfile logs for a file that is shorter than its header states.  It logs the same for
byte rates, which ADPCM encoders round differently and which are not damage."""

_log = logging.getLogger(__name__)


def read_blocks(path: str | Path, block_s: float = 0.1) -> Iterator[Block]:
    """The sound of a file as mono Blocks of about ``block_s`` seconds, timed from its start.

    Any format, rate, sample width and number of channels that libsndfile reads, and with PyAV
    those of :mod:`undertone.audio.ffmpeg`; channels are averaged.  A file that is truncated or
    damaged is read up to that point, and a warning is logged.

    Raises AudioSourceError, naming the file, if it is missing, empty, not audio, a pipe or not
    readable, or contains values that are not numbers.
    """
    with _open(path) as file:
        yield from read_sound(file, str(path), block_s)


def length_s(path: str | Path) -> float:
    """The length of a file in seconds, from its header, or counted if the header does not say.

    Raises AudioSourceError as :func:`read_blocks` does.
    """
    with _open(path) as file, _opened(file, str(path)) as sound:
        if 0 < sound.frames < _UNKNOWN_FRAMES:
            length: float = sound.frames / sound.samplerate
            return length
    return sum(block.duration_s for block in read_blocks(path))


@contextmanager
def _open(path: str | Path) -> Iterator[BinaryIO]:
    """The open file at ``path``; an OSError becomes an AudioSourceError."""
    path = Path(path)
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # opening a pipe could block forever
            raise AudioSourceError(
                f"{path} is a pipe or a device, not a file: send its sound to "
                f"`undertone listen --source -`."
            )
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise AudioSourceError(f"{path} does not exist: check the name and the folder.") from None
    except PermissionError:
        raise AudioSourceError(
            f"{path} may not be read by this user: allow it with chmod +r."
        ) from None
    except IsADirectoryError:
        raise AudioSourceError(
            f"The folder {path} contains no readable audio file: name a folder with "
            f"files such as .wav, .flac, .ogg or .mp3."
        ) from None
    except OSError as error:
        raise AudioSourceError(
            f"{path} can't be read ({error.strerror or error}): check the disk that it is on."
        ) from error


def read_sound(file: IO[bytes], name: str, block_s: float = 0.1) -> Iterator[Block]:
    """Like :func:`read_blocks`, for an open file that is called ``name`` in errors.

    libsndfile reads it through its descriptor, so it must have one; it stays open.
    """
    with _opened(file, name) as sound:
        pieces = _pieces(name, sound, max(1, round(sound.samplerate * block_s)))
        empty = True
        for block in _resampled(pieces, sound.samplerate):
            empty = False
            yield block
        if empty:
            raise AudioSourceError(f"{name} contains no sound: record it or copy it again.")


@contextmanager
def _opened(file: IO[bytes], name: str) -> Iterator[Any]:
    """The SoundFile, or FfmpegSound, of an open file with a plausible header."""
    soundfile = _soundfile()
    if not os.fstat(file.fileno()).st_size:
        raise AudioSourceError(f"{name} is empty: record it or copy it again.")
    try:
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError as error:
        sound = FfmpegSound(file, name, error.error_string.rstrip("."))
    with sound:
        if not LOWEST_RATE_HZ <= sound.samplerate <= HIGHEST_RATE_HZ:
            raise AudioSourceError(
                f"{name} claims a sample rate of {sound.samplerate} Hz, so its header must be "
                f"damaged: record it or copy it again."
            )
        if sound.channels > MOST_CHANNELS:
            raise AudioSourceError(
                f"{name} claims {sound.channels} channels, so its header must be damaged: "
                f"record it or copy it again."
            )
        yield sound


def find_audio_files(paths: Iterable[str | Path]) -> tuple[list[Path], Counter[str]]:
    """The audio files in ``paths``, in their order; folders are searched recursively, by name.

    Also the number of other files in the folders, by lower-case suffix.

    A path that is not a folder is always included.  A folder that contains no audio file, or
    can't be entered, is itself in the list, so that reading it reports what is wrong while the
    other files are still read.  Hidden files and links to folders are left out.
    """
    found: list[Path] = []
    others: Counter[str] = Counter()
    for path in map(Path, paths):
        found.extend(_walk(path, others) or [path])
    return found, others


def _walk(folder: Path, others: Counter[str]) -> list[Path]:
    found: list[Path] = []
    closed: list[OSError] = []  # also if ``folder`` is not a folder
    for parent, _, names in os.walk(folder, onerror=closed.append):
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            suffix = path.suffix.lower()
            if suffix in FILE_SUFFIXES:
                found.append(path)
            else:
                others[suffix] += 1
    return sorted(found + [Path(error.filename) for error in closed])


def _soundfile() -> Any:
    mute_c_stderr()  # libmpg123 comments on every damaged frame
    try:
        import soundfile
    except OSError:  # its wheels include libsndfile, but not for every machine
        raise RuntimeMissingError(
            "libsndfile, which reads audio files, is missing: run sudo apt install libsndfile1."
        ) from None
    return soundfile


def _pieces(name: str, sound: Any, frames: int) -> Iterator[Samples]:
    """Mono pieces of ``frames`` samples at the file's own rate; warns if the file ends early."""
    read = 0
    cut = any(
        int(stated) > int(found)
        for stated, found in _STATED_AND_FOUND_SIZES.findall(sound.extra_info)
    )
    while True:
        try:
            piece = sound.read(frames, dtype="float32", always_2d=True)
        except (_soundfile().LibsndfileError, DecodingError):
            cut = True
            break
        if not len(piece):
            break
        if not np.isfinite(piece).all():
            raise AudioSourceError(
                f"{name} contains values that are not numbers (NaN or infinite) after "
                f"{read / sound.samplerate:.1f} s: create the file again."
            )
        read += len(piece)
        yield to_int16(piece.mean(axis=1, dtype=np.float64))
    if read and (cut or read < sound.frames):
        _log.warning(
            "%s is truncated or damaged after %.1f s: the part before that is used.",
            name,
            read / sound.samplerate,
        )


def _resampled(pieces: Iterable[Samples], sample_rate_hz: int) -> Iterator[Block]:
    resampler = Resampler(sample_rate_hz)
    given = 0

    def outputs() -> Iterator[Samples]:
        for piece in pieces:
            yield resampler.process(piece)
        yield resampler.process(np.empty(0, np.int16), last=True)

    for samples in outputs():
        if len(samples):
            yield Block(samples, given / SAMPLE_RATE_HZ)
            given += len(samples)
