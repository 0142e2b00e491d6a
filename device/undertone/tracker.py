"""From the logits of a segment's windows to one verdict."""

import numpy as np
from numpy.typing import NDArray

from undertone.events import UNCERTAIN, Scores, Verdict

LogProbabilities = NDArray[np.float64]


def log_softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> LogProbabilities:
    """Logarithm of the softmax of ``logits / temperature`` over the last axis."""
    scaled = np.asarray(logits, np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    logs: LogProbabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


class Tracker:
    """The running verdict on one segment: the mean of its windows' log-probabilities."""

    def __init__(self, labels: tuple[str, ...], temperature: float, threshold: float) -> None:
        """``threshold``: confidence below which the verdict is ``uncertain``."""
        self._labels = labels
        self._temperature = temperature
        self._threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Start a new segment."""
        self._sum = np.zeros(len(self._labels))
        self.windows = 0

    def add(self, logits: NDArray[np.floating]) -> None:
        """Take the logits of one window, shape (labels,)."""
        self._sum += log_softmax(logits, self._temperature)
        self.windows += 1

    def merge(self, other: "Tracker") -> None:
        """Take over the windows of another segment, for one verdict on several."""
        self._sum += other._sum
        self.windows += other.windows

    def verdict(self) -> Verdict | None:
        """The verdict on all windows so far; None before the first."""
        if not self.windows:
            return None
        probabilities = np.exp(log_softmax(self._sum / self.windows))
        scores = Scores(dict(zip(self._labels, probabilities.tolist(), strict=True)))
        certain = scores.confidence >= self._threshold
        return Verdict(scores, scores.label if certain else UNCERTAIN)
