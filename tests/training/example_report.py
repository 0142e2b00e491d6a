"""What a report is made of, for the tests: predictions, clips, a training and embeddings."""

from pathlib import Path

import numpy as np

from undertone.emotions import EMOTIONS
from undertone_training.corpora import AudioRef, Clip
from undertone_training.evaluation.embeddings import map_embeddings
from undertone_training.metrics import Predictions

PROTOCOL = "speaker-independent"
HISTORY = {
    "loss": [2.0, 1.5, 1.2],
    "val_loss": [2.1, 1.7, 1.6],
    "accuracy": [0.2, 0.4, 0.6],
    "val_accuracy": [0.2, 0.3, 0.4],
}
EXTRA = {
    "model_bytes": 123_456,
    "multiply_accumulates": 4_560_000,
    "command": "undertone-train fit --recipe compact",
    "confidence_threshold": 0.4,
}


def predictions(
    noise: float = 0.0, labels: tuple[str, ...] = EMOTIONS, without: int | None = None
) -> Predictions:
    """Fair predictions of 160 clips by 4 speakers; ``without``: a class that has no clip."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(labels), 160)
    if without is not None:
        truth[truth == without] = (without + 1) % len(labels)
    logits = rng.normal(0, 1, (160, len(labels))) + 1.5 * np.eye(len(labels))[truth]
    logits += noise * np.random.default_rng(1).normal(0, 1, logits.shape)
    odds = np.exp(logits)
    return Predictions(
        clip_ids=tuple(f"clip{i}" for i in range(160)),
        speakers=tuple(f"{i % 4 + 1:02}" for i in range(160)),
        truth=truth,
        probabilities=odds / odds.sum(axis=1, keepdims=True),
        labels=labels,
    )


def clip(number: int) -> Clip:
    """The one that ``predictions`` calls ``clip{number}``."""
    speaker = number % 4 + 1
    return Clip(
        corpus="made", clip_id=f"clip{number}", speaker=f"{speaker:02}",
        sex="female" if speaker % 2 else "male", emotion="calm", channel="speech",
        intensity="strong" if number % 3 else "normal", statement=None, repetition=None,
        source=AudioRef(Path("nowhere")),
    )  # fmt: skip


CLIPS = [clip(number) for number in range(160)]
EMBEDDED = np.random.default_rng(2).normal(size=(12, 6)) + 4 * np.eye(6)[np.arange(12) // 2]
MAP = map_embeddings("fold-1, seed 0", [*EMOTIONS, *EMOTIONS][:12], EMBEDDED)
assert MAP
BY_FORM = {"float": predictions(), "int8": predictions(noise=0.2)}
