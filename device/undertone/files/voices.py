"""A voice from recordings of it, and how far a recording is from it."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from undertone.recognition.bundle import Normalization
from undertone.recognition.cepstrum import Floats
from undertone.recognition.voice import MOST_FRAMES, Voice

FAR = 1.0
"""From this ``distance`` on, a recording is probably of another speaker or microphone.  At most 1 %
of the clips of each of 20 RAVDESS actors, 76 speakers of CREMA-D and 9 of nEMO are as far from five
others of their own (training/EXPERIMENTS.md)."""


class KnownVoice:
    """What several recordings tell of one voice, together or without one of them."""

    def __init__(self, recordings: Iterable[tuple[Path, Voice]]) -> None:
        """``recordings``: at least one, each with what is known of the voice from it alone."""
        self._alone = {_identity(path): voice for path, voice in recordings}
        self._coefficients = len(next(iter(self._alone.values())).mean)
        self._frames = sum(voice.frames for voice in self._alone.values())
        self._total: Floats = np.sum([_total(voice) for voice in self._alone.values()], axis=0)

    def alone(self, path: Path) -> Voice | None:
        """What the recording ``path`` alone tells; None if it is none of them."""
        return self._alone.get(_identity(path))

    def without(self, path: Path) -> Voice | None:
        """What all recordings but ``path`` tell; None if there is no other."""
        frames, total = self._frames, self._total
        if alone := self.alone(path):
            frames -= alone.frames
            total = total - _total(alone)
        if not frames:
            return None
        mean, bias = np.split(total / frames, [self._coefficients])
        return Voice(tuple(mean.tolist()), min(frames, MOST_FRAMES), tuple(bias.tolist()))


def distance(one: Voice, other: Voice, normalization: Normalization) -> float:
    """How far two voices are from each other, in deviations of ``normalization``.

    The root mean square over all coefficients but the first, which is the level.
    """
    differences = np.subtract(one.mean, other.mean) / np.array(normalization.deviation)
    return float(np.sqrt(np.mean(np.square(differences[1:]))))


def _total(voice: Voice) -> Floats:
    """Its mean frame and its bias, as often as it has frames."""
    return np.array([*voice.mean, *voice.bias], np.float64) * voice.frames


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for all paths of one file."""
    try:
        found = os.stat(path)  # noqa: PTH116  also for an impossible name
    except (OSError, ValueError):  # reading it says what is wrong
        return path
    return found.st_dev, found.st_ino
