"""Predictions for whole clips by the device's own code."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Block, Samples
from undertone.events import UNCERTAIN, Verdict
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.conditions import ConditionPredictions
from undertone_training.learning.predict import predictions_of


def through_device(
    clips: Sequence[Clip],
    classifier: Classifier,
    progress: Callable[[], None] = lambda: None,
    condition: str = "as recorded",
    read: Callable[[Clip], Samples] = lambda clip: clip.source.read(),
    classifier_for: Callable[[Clip], Classifier] | None = None,
) -> ConditionPredictions:
    """Classify each clip as ``undertone classify`` does: gate, MFCC, windows, int8 model, decision.

    clips: at least one, of one corpus.  progress: called after each clip.
    read: gives a clip's sound under the condition.
    classifier_for: the classifier of a clip, with the labels of ``classifier``; None for that.
    Raises AudioSourceError for a clip that cannot be read.
    """
    labels = classifier.manifest.labels
    verdicts: list[Verdict | None] = []
    for clip in clips:
        chosen = classifier_for(clip) if classifier_for else classifier
        verdicts.append(classify([Block(read(clip), 0.0)], chosen).overall)
        progress()
    rows = [row_of(verdict.scores, labels) if verdict else None for verdict in verdicts]
    given = [verdict is not None and verdict.verdict != UNCERTAIN for verdict in verdicts]
    return ConditionPredictions(
        clips[0].corpus, condition, predictions_of(clips, rows, labels), np.array(given)
    )


def row_of(scores: Mapping[str, float], labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities in the order of ``labels``, shape (labels,)."""
    return np.array([scores[label] for label in labels])
