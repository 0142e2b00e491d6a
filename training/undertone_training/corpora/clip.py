"""A recording of a corpus, and what its name says about it."""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

import msgspec
import numpy as np

from undertone.audio.block import Samples, to_int16
from undertone.audio.resample import Resampler
from undertone.errors import AudioSourceError
from undertone.support.printable import printable
from undertone_training import object_storage

T = TypeVar("T")

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
        """The path of the recording itself, inside the archive if there is one."""
        return PurePosixPath(self.path.as_posix() if self.member is None else self.member)

    def __str__(self) -> str:
        """The path, with the member after a colon; always printable."""
        return printable(str(self.path) if self.member is None else f"{self.path}:{self.member}")

    def content(self) -> bytes:
        """The bytes of the recording as stored; raises AudioSourceError or StorageError."""
        object_storage.fetch([self.path])
        try:
            if self.member is None:
                return self.path.read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.member)
        except (FileNotFoundError, KeyError):
            raise AudioSourceError(f"{self} does not exist: scan the folder again.") from (None)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise AudioSourceError(f"{self} is damaged ({error}): download it again.") from error
        except (NotImplementedError, RuntimeError) as error:  # odd compression, encryption
            raise AudioSourceError(f"{self} can't be unpacked ({error}): unzip it.") from error
        except OSError as error:
            raise AudioSourceError(
                f"{self} can't be read ({error.strerror}): check its permissions and the disk."
            ) from error

    def read(self) -> Samples:
        """The whole recording in the device's format: int16, mono, at ``SAMPLE_RATE_HZ``.

        Channels are averaged, other sample rates are resampled. Raises AudioSourceError if it is
        missing, empty, not audio, or contains values that are not numbers.
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
            raise AudioSourceError(f"{self} contains no sound: copy or download it again.")
        if not np.isfinite(sound).all():
            raise AudioSourceError(
                f"{self} contains values that are not numbers: copy or download it again."
            )
        return Resampler(sample_rate_hz).process(to_int16(sound.mean(axis=1)), last=True)


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """One recording with its labels.

    clip_id: unique among all clips; the same in a folder, an archive or another format.
    speaker: unique within the corpus.
    emotion: one of ``undertone.emotions.EMOTIONS``.
    sex, intensity, statement, repetition: None if the corpus does not say.
    """

    corpus: str
    clip_id: str
    speaker: str
    sex: Sex | None = None
    emotion: str
    channel: Channel = "speech"
    intensity: Intensity | None = None
    statement: str | None = None
    repetition: int | None = None
    source: AudioRef


class UnusableNameError(ValueError):
    """A name from a corpus whose clip cannot be used; the message says why, without the name."""


def known(table: Mapping[str, T], code: str, unknown: str) -> T:
    """The entry of ``code``; raises UnusableNameError that says, as in "nEMO has no speaker"."""
    if code not in table:
        raise UnusableNameError(f"{unknown} {code}")
    return table[code]


@dataclass(frozen=True, slots=True)
class Corpus:
    """How the recordings of one corpus are recognised.

    pattern: of the names of its files, without their endings.
    clip: from a file and the match of its name to its clip; None if it is not of this corpus.
        Raises UnusableNameError for a name that is, but has an impossible or unwanted code.
    companions: names of the other files that the corpus is published with.
    licence: what weights that learnt from it are under; None if its terms state no licence, or
        allow no derived works, so that such weights may not be passed on.
    """

    name: str
    pattern: re.Pattern[str]
    clip: Callable[[AudioRef, re.Match[str]], Clip | None]
    companions: frozenset[str] = frozenset()
    licence: str | None = None

    def parse(self, source: AudioRef) -> Clip | None:
        """The clip with this file's name; None for another corpus, or raises UnusableNameError."""
        match = self.pattern.fullmatch(source.name.stem)
        return self.clip(source, match) if match else None
