"""From the windows of a segment, or of a whole file, to one verdict."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.events import Verdict

LogProbabilities = NDArray[np.float64]


def log_softmax(logits: NDArray[np.floating[Any]], temperature: float = 1.0) -> LogProbabilities:
    """Logarithm of the softmax of ``logits / temperature`` over the last axis."""
    scaled = np.asarray(logits, np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    logs: LogProbabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def combine(windows: Sequence[LogProbabilities]) -> LogProbabilities:
    """The windows' mean log-probabilities, made a distribution again; shape (labels,)."""
    return log_softmax(np.mean(windows, axis=0))


def decide(
    windows: Sequence[LogProbabilities],
    labels: Sequence[str],
    threshold: float,
    reason: str | None = None,
) -> Verdict:
    """The verdict on one or more windows; ``windows`` are their log-probabilities, (labels,) each.

    threshold: a confidence below it is ``uncertain``.
    reason: why the verdict is ``uncertain`` whatever the confidence, or None.
    """
    probabilities = np.exp(combine(windows))
    return Verdict.of(dict(zip(labels, probabilities.tolist(), strict=True)), threshold, reason)
