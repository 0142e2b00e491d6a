"""The figures of a model under several conditions: other corpora, degraded sound, known voices.

Each condition is a row of a protocol's report, ``report/cross-corpus.json`` and the like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone.support.strict import Strict
from undertone_training.evaluation.results import CONDITION_FILES, read_report, save_report
from undertone_training.metrics import Interval, Predictions, figures, missed

FOUR_EMOTIONS = {
    "angry": "angry",
    "happy": "happy",
    "sad": "sad",
    "neutral": "neutral",
    "calm": "neutral",
}
"""Neutral and calm count as one."""

ACTIVATION = {
    **dict.fromkeys(("angry", "happy", "fearful", "surprised"), "high"),
    **dict.fromkeys(("neutral", "calm", "sad"), "low"),
}


@dataclass(frozen=True, eq=False)
class ConditionPredictions:
    """What a model predicted for clips of one corpus under one condition.

    given: whether a clip got a verdict, shape (clips,).  A clip without detected speech has none,
        and ``missed`` as its row of probabilities.
    possible: whether it would get one if the threshold were 0, shape (clips,).
    activation: as the device reports it, from 0 to 1, shape (clips,); NaN where it reports none.
    """

    corpus: str
    condition: str
    predictions: Predictions
    given: NDArray[np.bool_]
    possible: NDArray[np.bool_]
    activation: NDArray[np.float64]


class GroupFigures(Strict, frozen=True):
    """UAR of some groups of labels over the clips of these labels.

    uar_interval95: bootstrap over speakers; None if there is only one.
    """

    groups: tuple[str, ...]
    n_clips: int
    uar: float
    uar_interval95: Interval | None


class ConditionFigures(Strict, frozen=True):
    """Figures on a corpus under one condition.

    shared_labels: each label that the clips and the model share; ``groups`` has them.  The groups
        of labels are None if the clips do not have at least two, all four or both.
    activation: of high and low, by whether the activation that the device reports is at least 0.5.
    missed: clips without detected speech, which count as wrong.
    verdicts: number of clips with one; ``right``: number of correct ones.
    ece: expected calibration error over all labels of the model.
    accuracy_at_tenths: share of correct verdicts if the most confident 10, 20, ... % of all clips
        get one; ends where the others can't.  Empty in reports that were written without it.
    """

    corpus: str
    condition: str
    n_clips: int
    n_speakers: int
    shared_labels: GroupFigures | None
    four_emotions: GroupFigures | None
    activation: GroupFigures | None
    missed: int
    verdicts: int
    right: int
    ece: float
    accuracy_at_tenths: tuple[float, ...] = ()


class ConditionsReport(Strict, frozen=True):
    """One protocol's figures of one model; notes: what a reader must know about them."""

    protocol: str
    model_sha256: str
    conditions: tuple[ConditionFigures, ...]
    notes: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Its name in a report's folder, one of ``CONDITION_FILES``."""
        return f"{self.protocol}.json"

    def save(self, folder: Path) -> Path:
        """Write it into a report's folder, as indented JSON."""
        path = folder / self.file_name
        save_report(path, self)
        return path


def load_reports(folder: Path, model_sha256: str) -> dict[str, ConditionsReport]:
    """The reports in a report's folder that are of this model, by protocol; raises RunError."""
    found = {}
    for name in CONDITION_FILES:
        try:
            report = read_report(folder / name, ConditionsReport)
        except FileNotFoundError:
            continue
        if report.model_sha256 == model_sha256:
            found[report.protocol] = report
    return found


