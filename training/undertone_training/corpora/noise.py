"""Recordings of room and street noise; one kind of noise is kept for tests.

The kind of a recording is its name without an underscore and a number at its end: ``street_0.flac``
is of the kind street.  Figures in noise would say little if training had heard the same kind.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from undertone.audio.files import AUDIO_SUFFIXES
from undertone_training import object_storage

FOLDER = "noise"
"""The folder of the recordings, inside the folder of the corpora."""


@dataclass(frozen=True)
class NoiseRecordings:
    """Files of noise, and a digest of their content as part of a cache's key."""

    files: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the files' content, in their order."""
        whole = hashlib.sha256()
        object_storage.fetch(self.files)
        for file in self.files:
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()


def for_training(data: Path) -> NoiseRecordings:
    """The recordings in ``FOLDER`` below ``data`` that are not for testing."""
    tested = for_testing(data).files
    return NoiseRecordings(tuple(file for file in every(data) if file not in tested))


def for_testing(data: Path) -> NoiseRecordings:
    """Those of the last kind by name, which is not used for training; none if there is one kind."""
    files = every(data)
    kinds = sorted({kind(file) for file in files})
    return NoiseRecordings(tuple(file for file in files if kind(file) in kinds[1:][-1:]))


def kind(file: Path) -> str:
    """What the recording is of: its name without its number."""
    return re.sub(r"_[0-9]+$", "", file.stem)


def every(data: Path) -> tuple[Path, ...]:
    """All recordings, for testing what is not trained, such as the speech gate."""
    folder = data / FOLDER
    object_storage.expect(folder)
    files = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(file for file in files if file.suffix.lower() in AUDIO_SUFFIXES))
