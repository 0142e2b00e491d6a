"""Trains the speech detector and writes its int8 network."""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import DETECTOR_FILE
from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_detector import DetectorConfig
from undertone_training.detection.mixtures import Examples
from undertone_training.export.quantize import convert
from undertone_training.features.gate import CONFIG_FILE
from undertone_training.learning.runs import commit, machine, tool_versions
from undertone_training.progress import Progress, silent

Convolutions = tuple[tuple[int, int], ...]
"""Channels, and kernel in frames, of each convolution."""

CONVOLUTIONS: Convolutions = ((32, 9),) * 3
AHEAD = 7
"""Frames after a frame that its answer may depend on: 0.22 s."""
PIECE = 4
"""Frames that one call answers."""

_BATCH = 32
_LEARNING_RATE = 3e-3
_HELD_OUT = 20
"""One of so many mixtures is not trained on, but shows how well the network does."""
_REPRESENTATIVE = 500


@dataclass(frozen=True)
class Plan:
    """What determines a detector, beside its examples."""

    mfcc: MfccConfig = field(default_factory=MfccConfig)
    convolutions: Convolutions = CONVOLUTIONS
    epochs: int = 20
    seed: int = 0

    @property
    def context(self) -> int:
        """Frames, beside itself, that an answer depends on."""
        return sum(kernel - 1 for _, kernel in self.convolutions)


def network(plan: Plan, frames: int | None, precision: str = "float32") -> keras.Model:
    """From (frames, coefficients) to a logit for each frame with whole context."""
    given = keras.Input((frames, plan.mfcc.n_coefficients))
    x = given
    for channels, kernel in plan.convolutions:
        x = keras.layers.Conv1D(channels, kernel, use_bias=False, dtype=precision)(x)
        x = keras.layers.BatchNormalization(dtype=precision)(x)
        x = keras.layers.ReLU(dtype=precision)(x)
    logits = keras.layers.Dense(1, dtype="float32")(x)
    return keras.Model(given, logits, name="speech_detector")


def fit(
    plan: Plan,
    examples: Examples,
    corpora: Sequence[str],
    folder: Path,
    progress: Progress = silent,
) -> Path:
    """Train on ``examples``, or continue, and write the detector to ``folder``; returns that.

    corpora: of the voices in the examples.  A killed training loses an epoch at most.
    """
    keras.utils.set_random_seed(plan.seed)
    mean, deviation = _statistics(examples.frames)
    past = plan.context - AHEAD
    held_out = np.arange(len(examples.frames)) % _HELD_OUT == 0
    training = _Batches(examples, ~held_out, mean, deviation, past, plan.seed)
    testing = _Batches(examples, held_out, mean, deviation, past, None)
    model = network(plan, None, "mixed_bfloat16")
    model.compile(
        keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, len(training) * plan.epochs),
            use_ema=True,
            ema_momentum=0.995,
        ),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    key = zlib.crc32(repr((plan, corpora, examples.frames.shape, mean.tolist())).encode())
    with progress("speech detector", plan.epochs) as step:
        model.fit(
            training,
            epochs=plan.epochs,
            verbose=0,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_end=lambda epoch, logs: step(f"loss {logs['loss']:.4f}")
                ),
                keras.callbacks.BackupAndRestore(folder / f"unfinished-{key:08x}"),
            ],
        )
    model.optimizer.finalize_variable_values(model.trainable_variables)
    trained, fixed = network(plan, None), network(plan, past + PIECE + AHEAD)
    for each in (trained, fixed):
        each.set_weights(model.get_weights())
    trained.compile(loss=model.loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
    loss, accuracy = trained.evaluate(testing, verbose=0)
    content = convert(fixed, training.windows(_REPRESENTATIVE, past + PIECE + AHEAD))
    config = DetectorConfig(
        model_sha256=hashlib.sha256(content).hexdigest(),
        mfcc=plan.mfcc,
        past=past,
        ahead=AHEAD,
        piece=PIECE,
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.tolist()),
        quantization=Int8Interpreter(content, runtime="litert").quantization,
        corpora=tuple(sorted(corpora)),
        training={
            "mixtures": len(examples.frames),
            "convolutions": [list(each) for each in plan.convolutions],
            "epochs": plan.epochs,
            "seed": plan.seed,
            "held_out": {"loss": round(loss, 4), "accuracy": round(accuracy, 4)},
            "commit": commit(),
            "tools": tool_versions(),
            "machine": machine(),
        },
    )
    (folder / DETECTOR_FILE).write_bytes(content)
    (folder / CONFIG_FILE).write_bytes(
        msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"
    )
    return folder


def _statistics(
    frames: NDArray[np.float16],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each coefficient over a sample of the mixtures."""
    sample = frames[:: max(1, len(frames) // 500)].astype(np.float64)
    rows = sample.reshape(-1, sample.shape[-1])
    return rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-3)


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Whole mixtures, standardised, in a new order in each epoch; ``seed`` None: in their own."""

    def __init__(
        self,
        examples: Examples,
        chosen: NDArray[np.bool_],
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
        past: int,
        seed: int | None,
    ) -> None:
        super().__init__()
        self._examples = examples
        self._order = np.flatnonzero(chosen)
        self._mean = mean.astype(np.float32)
        self._deviation = deviation.astype(np.float32)
        self._past = past
        self._generator = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self._order) // _BATCH)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        mixtures = np.sort(self._order[index * _BATCH : (index + 1) * _BATCH])
        speech = self._examples.speech[mixtures, self._past : -AHEAD]
        return self._standard(mixtures), speech[..., np.newaxis].astype(np.float32)

    def _standard(self, mixtures: NDArray[np.intp]) -> NDArray[np.float32]:
        frames = self._examples.frames[mixtures].astype(np.float32)
        standard: NDArray[np.float32] = (frames - self._mean) / self._deviation
        return standard

    def on_epoch_end(self) -> None:
        if self._generator is not None:
            self._generator.shuffle(self._order)

    def windows(self, count: int, frames: int) -> NDArray[np.float32]:
        """Pieces of ``frames`` frames of random mixtures, as the network gets them."""
        generator = np.random.default_rng(0)
        mixtures = generator.choice(self._order, count)
        starts = generator.integers(0, self._examples.frames.shape[1] - frames, count)
        standard = self._standard(mixtures)
        return np.stack([standard[i, start : start + frames] for i, start in enumerate(starts)])
