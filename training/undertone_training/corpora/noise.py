"""Recordings of room and street noise, half for training and half for tests."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from undertone.audio.files import AUDIO_SUFFIXES

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
        for file in self.files:
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()


def for_training(data: Path) -> NoiseRecordings:
    """Every other recording in ``FOLDER`` below ``data``; none if there is no such folder."""
    return NoiseRecordings(tuple(_recordings(data)[::2]))


def for_testing(data: Path) -> NoiseRecordings:
    """The other half, which is not used for training."""
    return NoiseRecordings(tuple(_recordings(data)[1::2]))


def every(data: Path) -> tuple[Path, ...]:
    """All recordings, for testing what is not trained, such as the speech gate."""
    return tuple(_recordings(data))


def _recordings(data: Path) -> Sequence[Path]:
    folder = data / FOLDER
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.suffix.lower() in AUDIO_SUFFIXES)
