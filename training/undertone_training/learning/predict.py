"""Predictions for whole clips, combined from their windows as on the device."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Normalization
from undertone.recognition.decision import combine, log_softmax
from undertone_training.corpora.clip import Clip
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import windows_of
from undertone_training.metrics import Predictions, missed
from undertone_training.recipe import Recipe

if TYPE_CHECKING:
    from undertone_training.networks import WindowLogits


def predict(
    features: Iterable[ClipFeatures],
    labels: tuple[str, ...],
    recipe: Recipe,
    normalization: Normalization,
    logits: "WindowLogits",
    temperature: float,
) -> Predictions:
    """Predictions of a network: the mean of the log-probabilities of each clip's windows."""

    def probabilities(clip: ClipFeatures) -> NDArray[np.float64] | None:
        windows = windows_of(clip, recipe, normalization)
        if not len(windows):
            return None
        logs = combine(list(log_softmax(logits(windows), temperature)))
        row: NDArray[np.float64] = np.exp(logs)
        return row

    found = [(each.clip, probabilities(each)) for each in features]
    return predictions_of([clip for clip, _ in found], [row for _, row in found], labels)


def predictions_of(
    clips: Sequence[Clip], rows: Sequence[NDArray[np.float64] | None], labels: tuple[str, ...]
) -> Predictions:
    """Predictions from the probabilities of each clip; None for a clip without detected speech.

    Such a clip counts as wrong, as it would on the device.
    """
    truth = np.array([labels.index(clip.emotion) for clip in clips], np.int64)
    return Predictions(
        clip_ids=tuple(clip.clip_id for clip in clips),
        speakers=tuple(clip.speaker for clip in clips),
        truth=truth,
        probabilities=np.array(
            [
                missed(true_class, len(labels)) if row is None else row
                for row, true_class in zip(rows, truth, strict=True)
            ]
        ),
        labels=labels,
    )
