"""From the windows of a segment, or of a whole file, to one verdict."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.emotions import HIGH_ACTIVATION, LOW_ACTIVATION
from undertone.events import Verdict
from undertone.recognition.bundle import Activation

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
    scale: Activation | None = None,
    without_verdict: Sequence[str] = (),
) -> Verdict:
    """The verdict on one or more windows; ``windows`` are their log-probabilities, (labels,) each.

    threshold: a confidence below it is ``uncertain``.
    reason: why the verdict is ``uncertain`` whatever the confidence, or None.
    scale: the bundle's; None as if its probabilities were right.
    without_verdict: labels that are ``uncertain`` whatever the confidence.
    """
    logs = combine(windows)
    scores = dict(zip(labels, np.exp(logs).tolist(), strict=True))
    activation = activation_of(logs, labels, scale or Activation())
    return Verdict.of(scores, threshold, reason, activation, without_verdict)


def activation_of(logs: LogProbabilities, labels: Sequence[str], scale: Activation) -> float | None:
    """How excited a voice is, from 0 to 1; None without labels of both sides.

    logs: of the labels, shape (labels,).
    """
    odds = log_odds(logs, labels)
    if odds is None:
        return None
    # the logistic function, which exp() would let overflow
    return 0.5 + 0.5 * math.tanh((scale.scale * odds + scale.offset) / 2)


def log_odds(logs: LogProbabilities, labels: Sequence[str]) -> float | None:
    """The logarithm of the ratio of the probabilities of an excited voice and of a quiet one."""
    high, low = (
        [logs[index] for index, label in enumerate(labels) if label in group]
        for group in (HIGH_ACTIVATION, LOW_ACTIVATION)
    )
    if not (high and low):
        return None
    return float(np.logaddexp.reduce(high) - np.logaddexp.reduce(low))
