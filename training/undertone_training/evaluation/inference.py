"""Predictions for whole clips by the device's own code."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Block, Samples
from undertone.events import UNCERTAIN, Verdict
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify
from undertone.recognition.voice import Voice
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.conditions import ConditionPredictions
from undertone_training.learning.predict import predictions_of


def verdicts_of(
    clips: Sequence[Clip],
    classifier: Classifier,
    progress: Callable[[], None] = lambda: None,
    read: Callable[[Clip], Samples] = lambda clip: clip.source.read(),
    voice_for: Callable[[Clip], Voice | None] = lambda clip: None,
) -> list[Verdict | None]:
    """What ``through_device`` hears in each clip; None where it detects no speech."""
    verdicts: list[Verdict | None] = []
    for clip in clips:
        found = classify([Block(read(clip), 0.0)], classifier, voice=voice_for(clip))
        verdicts.append(found.overall)
        progress()
    return verdicts


def through_device(
    clips: Sequence[Clip],
    classifier: Classifier,
    progress: Callable[[], None] = lambda: None,
    condition: str = "as recorded",
    read: Callable[[Clip], Samples] = lambda clip: clip.source.read(),
    voice_for: Callable[[Clip], Voice | None] = lambda clip: None,
) -> ConditionPredictions:
    """Classify each clip as ``undertone classify`` does: gate, MFCC, windows, int8 model, decision.

    clips: at least one, of one corpus.  progress: called after each clip.
    read: gives a clip's sound under the condition.
    voice_for: gives what is known of a clip's speaker.
    Raises AudioSourceError for a clip that cannot be read.
    """
    labels, without_verdict = classifier.manifest.labels, classifier.manifest.without_verdict
    verdicts = verdicts_of(clips, classifier, progress, read, voice_for)
    rows = [row_of(verdict.scores, labels) if verdict else None for verdict in verdicts]
    given = [verdict is not None and verdict.verdict != UNCERTAIN for verdict in verdicts]
    possible = [
        each is not None
        and Verdict.of(each.scores, 0.0, each.reason, None, without_verdict).verdict != UNCERTAIN
        for each in verdicts
    ]
    activation = [verdict.activation if verdict else None for verdict in verdicts]
    return ConditionPredictions(
        clips[0].corpus,
        condition,
        predictions_of(clips, rows, labels),
        np.array(given),
        np.array(possible),
        np.array(activation, dtype=float),
    )


def row_of(scores: Mapping[str, float], labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities in the order of ``labels``, shape (labels,)."""
    return np.array([scores[label] for label in labels])
