"""Predictions for whole clips by the device's own code."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Block
from undertone.events import Scores
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone_training.corpora.clip import Clip
from undertone_training.learning.predict import predictions_of
from undertone_training.metrics import Predictions


def through_device(
    clips: Sequence[Clip], classifier: Classifier, progress: Callable[[], None] = lambda: None
) -> Predictions:
    """Classify each clip as ``undertone classify`` does: gate, MFCC, windows, int8 model, decision.

    ``progress`` is called after each clip. Raises AudioSourceError for one that cannot be read.
    """
    labels = classifier.manifest.labels
    rows = []
    for clip in clips:
        overall = classify([Block(clip.source.read(), 0.0)], classifier).overall
        rows.append(row_of(overall.scores, labels) if overall else None)
        progress()
    return predictions_of(clips, rows, labels)


def row_of(scores: Scores, labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities in the order of ``labels``, shape (labels,)."""
    return np.array([scores.probabilities[label] for label in labels])
