"""Sound from files, in constant memory however long it is."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples, to_int16
from undertone.audio.resample import Resampler
from undertone.errors import AudioSourceError, RuntimeMissingError
from undertone.support.native_output import mute_c_stderr

# fmt: off
AUDIO_SUFFIXES = frozenset({
    ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus",
    ".rf64", ".snd", ".voc", ".w64", ".wav", ".wave",
})
# fmt: on
"""ShutdownSignals by which a folder's audio files are known.

libsndfile reads a few more kinds, but their endings (``.mat``, ``.raw``) mean other things too.
"""

# A rate or a number of channels outside these is a damaged header, and could fill the memory.
LOWEST_RATE_HZ = 2_000
HIGHEST_RATE_HZ = 768_000
MOST_CHANNELS = 64

_log = logging.getLogger(__name__)


def read_blocks(path: str | Path, block_s: float = 0.1) -> Iterator[Block]:
    """The sound of a file as mono Blocks of about ``block_s`` seconds, timed from its start.

    Any format, rate, width and number of channels that libsndfile reads; channels are
    averaged.  A file that is cut off or damaged on the way is read to that point, and a
    warning is logged.

    Raises AudioSourceError, with the file named, where it is missing, empty, not audio or may
    not be read, or holds values that are not numbers.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            yield from read_sound(file, str(path), block_s)
    except FileNotFoundError:
        raise AudioSourceError(
            f"{path} does not exist (any more): check the name and the folder."
        ) from None
    except PermissionError:
        raise AudioSourceError(
            f"{path} may not be read by this user: give it the permission with chmod +r."
        ) from None
    except IsADirectoryError:
        raise AudioSourceError(
            f"The folder {path} holds no audio file that can be read: name a folder with "
            f"files such as .wav, .flac, .ogg or .mp3."
        ) from None
    except OSError as error:
        raise AudioSourceError(
            f"{path} can't be read ({error.strerror or error}): check the disk that it is on."
        ) from error


def read_sound(file: IO[bytes], name: str, block_s: float = 0.1) -> Iterator[Block]:
    """As :func:`read_blocks`, of an open file that errors call ``name``.

    It is read through its descriptor, by libsndfile itself, and stays open.
    """
    soundfile = _soundfile()
    if not os.fstat(file.fileno()).st_size:
        raise AudioSourceError(f"{name} is empty: record it or copy it again.")
    try:
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError as error:
        raise AudioSourceError(
            f"{name} is not audio that can be read ({error.error_string.rstrip('.')}): "
            f"convert it to WAV or FLAC, for example with ffmpeg."
        ) from error
    with sound:
        if not LOWEST_RATE_HZ <= sound.samplerate <= HIGHEST_RATE_HZ:
            raise AudioSourceError(
                f"{name} claims a sample rate of {sound.samplerate} Hz, so that its header must "
                f"be damaged: record it or copy it again."
            )
        if sound.channels > MOST_CHANNELS:
            raise AudioSourceError(
                f"{name} claims {sound.channels} channels, so that its header must be damaged: "
                f"record it or copy it again."
            )
        pieces = _pieces(name, sound, max(1, round(sound.samplerate * block_s)))
        empty = True
        for block in _resampled(pieces, sound.samplerate):
            empty = False
            yield block
        if empty:
            raise AudioSourceError(f"{name} holds no sound: record it or copy it again.")


def find_audio_files(paths: Iterable[str | Path]) -> list[Path]:
    """The audio files that ``paths`` name, in their order; folders are walked, sorted by name.

    A path that is no folder is always taken.  A folder that has no audio file, or can't be
    entered, stands in the list itself, so that reading it tells what is wrong with it and
    the others are still read.  Hidden files and links to folders are left out.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        found.extend((_walk(path) or [path]) if path.is_dir() else [path])
    return found


def _walk(folder: Path) -> list[Path]:
    found: list[Path] = []
    closed: list[OSError] = []
    for parent, _, names in os.walk(folder, onerror=closed.append):
        found += [
            Path(parent, name)
            for name in names
            if Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".")
        ]
    return sorted(found + [Path(error.filename) for error in closed])


def _soundfile() -> Any:
    mute_c_stderr()  # libmpg123 comments on every damaged frame
    try:
        import soundfile
    except OSError:  # its wheels bring libsndfile, but not for every machine
        raise RuntimeMissingError(
            "libsndfile, which reads audio files, is missing: run sudo apt install libsndfile1."
        ) from None
    return soundfile


def _pieces(name: str, sound: Any, frames: int) -> Iterator[Samples]:
    """Mono pieces of ``frames`` samples at the file's own rate; warns where the file ends early."""
    read = 0
    cut = "(should be" in sound.extra_info  # a header that promises more than there is
    while True:
        try:
            piece = sound.read(frames, dtype="float32", always_2d=True)
        except _soundfile().LibsndfileError:
            cut = True
            break
        if not len(piece):
            break
        if not np.isfinite(piece).all():
            raise AudioSourceError(
                f"{name} holds values that are not numbers (NaN or infinite) after "
                f"{read / sound.samplerate:.1f} s: write it again from a sound source."
            )
        read += len(piece)
        yield to_int16(piece.mean(axis=1, dtype=np.float64))
    if read and (cut or read < sound.frames):
        _log.warning(
            "%s is cut off or damaged after %.1f s: what comes before is used.",
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
