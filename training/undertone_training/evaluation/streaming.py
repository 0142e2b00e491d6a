"""The ``live`` protocol: held-out clips in one long recording, through the whole device path."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import ClassifiedSegment, Pipeline
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.backgrounds import Background
from undertone_training.evaluation.inference import row_of
from undertone_training.evaluation.levels import SPEECH_DBFS, at_level, in_noise
from undertone_training.features.reverberation import reverberant
from undertone_training.learning.predict import predictions_of
from undertone_training.metrics import Predictions

PAUSE_S = (1.0, 4.0)
"""Shortest and longest pause between two clips."""

Span = tuple[int, int]
"""First sample of a stretch of a recording, and the one after its last."""


@dataclass(frozen=True)
class LiveCondition:
    """How the recording of the protocol is made.

    background: what sounds throughout, ``snr_db`` below the clips while they speak; None is the
        noise of a quiet room.
    dbfs: level of every clip while the actor speaks. reverberant: whether in a living room, 2 m
        from the microphone.
    """

    name: str
    background: Background | None = None
    snr_db: float | None = None
    dbfs: float = SPEECH_DBFS
    reverberant: bool = False


CONDITIONS = (
    LiveCondition("live, no noise"),
    LiveCondition("live, room noise at 20 dB SNR", "recorded noise", 20.0),
    LiveCondition("live, room noise at 10 dB SNR", "recorded noise", 10.0),
    LiveCondition("live, room noise at 5 dB SNR", "recorded noise", 5.0),
    LiveCondition("live, four voices at 10 dB SNR", "voices", 10.0),
    LiveCondition("live, music at 10 dB SNR", "music", 10.0),
    LiveCondition("live, in a room", reverberant=True),
    LiveCondition("live, from afar", dbfs=-50.0, reverberant=True),
)
"""Of the protocol: those whose background can't be made are left out."""


@dataclass(frozen=True)
class StreamResult:
    """What the device detected in the recording.

    predictions: one row per clip; a clip without a segment counts as wrong.
    missed: number of clips without a segment. false_segments: segments that overlap no clip.
    """

    predictions: Predictions
    missed: int
    false_segments: int
    recording_s: float


def stream(
    clips: Sequence[Clip],
    classifier: Classifier,
    condition: LiveCondition,
    noise: NDArray[np.float64] | None,
    seed: int,
) -> StreamResult:
    """Put ``clips`` (shuffled) into one recording and play it to the device's pipeline.

    noise: float samples, repeated as needed, for a condition with a background.
    """
    clean, spans = recording_of(clips, np.random.default_rng(seed), condition)
    recording = in_noise(clean, noise, condition.snr_db, seed)
    segments = segments_in(recording, classifier)
    return _matched(clips, spans, segments, classifier, len(recording) / SAMPLE_RATE_HZ)


def segments_in(recording: Samples, classifier: Classifier) -> list[ClassifiedSegment]:
    """The segments that the device finds and classifies in ``recording``, block by block."""
    pipeline = Pipeline(classifier)
    segments: list[ClassifiedSegment] = []
    for first in range(0, len(recording), BLOCK_LENGTH):
        block = Block(recording[first : first + BLOCK_LENGTH], first / SAMPLE_RATE_HZ)
        segments += pipeline.process(block)
    return segments + pipeline.flush()


def recording_of(
    clips: Sequence[Clip], generator: np.random.Generator, condition: LiveCondition = CONDITIONS[0]
) -> tuple[NDArray[np.float64], list[Span]]:
    """``clips`` in random order with pauses, and where each is, in the order of ``clips``."""
    pieces: list[NDArray[np.float64]] = []
    spans: list[Span] = [(0, 0)] * len(clips)
    position = 0
    for index in generator.permutation(len(clips)):
        pause = round(generator.uniform(*PAUSE_S) * SAMPLE_RATE_HZ)
        samples = at_level(clips[index].source.read(), condition.dbfs)
        if condition.reverberant:
            samples = reverberant(samples)
        pieces += [np.zeros(pause), samples]
        spans[index] = (position + pause, position + pause + len(samples))
        position += pause + len(samples)
    return np.concatenate([*pieces, np.zeros(SAMPLE_RATE_HZ)]), spans


def _matched(
    clips: Sequence[Clip],
    spans: Sequence[Span],
    segments: Sequence[ClassifiedSegment],
    classifier: Classifier,
    recording_s: float,
) -> StreamResult:
    """A clip's verdict is that of the segment that overlaps it longest."""
    labels = classifier.manifest.labels
    rows: list[NDArray[np.float64] | None] = []
    used: set[int] = set()
    for start, end in spans:
        overlaps = [
            min(segment.time_s + segment.duration_s, end / SAMPLE_RATE_HZ)
            - max(segment.time_s, start / SAMPLE_RATE_HZ)
            for segment in segments
        ]
        touching = {index for index, overlap in enumerate(overlaps) if overlap > 0}
        used |= touching
        longest = max(touching, key=overlaps.__getitem__, default=None)
        rows.append(None if longest is None else row_of(segments[longest].verdict.scores, labels))
    return StreamResult(
        predictions_of(clips, rows, labels),
        sum(row is None for row in rows),
        len(segments) - len(used),
        recording_s,
    )
