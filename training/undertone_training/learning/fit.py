"""Trains one network on one split: weights, normalisation, temperature, threshold."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Activation, Normalization
from undertone_training import object_storage
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import classes_of, fit_normalization, windows_of
from undertone_training.lazy import joined
from undertone_training.learning.comparison import fit_comparison
from undertone_training.learning.dataset import TrainingBatches
from undertone_training.learning.distillation import require_usable, targets_of
from undertone_training.learning.loss import MaskedCrossentropy
from undertone_training.learning.predict import predict
from undertone_training.learning.runs import Calibration, Run, RunInfo
from undertone_training.learning.voice_distance import fit_voice_distance
from undertone_training.metrics import Confidence, fit_confidence
from undertone_training.networks import build, keras_logits
from undertone_training.recipe import Recipe, Schedule


def fit(
    run: Run,
    info: RunInfo,
    train: Sequence[ClipFeatures],
    validation: Sequence[ClipFeatures],
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, logs: None,
    confidence: Confidence | None = None,
    teachers: Sequence[Run] = (),
    unlabelled: Sequence[ClipFeatures] = (),
    initial: Run | None = None,
    checkpoint_every_s: float = 10.0,
) -> None:
    """Train, or continue an interrupted training, and save the finished run in its folder.

    No test clip is used.

    on_epoch: called with each epoch's number and metrics; what it raises ends the training.
    confidence: given temperature and threshold (see ``calibration``); None fits them on
        ``validation``, or leaves them undefined if there is none.
    teachers: their soft targets are added to the labels, and are the only targets of
        ``unlabelled`` clips.
    initial: the run whose weights the training starts from.
    checkpoint_every_s: time between checkpoints; a killed training loses about that much.
    Raises RunError if no speech is detected in any clip of one side, if a teacher or the initial
    run was trained on speakers outside the training, or if the initial network has other layers.
    """
    for side, clips in (("training", train), ("validation", validation)):
        if clips and not any(each.segments for each in clips):
            raise RunError(
                f"No speech is detected in any of the {len(clips)} {side} clips: check that the "
                "recordings in the data folder are what their names say."
            )
    recipe = info.recipe
    started = time.monotonic()
    run.save(info)
    keras.utils.set_random_seed(info.seed)
    normalization = fit_normalization(train, recipe)
    targets = targets_of(info, train, unlabelled, teachers)
    features = joined(train, unlabelled)
    batches = TrainingBatches(features, targets, normalization, recipe, info.seed)
    epochs_done = run.epochs_done
    model = _start_or_resume(run, epochs_done, info, len(batches), initial)
    batches.start_at(epochs_done)
    model.fit(
        batches,
        epochs=recipe.schedule.epochs,
        initial_epoch=epochs_done,
        validation_data=(
            _validation_windows(validation, info.labels, recipe, normalization)
            if validation
            else None
        ),
        verbose=0,
        shuffle=not batches.in_parts,
        callbacks=_callbacks(run, recipe.schedule, on_epoch, checkpoint_every_s),
    )
    if recipe.schedule.weight_averaging:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    trained, model = model, build(recipe, len(info.labels))
    model.set_weights(trained.get_weights())
    if confidence is None and validation:
        confidence = _confidence(model, info, validation, normalization)
    model.save(run.model)
    comparison = voice_distance = None
    if max(recipe.regularization.known_clips):
        comparison = fit_comparison(features, targets, normalization, recipe, info.seed)
        voice_distance = fit_voice_distance(train, normalization, recipe, info.seed)
    fit_s = time.monotonic() - started
    calibration = Calibration(
        normalization, None, None, fit_s, comparison=comparison, voice_distance=voice_distance
    )
    run.save(calibration.with_confidence(confidence) if confidence else calibration)
    for path in run.checkpoint_files():
        path.unlink()
    run.best.unlink(missing_ok=True)


def recalibrate(
    run: Run,
    recipe: Recipe,
    validation: Sequence[ClipFeatures],
    confidence: Confidence | None = None,
) -> None:
    """Give a finished run the vocal tract factors of ``recipe``, which is otherwise the same.

    The weights stay. Temperature and threshold are fitted again, or left undefined, as by
    ``fit``; the int8 model, whose input range has changed, is removed.
    """
    info, calibration = msgspec.structs.replace(run.info, recipe=recipe), run.calibration
    if confidence is None and validation:
        model = keras.models.load_model(run.model, compile=False)
        confidence = _confidence(model, info, validation, calibration.normalization)
    undefined = msgspec.structs.replace(
        calibration, temperature=None, threshold=None, activation=Activation(), without_verdict=()
    )
    run.save(calibration.with_confidence(confidence) if confidence else undefined)
    object_storage.remove(run.tflite)
    run.save(info)  # last, so that an interrupted call is repeated


def _confidence(
    model: keras.Model,
    info: RunInfo,
    validation: Sequence[ClipFeatures],
    normalization: Normalization,
) -> Confidence:
    """Fit temperature and threshold on the validation clips."""
    # a clip without speech says nothing about the network's confidence
    spoken = (each for each in validation if each.segments)
    logits = keras_logits(model)
    return fit_confidence([predict(spoken, info.labels, info.recipe, normalization, logits, 1.0)])


def _validation_windows(
    features: Sequence[ClipFeatures],
    labels: Sequence[str],
    recipe: Recipe,
    normalization: Normalization,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Every validation clip's windows with its emotion, one-hot."""
    windows = [windows_of(each, recipe, normalization) for each in features]
    targets = np.eye(len(labels), dtype=np.float32)[classes_of(features, labels)]
    return np.concatenate(windows), np.repeat(targets, [len(each) for each in windows], axis=0)


