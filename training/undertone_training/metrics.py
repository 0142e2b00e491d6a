"""Computes figures from predictions: the only module that measures the quality of a model.

Plain arrays in, frozen values out; no model and no file format.  "Verdict" and "confidence" mean
the same as on the device: the most probable label, unless its probability is below a threshold, and
this probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn import metrics

from undertone.emotions import HIGH_ACTIVATION, LOW_ACTIVATION
from undertone.recognition.bundle import Activation
from undertone.recognition.decision import log_odds, log_softmax
from undertone.support.strict import Strict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

CALIBRATION_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""

_LOWEST_TEMPERATURE, _HIGHEST_TEMPERATURE = 0.05, 20.0


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of one model for some clips.

    clip_ids, speakers: one name per clip.
    truth: index into ``labels``, int64, shape (clips,).
    probabilities: float64, shape (clips, labels); each row sums to 1.
    Raises ValueError if these are inconsistent.
    """

    clip_ids: tuple[str, ...]
    speakers: tuple[str, ...]
    truth: Ints
    probabilities: Floats
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the shapes and values."""
        n, classes = len(self.clip_ids), len(self.labels)
        if not n:
            raise ValueError("there are no predictions")
        if len(set(self.clip_ids)) != n:
            raise ValueError("clip_ids must differ: there is one prediction per clip")
        if len(self.speakers) != n or self.truth.shape != (n,):
            raise ValueError(f"speakers and truth must have one entry for each of the {n} clips")
        if self.probabilities.shape != (n, classes):
            raise ValueError(f"probabilities must have the shape ({n}, {classes})")
        if self.truth.min() < 0 or self.truth.max() >= classes:
            raise ValueError(f"truth must be from 0 to {classes - 1}")
        in_range = (self.probabilities >= 0) & (self.probabilities <= 1 + 1e-9)  # False for NaN
        if not in_range.all() or not np.allclose(self.probabilities.sum(axis=1), 1, atol=1e-4):
            raise ValueError("probabilities must be from 0 to 1 and sum to 1 in each row")

    @property
    def predicted(self) -> Ints:
        """Index of each clip's most probable label, shape (clips,)."""
        highest: Ints = self.probabilities.argmax(axis=1)
        return highest

    @property
    def confidence(self) -> Floats:
        """Probability of the most probable label, shape (clips,)."""
        highest: Floats = np.minimum(self.probabilities.max(axis=1), 1.0)
        return highest

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the most probable label is the true one, shape (clips,)."""
        same: NDArray[np.bool_] = self.predicted == self.truth
        return same

    def with_verdict(
        self, threshold: float, without_verdict: Sequence[str] = ()
    ) -> NDArray[np.bool_]:
        """Whether each clip gets a verdict, as ``undertone.events.Verdict.of`` decides."""
        without = [self.labels.index(label) for label in without_verdict]
        given: NDArray[np.bool_] = (self.confidence >= threshold) & ~np.isin(
            self.predicted, without
        )
        return given

    def at_temperature(self, temperature: float) -> Self:
        """The predictions with logits divided by ``temperature``; these are at 1.

        It does not matter whether the windows' log-probabilities are averaged before or after.
        """
        probabilities = np.exp(log_softmax(np.log(self.probabilities), temperature))
        return replace(self, probabilities=probabilities)

    @classmethod
    def concatenate(cls, parts: Sequence["Predictions"]) -> Self:
        """Combine folds of one protocol; raises ValueError for repeated clips.

        The labels are those of any part: see ``over_all_labels``.
        """
        if not parts:
            raise ValueError("there are no predictions to combine")
        parts = over_all_labels(parts)
        return cls(
            clip_ids=tuple(name for part in parts for name in part.clip_ids),
            speakers=tuple(name for part in parts for name in part.speakers),
            truth=np.concatenate([part.truth for part in parts]),
            probabilities=np.concatenate([part.probabilities for part in parts]),
            labels=parts[0].labels,
        )


def over_all_labels(parts: Sequence[Predictions]) -> list[Predictions]:
    """The parts with the labels of all: one that a part lacks is as improbable as can be there.

    So it is with folds whose training lacked an emotion.  First the labels of the part with most.
    """
    most_first = sorted(parts, key=lambda part: -len(part.labels))
    labels = tuple(dict.fromkeys(label for part in most_first for label in part.labels))
    found = []
    for part in parts:
        places = np.array([labels.index(label) for label in part.labels])
        probabilities = np.full((len(part.truth), len(labels)), np.finfo(float).tiny)
        probabilities[:, places] = part.probabilities
        found.append(
            replace(part, truth=places[part.truth], probabilities=probabilities, labels=labels)
        )
    return found


def missed(true_class: int, n_labels: int) -> Floats:
    """The probabilities of a clip in which no speech was detected, shape (labels,).

    It counts as wrong: its true emotion has probability 0, all others the same.
    """
    row: Floats = (np.arange(n_labels) != true_class) / (n_labels - 1)
    return row


class ClassFigures(Strict, frozen=True):
    """Figures of one class; None for a class without clips."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class Figures(Strict, frozen=True):
    """All figures of one model under one protocol; shares are from 0 to 1.

    uar: unweighted average recall (macro recall).
    uar_interval95, accuracy_interval95: None if there is only one speaker.
    ece: expected calibration error.
    confusion: number of clips, true label by row, most probable label by column.
    absent: labels without clips, left out of ``uar`` and ``macro_f1``.
    """

    n_clips: int
    n_speakers: int
    uar: float
    accuracy: float
    macro_f1: float
    uar_interval95: Interval | None
    accuracy_interval95: Interval | None
    ece: float
    per_class: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    absent: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the confusion matrix."""
        return tuple(row.label for row in self.per_class)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values: dictionaries, lists, numbers, strings and None."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


def figures(predictions: Predictions, seed: int = 0, resamples: int = 2000) -> Figures:
    """All figures of these predictions; ``seed`` and ``resamples`` are for the bootstrap."""
    truth, predicted, labels = predictions.truth, predictions.predicted, predictions.labels
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(len(labels)), zero_division=0
    )
    present = support > 0
    columns = (labels, precision.tolist(), recall.tolist(), f1.tolist(), support.tolist())
    per_class = tuple(
        ClassFigures(label, p, r, f, int(n)) if n else ClassFigures(label, None, None, None, 0)
        for label, p, r, f, n in zip(*columns, strict=True)
    )
    by_speaker = _confusion_by_speaker(predictions)
    uar_interval, accuracy_interval = _intervals(by_speaker, seed, resamples)
    return Figures(
        n_clips=len(truth),
        n_speakers=len(by_speaker),
        uar=float(recall[present].mean()),
        accuracy=float(metrics.accuracy_score(truth, predicted)),
        macro_f1=float(f1[present].mean()),
        uar_interval95=uar_interval,
        accuracy_interval95=accuracy_interval,
        ece=expected_calibration_error(predictions),
        per_class=per_class,
        confusion=tuple(tuple(row) for row in by_speaker.sum(axis=0).tolist()),
        absent=tuple(row.label for row in per_class if not row.support),
    )


@dataclass(frozen=True, eq=False)
class Reliability:
    """Clips by confidence in ``CALIBRATION_BINS`` equal bins; each array of shape (bins,).

    edges: shape (bins + 1,).  confidence, accuracy: means over the bin's clips, 0 where
    ``count`` is 0.
    """

    edges: Floats
    count: Ints
    confidence: Floats
    accuracy: Floats


def reliability(predictions: Predictions) -> Reliability:
    """Accuracy by confidence; a bin includes its upper edge."""
    bins = CALIBRATION_BINS
    confidence = predictions.confidence
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    filled = np.maximum(count, 1)
    return Reliability(
        edges=np.linspace(0, 1, bins + 1),
        count=count,
        confidence=np.bincount(index, confidence, bins) / filled,
        accuracy=np.bincount(index, predictions.correct, bins) / filled,
    )


def expected_calibration_error(predictions: Predictions) -> float:
    """Mean distance between confidence and accuracy, weighted by clips (Guo et al. 2017)."""
    bins = reliability(predictions)
    return float(np.average(np.abs(bins.confidence - bins.accuracy), weights=bins.count))


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Coverage and accuracy at each confidence threshold; arrays of one length, in its order.

    coverage: share of clips with a verdict, see ``Predictions.with_verdict``.
    accuracy: share of these verdicts that are correct.
    """

    threshold: Floats
    coverage: Floats
    accuracy: Floats


