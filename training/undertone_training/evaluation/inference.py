"""What the device says of clips, one after another, as predictions to take figures of."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Block
from undertone.events import Scores
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone_training.corpora.clip import Clip
from undertone_training.metrics import Predictions


def through_device(
    clips: Sequence[Clip], classifier: Classifier, progress: Callable[[], None] = lambda: None
) -> Predictions:
    """Judge each clip as ``undertone classify`` does: gate, MFCC, windows, int8 model, tracker.

    ``progress`` is called after each clip.  Raises AudioSourceError for one that can't be read.
    """
    labels = classifier.manifest.labels
    truth = [labels.index(clip.emotion) for clip in clips]
    rows = []
    for clip, true_class in zip(clips, truth, strict=True):
        overall = classify([Block(clip.source.read(), 0.0)], classifier).overall
        rows.append(row_of(overall.scores, labels) if overall else unheard(true_class, len(labels)))
        progress()
    return Predictions(
        clip_ids=tuple(clip.clip_id for clip in clips),
        speakers=tuple(clip.speaker for clip in clips),
        truth=np.array(truth, np.int64),
        probabilities=np.array(rows),
        labels=labels,
    )


def row_of(scores: Scores, labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities in the order of ``labels``, shape (labels,)."""
    return np.array([scores.probabilities[label] for label in labels])


def unheard(true_class: int, n_labels: int) -> NDArray[np.float64]:
    """The row of a clip in which the gate hears no speech: it counts as heard wrong.

    Its true emotion has probability 0 and the others equal ones; shape (labels,).
    """
    row: NDArray[np.float64] = (np.arange(n_labels) != true_class) / (n_labels - 1)
    return row