def _compile(model: keras.Model, recipe: Recipe, steps_per_epoch: int) -> None:
    schedule = recipe.schedule
    model.compile(
        keras.optimizers.AdamW(
            _learning_rate(schedule, steps_per_epoch),
            weight_decay=recipe.regularization.weight_decay,
            use_ema=schedule.weight_averaging > 0,
            ema_momentum=schedule.weight_averaging,
        ),
        _loss(recipe),
        weighted_metrics=["accuracy"],
    )
    # otherwise the step would be traced twice: with its creation of variables, and without
    model.optimizer.build(model.trainable_variables)


def _loss(recipe: Recipe) -> keras.losses.Loss:
    smoothing = recipe.regularization.label_smoothing
    if recipe.beside:
        return MaskedCrossentropy(smoothing)
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)


def _learning_rate(schedule: Schedule, steps_per_epoch: int) -> object:
    if schedule.shape != "cosine":
        return schedule.learning_rate
    steps = schedule.epochs * steps_per_epoch
    warmup = round(steps * schedule.warmup)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=schedule.learning_rate, warmup_steps=warmup
    )


def _callbacks(
    run: Run,
    schedule: Schedule,
    on_epoch: Callable[[int, dict[str, float]], None],
    checkpoint_every_s: float,
) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = [
        keras.callbacks.CSVLogger(run.history, append=True)
    ]
    if schedule.shape == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                f"val_{schedule.watched}", factor=0.5, patience=5, mode=_BETTER[schedule.watched]
            )
        )
    if schedule.early_stopping:
        callbacks.append(_EarlyStopping(run, schedule))
    return [
        *callbacks,
        _Checkpoint(run, checkpoint_every_s, on_epoch),  # after those that change what it saves
    ]


_BETTER = {"loss": "min", "accuracy": "max"}