def coverage_curve(
    predictions: Predictions, weights: Floats | None = None, without_verdict: Sequence[str] = ()
) -> CoverageCurve:
    """One point for each confidence that occurs; the first has all verdicts that there can be.

    weights: how much each clip counts, shape (clips,); None for all alike.
    without_verdict: labels that never get a verdict; their confidences are no points.
    """
    if weights is None:
        weights = np.ones(len(predictions.truth))
    possible = np.flatnonzero(predictions.with_verdict(0.0, without_verdict))
    order = possible[np.argsort(predictions.confidence[possible])]
    confidence, correct = predictions.confidence[order], predictions.correct[order]
    counted = weights[order]
    threshold, first = np.unique(confidence, return_index=True)
    left, right = (each[::-1].cumsum()[::-1][first] for each in (counted, counted * correct))
    return CoverageCurve(threshold, left / weights.sum(), right / left)


def choose_threshold(
    predictions: Predictions,
    least_coverage: float = 0.65,
    weights: Floats | None = None,
    without_verdict: Sequence[str] = (),
) -> float:
    """The confidence threshold with the highest accuracy that keeps enough verdicts.

    ``predictions`` must be of validation clips, never of test clips.  ``least_coverage``:
    share of clips that keep a verdict, from 0 to 1; somewhat more than the 60 % that a new
    speaker should get; all verdicts that there are, if they are fewer.  weights,
    without_verdict: as for ``coverage_curve``.  The lowest of equally good thresholds is returned.
    """
    if not 0 <= least_coverage <= 1:
        raise ValueError("least_coverage must be from 0 to 1")
    curve = coverage_curve(predictions, weights, without_verdict)
    allowed = curve.coverage >= min(least_coverage, curve.coverage[0]) - 1e-9
    return float(curve.threshold[allowed][curve.accuracy[allowed].argmax()])


