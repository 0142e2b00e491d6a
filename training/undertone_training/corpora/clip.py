"""A recording of a corpus and what its name tells about it."""

import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from undertone.audio.block import Samples, to_int16
from undertone.audio.resample import Resampler
from undertone.errors import AudioSourceError
from undertone.support.printable import printable

Sex = Literal["male", "female"]
Channel = Literal["speech", "song"]
Intensity = Literal["normal", "strong"]


@dataclass(frozen=True, slots=True)
class AudioRef:
    """Where a recording is: a file, or a member of a zip archive."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> PurePosixPath:
        """The recording's own path, inside the archive where there is one."""
        return PurePosixPath(self.path.as_posix() if self.member is None else self.member)

    def __str__(self) -> str:
        """The path, and the member after a colon; always printable."""
        return printable(str(self.path) if self.member is None else f"{self.path}:{self.member}")

    def content(self) -> bytes:
        """The bytes of the recording as stored; raises AudioSourceError."""
        try:
            if self.member is None:
                return self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.member)
        except (FileNotFoundError, KeyError):
            raise AudioSourceError(f"{self} is not there (any more): scan the folder again.") from (
                None
            )
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise AudioSourceError(f"{self} is damaged ({error}): download it again.") from error
        except (NotImplementedError, RuntimeError) as error:  # odd compression, encryption
            raise AudioSourceError(f"{self} can't be unpacked ({error}): unzip it.") from error
        except OSError as error:
            raise AudioSourceError(
                f"{self} can't be read ({error.strerror}): check its permissions and the disk."
            ) from error

    def read(self) -> Samples:
        """The whole recording as the device hears it: int16, mono, at ``SAMPLE_RATE_HZ``.

        Channels are averaged, other rates resampled.  Raises AudioSourceError where it is
        missing, empty, not audio, or holds values that are not numbers.
        """
        import soundfile

        try:
            sound, sample_rate_hz = soundfile.read(
                io.BytesIO(self.content()), dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise AudioSourceError(
                f"{self} is not audio that can be read ({error.error_string.rstrip('.')}): "
                f"copy or download it again."
            ) from error
        if not len(sound):
            raise AudioSourceError(f"{self} holds no sound: copy or download it again.")
        if not np.isfinite(sound).all():
            raise AudioSourceError(
                f"{self} holds values that are not numbers: copy or download it again."
            )
        return Resampler(sample_rate_hz).process(to_int16(sound.mean(axis=1)), last=True)


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording with its labels.

    clip_id: unique among all clips, the same in a folder, an archive or another format.
    speaker: unique within the corpus.
    emotion: one of ``undertone.emotions.EMOTIONS``.
    sex, intensity, statement, repetition: None where the corpus has none.
    """

    corpus: str
    clip_id: str
    speaker: str
    sex: Sex | None
    emotion: str
    channel: Channel
    intensity: Intensity | None
    statement: str | None
    repetition: int | None
    source: AudioRef


class UnusableNameError(ValueError):
    """A name of a corpus whose clip can't be used, and why, in a few words without the name."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """How the recordings of one corpus are known.

    parse: the clip that a name tells of; None for a name that is not of this corpus.  Raises
        UnusableNameError for one that is, but has an impossible or unwanted code.
    companions: names of the other files that the corpus is published with.
    """

    name: str
    parse: Callable[[AudioRef], Clip | None]
    companions: frozenset[str] = frozenset()
