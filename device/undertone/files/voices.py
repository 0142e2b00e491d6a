"""A voice from recordings of it, and how far a recording is from it."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from undertone.recognition.bundle import Normalization
from undertone.recognition.voice import Voice, together

FAR = 1.0
"""From this ``distance`` on, a recording is probably of another speaker or microphone.  At most 1 %
of the clips of each of 20 RAVDESS actors, 76 speakers of CREMA-D and 9 of nEMO are as far from five
others of their own (training/EXPERIMENTS.md)."""


class KnownVoice:
    """What several recordings tell of one voice, together or without one of them."""

    def __init__(self, recordings: Iterable[tuple[Path, Voice]]) -> None:
        """``recordings``: at least one, each with what is known of the voice from it alone."""
        self._alone = {_identity(path): voice for path, voice in recordings}
        self._all = together(list(self._alone.values()))

    def alone(self, path: Path) -> Voice | None:
        """What the recording ``path`` alone tells; None if it is none of them."""
        return self._alone.get(_identity(path))

    def without(self, path: Path) -> Voice | None:
        """What all recordings but ``path`` tell; None if there is no other."""
        own = _identity(path)
        if own not in self._alone:
            return self._all
        return together([voice for other, voice in self._alone.items() if other != own])


def distance(one: Voice, other: Voice, normalization: Normalization) -> float:
    """How far two voices are from each other, in deviations of ``normalization``.

    The root mean square over all coefficients but the first, which is the level.
    """
    differences = np.subtract(one.mean, other.mean) / np.array(normalization.deviation)
    return float(np.sqrt(np.mean(np.square(differences[1:]))))


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for all paths of one file."""
    try:
        found = os.stat(path)  # noqa: PTH116  also for an impossible name
    except (OSError, ValueError):  # reading it says what is wrong
        return path
    return found.st_dev, found.st_ino