def fit_temperature(logits: Floats, truth: Ints, weights: Floats | None = None) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al. 2017).

    ``logits``: shape (clips, labels), of validation clips, never of test clips; they may be
    log-probabilities.  ``truth``: index, shape (clips,).  weights: as for ``coverage_curve``.
    The result is from 0.05 to 20.
    """
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    clips = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        likelihood = log_softmax(logits, np.exp(log_temperature))[clips, truth]
        return -float(np.average(likelihood, weights=weights))

    bounds = np.log([_LOWEST_TEMPERATURE, _HIGHEST_TEMPERATURE])
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


class Confidence(NamedTuple):
    """What turns a network's logits into verdicts; see ``undertone.recognition.bundle``."""

    temperature: float
    threshold: float
    activation: Activation = Activation()
    without_verdict: tuple[str, ...] = ()


def fit_confidence(parts: Sequence[Predictions], least_coverage: float = 0.65) -> Confidence:
    """A ``Confidence`` fitted on predictions at temperature 1.

    parts: of validation clips, never of test clips.  Each counts alike, whatever its size.  Of
        several parts, a label that one of them lacks gets no verdict: it would be found there all
        the same.
    least_coverage: as for ``choose_threshold``.
    """
    parts = over_all_labels(parts)
    whole = Predictions.concatenate(parts)
    weights = np.repeat(
        [1 / len(each.truth) for each in parts], [len(each.truth) for each in parts]
    )
    temperature = fit_temperature(np.log(whole.probabilities), whole.truth, weights)
    without_verdict = _lacking(parts) if len(parts) > 1 else ()
    calibrated = whole.at_temperature(temperature)
    threshold = choose_threshold(calibrated, least_coverage, weights, without_verdict)
    scale = fit_activation(calibrated, weights)
    activation = Activation(*scale) if scale else Activation()
    return Confidence(temperature, threshold, activation, without_verdict)


