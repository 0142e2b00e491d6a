"""The ``live`` protocol: held-out clips in one long recording, through the whole device path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import ClassifiedSegment, Pipeline
from undertone.recognition.speech_gate import FRAME_LENGTH
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.inference import row_of, unheard
from undertone_training.metrics import Predictions

PAUSE_S = (1.0, 4.0)
"""Shortest and longest pause between two clips."""

SNRS_DB = (None, 20.0, 10.0, 5.0)
"""Signal-to-noise ratios of the protocol; None adds no noise."""

SPEECH_DBFS = -25.0
"""Every clip is brought to this level while it speaks, so that a ratio holds for each: whispers
and shouts of RAVDESS are 40 dB apart, and the network does not hear the level."""

ACTIVE_RANGE_DB = 30.0
"""Frames of 10 ms that are no more than this below a clip's loudest count as speaking."""

ROOM_DBFS = -75.0
"""Level of the noise in a quiet room, where the protocol adds none."""


def condition(snr_db: float | None) -> str:
    """What a figure of the protocol is called, after the names of its clips' protocol."""
    return "live, no noise" if snr_db is None else f"live, room noise at {snr_db:.0f} dB SNR"


@dataclass(frozen=True)
class Heard:
    """What the device made of the recording.

    predictions: one row a clip; a clip that was not heard counts as heard
        wrong: its true emotion has probability 0.
    missed: clips without a segment.  false_segments: segments that overlap no clip.
    """

    predictions: Predictions
    missed: int
    false_segments: int
    recording_s: float


def listen(
    clips: Sequence[Clip],
    classifier: Classifier,
    noise: NDArray[np.float64] | None,
    snr_db: float | None,
    seed: int,
) -> Heard:
    """Lay ``clips`` (shuffled) into a recording and listen to it as the device does.

    noise: float samples, repeated as needed, ``snr_db`` below the clips while they speak.
        None for a quiet room.
    """
    clean, spans = _recording(clips, np.random.default_rng(seed))
    recording = in_noise(clean, noise, snr_db, seed)
    segments = played(recording, classifier)
    return _matched(clips, spans, segments, classifier, len(recording) / SAMPLE_RATE_HZ)


def played(recording: Samples, classifier: Classifier) -> list[ClassifiedSegment]:
    """What the device hears in ``recording``, block by block."""
    pipeline = Pipeline(classifier)
    segments: list[ClassifiedSegment] = []
    for first in range(0, len(recording), BLOCK_LENGTH):
        block = Block(recording[first : first + BLOCK_LENGTH], first / SAMPLE_RATE_HZ)
        segments += pipeline.process(block)
    return segments + pipeline.flush()


def _recording(
    clips: Sequence[Clip], generator: np.random.Generator
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """The samples, and first and end sample of each clip in the order of ``clips``."""
    pieces: list[NDArray[np.float64]] = []
    spans = [(0, 0)] * len(clips)
    position = 0
    for index in generator.permutation(len(clips)):
        pause = round(generator.uniform(*PAUSE_S) * SAMPLE_RATE_HZ)
        samples = levelled(clips[index].source.read(), SPEECH_DBFS)
        pieces += [np.zeros(pause), samples]
        spans[index] = (position + pause, position + pause + len(samples))
        position += pause + len(samples)
    return np.concatenate([*pieces, np.zeros(SAMPLE_RATE_HZ)]), spans


def levelled(samples: NDArray[Any], dbfs: float) -> NDArray[np.float64]:
    """``samples``, of any scale and not all 0, as int16 would hold them: at ``dbfs`` while they
    sound.
    """
    whole = samples[: len(samples) // FRAME_LENGTH * FRAME_LENGTH].reshape(-1, FRAME_LENGTH)
    power = np.square(whole, dtype=np.float64).mean(axis=1)
    speaking = power[power >= power.max() / 10 ** (ACTIVE_RANGE_DB / 10)].mean()
    scaled: NDArray[np.float64] = samples * (_amplitude(dbfs) / np.sqrt(speaking))
    return scaled


def _amplitude(dbfs: float) -> float:
    return float(32768 * 10 ** (dbfs / 20))


def in_noise(
    recording: NDArray[np.float64],
    noise: NDArray[np.float64] | None,
    snr_db: float | None,
    seed: int,
) -> Samples:
    """``recording`` with ``noise`` laid under all of it, that of a quiet room for None."""
    wanted_dbfs = ROOM_DBFS if snr_db is None else SPEECH_DBFS - snr_db
    if noise is None or snr_db is None:
        noise = np.random.default_rng([seed, 1]).normal(size=len(recording))
    laid = np.resize(noise, len(recording))
    laid = laid * (_amplitude(wanted_dbfs) / np.sqrt(np.square(laid).mean()))
    noisy: Samples = np.clip(np.rint(recording + laid), -32768, 32767).astype(np.int16)
    return noisy


def _matched(
    clips: Sequence[Clip],
    spans: Sequence[tuple[int, int]],
    segments: Sequence[ClassifiedSegment],
    classifier: Classifier,
    recording_s: float,
) -> Heard:
    """A clip's verdict is that of the segment that overlaps it longest."""
    labels = classifier.manifest.labels
    truth = np.array([labels.index(clip.emotion) for clip in clips], np.int64)
    rows = np.array([unheard(true_class, len(labels)) for true_class in truth])
    used: set[int] = set()
    missed = 0
    for row, (start, end) in zip(rows, spans, strict=True):
        overlaps = [
            min(segment.time_s + segment.duration_s, end / SAMPLE_RATE_HZ)
            - max(segment.time_s, start / SAMPLE_RATE_HZ)
            for segment in segments
        ]
        touching = {index for index, overlap in enumerate(overlaps) if overlap > 0}
        used |= touching
        if touching:
            longest = segments[max(touching, key=overlaps.__getitem__)]
            row[:] = row_of(longest.verdict.scores, labels)
        else:
            missed += 1
    predictions = Predictions(
        clip_ids=tuple(clip.clip_id for clip in clips),
        speakers=tuple(clip.speaker for clip in clips),
        truth=truth,
        probabilities=rows,
        labels=labels,
    )
    return Heard(predictions, missed, len(segments) - len(used), recording_s)