def figures_of(tested: ConditionPredictions) -> ConditionFigures:
    """All figures of one condition; the bootstrap draws speakers with replacement."""
    predictions = tested.predictions
    shared = {
        label: label
        for index, label in enumerate(predictions.labels)
        if (predictions.truth == index).any()
    }
    whole = figures(predictions)
    return ConditionFigures(
        corpus=tested.corpus,
        condition=tested.condition,
        n_clips=whole.n_clips,
        n_speakers=whole.n_speakers,
        shared_labels=_group_figures(predictions, shared),
        four_emotions=_group_figures(predictions, FOUR_EMOTIONS),
        activation=_activation_figures(tested),
        missed=int(_missed(predictions).sum()),
        verdicts=int(tested.given.sum()),
        right=int((tested.given & predictions.correct).sum()),
        ece=whole.ece,
        accuracy_at_tenths=_accuracy_at_tenths(tested),
    )


def _accuracy_at_tenths(tested: ConditionPredictions) -> tuple[float, ...]:
    possible = np.flatnonzero(tested.possible)
    order = possible[np.argsort(-tested.predictions.confidence[possible], kind="stable")]
    right = tested.predictions.correct[order].cumsum()
    n_clips = len(tested.possible)
    numbers = [-(-n_clips * tenths // 10) for tenths in range(1, 11)]  # rounded up
    return tuple(float(right[n - 1] / n) for n in numbers if n <= len(order))


def grouped(predictions: Predictions, group_of: Mapping[str, str]) -> Predictions | None:
    """Predictions of groups of labels, for the clips whose label is in one.

    A group has the sum of its labels' probabilities; labels in no group are left out.  None unless
    there are at least two groups and the clips are of all of them.
    """
    groups = tuple(dict.fromkeys(group_of.values()))
    index = np.array(
        [groups.index(group_of[each]) if each in group_of else -1 for each in predictions.labels]
    )
    truth = index[predictions.truth]
    kept = truth >= 0
    if len(groups) < 2 or set(truth[kept]) != set(range(len(groups))):
        return None
    sums = np.stack(
        [predictions.probabilities[:, index == group].sum(axis=1) for group in range(len(groups))],
        axis=1,
    )
    for row in np.flatnonzero(_missed(predictions) & kept):
        sums[row] = missed(int(truth[row]), len(groups))
    sums = np.maximum(sums[kept], np.finfo(float).tiny)  # all in labels that are left out
    return Predictions(
        clip_ids=tuple(np.array(predictions.clip_ids)[kept].tolist()),
        speakers=tuple(np.array(predictions.speakers)[kept].tolist()),
        truth=truth[kept],
        probabilities=sums / sums.sum(axis=1, keepdims=True),
        labels=groups,
    )


def _group_figures(predictions: Predictions, group_of: Mapping[str, str]) -> GroupFigures | None:
    part = grouped(predictions, group_of)
    return None if part is None else _figures_of_groups(part)


def _activation_figures(tested: ConditionPredictions) -> GroupFigures | None:
    """Of high and low, as ``tested.activation`` tells them apart."""
    part = grouped(tested.predictions, ACTIVATION)
    if part is None:
        return None
    kept = np.isin(tested.predictions.clip_ids, part.clip_ids)
    high = tested.activation[kept, None]
    rows = np.where([label == "high" for label in part.labels], high, 1 - high)
    silent = _missed(tested.predictions)[kept, None]
    rows = np.where(silent, part.probabilities, rows)
    return _figures_of_groups(replace(part, probabilities=rows))


def _figures_of_groups(part: Predictions) -> GroupFigures:
    found = figures(part)
    return GroupFigures(part.labels, found.n_clips, found.uar, found.uar_interval95)


def _missed(predictions: Predictions) -> NDArray[np.bool_]:
    """Clips without detected speech: no softmax gives exactly 0."""
    clips = np.arange(len(predictions.truth))
    none: NDArray[np.bool_] = predictions.probabilities[clips, predictions.truth] == 0
    return none


def joined(parts: Sequence[ConditionPredictions]) -> ConditionPredictions:
    """The folds of one condition as one."""
    return ConditionPredictions(
        parts[0].corpus,
        parts[0].condition,
        Predictions.concatenate([part.predictions for part in parts]),
        np.concatenate([part.given for part in parts]),
        np.concatenate([part.possible for part in parts]),
        np.concatenate([part.activation for part in parts]),
    )