def _lacking(parts: Sequence[Predictions]) -> tuple[str, ...]:
    """The labels that one of the parts has no clips of; none if nothing else is predicted."""
    labels = parts[0].labels
    present = set.intersection(*(set(each.truth.tolist()) for each in parts))
    found = tuple(label for index, label in enumerate(labels) if index not in present)
    return found if any(each.with_verdict(0.0, found).any() for each in parts) else ()


def fit_activation(predictions: Predictions, weights: Floats) -> tuple[float, float] | None:
    """Scale and offset of ``undertone.recognition.bundle.Activation``, by logistic regression.

    ``predictions``: of validation clips, never of test clips.  weights: how much each clip counts
    among those of its side, high or low activation; both sides count alike.  None unless there
    are both.
    """
    from sklearn.linear_model import LogisticRegression

    emotions = np.array(predictions.labels)[predictions.truth]
    high, low = np.isin(emotions, HIGH_ACTIVATION), np.isin(emotions, LOW_ACTIVATION)
    if not (high.any() and low.any()):
        return None
    balanced = weights / np.where(high, weights[high].sum(), weights[low].sum()) * high.size
    used = high | low
    logs = np.log(np.maximum(predictions.probabilities[used], 1e-12))
    odds = [[log_odds(row, predictions.labels)] for row in logs]
    fitted = LogisticRegression(C=np.inf).fit(odds, high[used], sample_weight=balanced[used])
    scale, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return (scale, offset) if scale > 0 else None


def agreement(a: Predictions, b: Predictions) -> float:
    """Share of clips with the same label in both; raises ValueError for other clips or labels."""
    if a.clip_ids != b.clip_ids or a.labels != b.labels:
        raise ValueError("only predictions of the same clips and labels can be compared")
    return float((a.predicted == b.predicted).mean())


class Spread(msgspec.Struct, frozen=True):
    """Mean and sample standard deviation over runs; a single run has no deviation."""

    mean: float
    deviation: float | None


def mean_and_deviation(runs: Sequence[Figures]) -> dict[str, Spread]:
    """Spread of ``uar``, ``accuracy``, ``macro_f1`` and ``ece`` over seeds; at least one run."""
    if not runs:
        raise ValueError("there are no figures to average")
    spreads = {}
    for name in ("uar", "accuracy", "macro_f1", "ece"):
        values = np.array([getattr(run, name) for run in runs])
        spreads[name] = Spread(
            float(values.mean()), float(values.std(ddof=1)) if len(runs) > 1 else None
        )
    return spreads


def _confusion_by_speaker(predictions: Predictions) -> Ints:
    """Counts of shape (speakers, true, predicted), speakers in the order of their names."""
    names, speaker = np.unique(predictions.speakers, return_inverse=True)
    shape = (len(names), len(predictions.labels), len(predictions.labels))
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, (speaker, predictions.truth, predictions.predicted), 1)
    return counts


def _intervals(
    by_speaker: Ints, seed: int, resamples: int
) -> tuple[Interval | None, Interval | None]:
    """95 % percentile bootstrap of UAR and accuracy, drawing speakers with replacement.

    Clips of one speaker are not independent of each other: what varies is who is speaking.
    """
    n = len(by_speaker)
    if n < 2:
        return None, None
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    drawn = np.tensordot(draws, by_speaker, axes=1)  # (resamples, true, predicted)
    support, right = drawn.sum(axis=2), np.diagonal(drawn, axis1=1, axis2=2)
    # a class that none of the drawn speakers has is left out of that draw's mean
    uar = (right / np.maximum(support, 1)).sum(axis=1) / (support > 0).sum(axis=1)
    accuracy = right.sum(axis=1) / support.sum(axis=1)
    return _percentiles(uar), _percentiles(accuracy)


def _percentiles(values: Floats) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return low, high
