"""What a network shall say of its training clips: their labels, and what teachers say of them."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.recognition.classifier import normalize
from undertone.recognition.decision import combine, log_softmax
from undertone.recognition.windows import split_windows
from undertone_training.corpora.splits import PRE_TRAINING
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.dataset import Array, Lesson, variants_of
from undertone_training.learning.runs import Run, RunInfo
from undertone_training.networks import keras_logits
from undertone_training.recipe import Recipe


def classes_of(features: Sequence[ClipFeatures], labels: Sequence[str]) -> NDArray[np.int64]:
    """Index of each clip's emotion in ``labels``."""
    return np.array([labels.index(each.clip.emotion) for each in features], np.int64)


def lesson_of(
    info: RunInfo,
    train: Sequence[ClipFeatures],
    strangers: Sequence[ClipFeatures],
    teachers: Sequence[Run],
) -> Lesson:
    """The lesson of a run: ``train`` by label and teachers, ``strangers`` by teachers alone.

    Raises RunError where a teacher has learnt from a speaker that this run is not trained on, or
    hears or names things otherwise.
    """
    recipe, n_labels = info.recipe, len(info.labels)
    require_fit_to_teach(info, teachers)
    classes = classes_of(train, info.labels)
    targets: list[Array] = [
        np.repeat(np.eye(n_labels, dtype=np.float32)[[one]], len(variants_of(clip)), axis=0)
        for one, clip in zip(classes, train, strict=True)
    ]
    weights = np.ones(len(train) + len(strangers), np.float32)
    if recipe.schedule.class_weights:
        weights[: len(train)] = _class_weights(classes, train, n_labels)
    if recipe.distillation.teachers:
        share = recipe.distillation.weight
        taught = _taught([*train, *strangers], recipe, teachers)
        targets = [
            (1 - share) * own + share * said
            for own, said in zip(targets, taught[: len(train)], strict=True)
        ] + taught[len(train) :]
    turn = round(recipe.distillation.turn * len(train)) if strangers else 0
    return Lesson([*train, *strangers], targets, weights, len(train), turn)


def _class_weights(
    classes: NDArray[np.int64], train: Sequence[ClipFeatures], n_labels: int
) -> NDArray[np.float64]:
    """Each clip's weight, so that every emotion has the same sum of weights."""
    heard = np.array([bool(variants_of(clip)) for clip in train])
    counts = np.bincount(classes[heard], minlength=n_labels)
    weights: NDArray[np.float64] = (heard.sum() / (n_labels * np.maximum(counts, 1)))[classes]
    return weights


def require_fit_to_teach(info: RunInfo, teachers: Sequence[Run]) -> None:
    """Raise RunError where one has learnt from a speaker that this run is not trained on, or
    hears or names things otherwise.
    """
    for teacher in teachers:
        known = teacher.info
        strange = set(known.train_speakers) - set(info.train_speakers)
        if (strange and known.protocol != PRE_TRAINING) or set(known.train) & {
            *info.test,
            *info.validation,
        }:
            raise RunError(
                f"{teacher.folder} can't teach here: it was trained on speakers that this run is "
                "not trained on; train it on the same split."
            )
        if known.recipe.front != info.recipe.front or known.labels != info.labels:
            raise RunError(
                f"{teacher.folder} can't teach here: its features or its labels are not those of "
                f"{info.recipe.name}; give both recipes the same."
            )


def _taught(
    features: Sequence[ClipFeatures], recipe: Recipe, teachers: Sequence[Run]
) -> list[Array]:
    """The mean of the teachers' probabilities for each variant of each clip."""
    variants = [one for clip in features for one in variants_of(clip)]
    said = [_said(variants, teacher) for teacher in teachers]
    mean = np.mean(said, axis=0).astype(np.float32)
    counts = [len(variants_of(clip)) for clip in features]
    return np.split(mean, np.cumsum(counts)[:-1])


def _said(variants: Sequence[Array], teacher: Run) -> NDArray[np.float64]:
    """Probabilities that one teacher gives to each variant, as the device judges: (n, labels)."""
    recipe, normalization = teacher.info.recipe, teacher.calibration.normalization
    logits = keras_logits(keras.models.load_model(teacher.model, compile=False))
    rows: list[NDArray[np.float64]] = []
    for start in range(0, len(variants), 512):
        cuts = [
            split_windows(one.astype(np.float64), recipe.cut)
            for one in variants[start : start + 512]
        ]
        windows = normalize(np.concatenate(cuts), normalization, recipe.mfcc).astype(np.float32)
        logs = log_softmax(logits(windows))
        ends = np.cumsum([len(each) for each in cuts])
        rows += [combine(list(part)) for part in np.split(logs, ends[:-1])]
    return np.exp(rows)