class _EarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Early stopping that also continues from the best epoch of an interrupted training."""

    def __init__(self, run: Run, schedule: Schedule) -> None:
        super().__init__(
            f"val_{schedule.watched}",
            patience=schedule.early_stopping,
            mode=_BETTER[schedule.watched],
            restore_best_weights=True,
        )
        self._run = run

    def on_train_begin(self, logs: object = None) -> None:
        super().on_train_begin(logs)
        if not self._run.epochs_done:
            return
        seen = self._run.epochs()[self.monitor]
        self.best = max(seen) if self.mode == "max" else min(seen)
        self.best_epoch = seen.index(self.best)
        self.wait = len(seen) - 1 - self.best_epoch
        with np.load(self._run.best, allow_pickle=False) as stored:
            self.best_weights = [stored[name] for name in stored.files]

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        super().on_epoch_end(epoch, logs)
        if self.best_epoch == epoch:
            partial = self._run.best.with_suffix(".part.npz")
            np.savez(partial, *self.best_weights)
            partial.replace(self._run.best)


class _Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves weights, optimizer and random state from time to time, so a killed training continues
    to the weights that it would have had.

    They are also saved after an epoch at which ``on_epoch`` ends the training.
    """

    def __init__(
        self, run: Run, every_s: float, on_epoch: Callable[[int, dict[str, float]], None]
    ) -> None:
        super().__init__()
        self._run = run
        self._every_s = every_s
        self._on_epoch = on_epoch
        self._saved_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        due = time.monotonic() - self._saved_s >= self._every_s
        if due:
            self._save(epoch + 1)
        try:
            self._on_epoch(epoch, logs)
        except BaseException:
            if not due:
                self._save(epoch + 1)
            raise

    def _save(self, epochs: int) -> None:
        checkpoint = self._run.checkpoint(epochs)
        checkpoint.with_suffix(".json").write_bytes(_random_state(self.model))
        partial = self._run.folder / "checkpoint.part.keras"
        self.model.save(partial)
        partial.replace(checkpoint)
        for path in self._run.checkpoint_files():
            if path.stem != checkpoint.stem:
                path.unlink()
        object_storage.push(self._run.folder)
        self._saved_s = time.monotonic()


def _start_or_resume(
    run: Run, done: int, info: RunInfo, steps: int, initial: Run | None
) -> keras.Model:
    """The compiled network after ``done`` epochs, or with its initial weights."""
    if not done:
        run.history.unlink(missing_ok=True)
        model = build(info.recipe, len(info.labels), training=True)
        if initial:
            _take_weights(model, info, initial)
        _compile(model, info.recipe, steps)
        return model
    # the history may be ahead of the checkpoint
    rows = run.history.read_text().splitlines(keepends=True)
    run.history.write_text("".join(rows[: done + 1]))
    model = keras.models.load_model(run.checkpoint(done))
    _restore_random_state(model, run.checkpoint(done).with_suffix(".json"))
    return model


def _random_state(model: keras.Model) -> bytes:
    """What decides the order of the batches, by Keras, and what dropout drops."""
    states = [variable.numpy().tolist() for variable in _seed_states(model)]
    return msgspec.json.encode((random.getstate(), states))


def _restore_random_state(model: keras.Model, path: Path) -> None:
    if not path.exists():  # a checkpoint by an earlier version
        return
    (version, internal, gauss), states = msgspec.json.decode(path.read_bytes())
    random.setstate((version, tuple(internal), gauss))
    for variable, state in zip(_seed_states(model), states, strict=True):
        variable.assign(state)


def _seed_states(model: keras.Model) -> list[keras.Variable]:
    return [each for each in model.variables if each.name == "seed_generator_state"]


def _take_weights(model: keras.Model, info: RunInfo, initial: Run) -> None:
    require_usable([initial], info)
    try:
        model.set_weights(keras.models.load_model(initial.model, compile=False).get_weights())
    except ValueError as error:
        raise RunError(
            f"{info.recipe.name} can't begin with {initial.folder}: its network has other "
            "layers; give both recipes the same network, convolutions and pooling."
        ) from error
