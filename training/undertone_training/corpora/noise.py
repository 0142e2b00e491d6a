"""Recordings of rooms and streets: some to train with, others to test in."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from undertone.audio.files import AUDIO_SUFFIXES

FOLDER = "noise"
"""Where the recordings lie, in the folder of the corpora."""


@dataclass(frozen=True)
class NoiseRecordings:
    """Files of noise, and a digest of their content for the cache of what was made with them."""

    files: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the files' content, in their order."""
        whole = hashlib.sha256()
        for file in self.files:
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()


def for_training(data: Path) -> NoiseRecordings:
    """Every other recording in ``FOLDER`` below ``data``; none where it has none."""
    return NoiseRecordings(tuple(_recordings(data)[::2]))


def for_testing(data: Path) -> NoiseRecordings:
    """The other half: noise that no training has heard."""
    return NoiseRecordings(tuple(_recordings(data)[1::2]))


def every(data: Path) -> tuple[Path, ...]:
    """All of them: for what no training can fit, such as the speech gate."""
    return tuple(_recordings(data))


def _recordings(data: Path) -> Sequence[Path]:
    folder = data / FOLDER
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.suffix.lower() in AUDIO_SUFFIXES)
