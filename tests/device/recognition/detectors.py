"""Speech detectors for tests of the gate: they answer by a rule instead of a network."""

from collections.abc import Callable, Iterable

import numpy as np

from undertone.recognition.mfcc import Frames
from undertone.recognition.speech_detector import Probabilities


class FakeDetector:
    """Answers for each frame by ``rule``, like a network with these ``ahead`` and ``piece``."""

    def __init__(self, rule: Callable[[Frames], float], ahead: int = 0, piece: int = 1) -> None:
        self.ahead = ahead + piece - 1
        self.asked = 0
        """Frames that it was given."""
        self._rule = rule
        self._needed = ahead
        self._piece = piece
        self.reset()

    def reset(self) -> None:
        self._waiting: list[Frames] = []

    def push(self, frames: Frames) -> Probabilities:
        self.asked += len(frames)
        self._waiting += list(frames)
        count = max(0, len(self._waiting) - self._needed) // self._piece * self._piece
        answered, self._waiting = self._waiting[:count], self._waiting[count:]
        return np.array([self._rule(frame) for frame in answered])


def always(frame: Frames) -> float:
    """Everything is speech."""
    return 1.0


def never(frame: Frames) -> float:
    """Nothing is speech."""
    return 0.0


def louder_than(energy: float) -> Callable[[Frames], float]:
    """Speech is every frame whose coefficient 0 (the logarithm of its energy) is larger."""
    return lambda frame: float(frame[0] > energy)


if_loud = louder_than(15)
"""White noise of about -50 dBFS has as much."""


def script(answers: Iterable[float]) -> Callable[[Frames], float]:
    """One answer after the other, whatever the frames are; after the last, no speech."""
    left = iter(answers)
    return lambda frame: next(left, 0.0)
