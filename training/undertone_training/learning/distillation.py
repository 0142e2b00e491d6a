"""Training targets: the labels of the clips, and the soft targets of trained networks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.recognition.classifier import normalize
from undertone.recognition.decision import combine, log_softmax
from undertone.recognition.windows import split_windows
from undertone_training.corpora.splits import PRE_TRAINING
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import Array, classes_of, variant_lengths, variants_of
from undertone_training.lazy import joined
from undertone_training.learning.runs import Run, RunInfo
from undertone_training.networks import keras_logits
from undertone_training.recipe import Recipe

ABSENT = -1.0
"""In place of the probability of a label that a clip's corpus lacks: the loss leaves it out."""


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of some clips: first the labelled ones, then the unlabelled.

    probabilities: for each variant of one clip after the other, shape (variants, labels);
        ``ABSENT`` for a label that the clip's corpus lacks.
    weights: of each clip in the loss, shape (clips,).
    drawn_by: how often a labelled clip is drawn, in relation to others, shape (clips,).
    n_labelled: number of labelled clips; all of them are in every epoch.
    n_unlabelled: number of unlabelled clips in an epoch.
    """

    probabilities: Array
    weights: Array
    drawn_by: Array
    n_labelled: int
    n_unlabelled: int = 0


def targets_of(
    info: RunInfo,
    train: Sequence[ClipFeatures],
    unlabelled: Sequence[ClipFeatures],
    teachers: Sequence[Run],
) -> Targets:
    """Targets of ``train``, from labels and teachers, then of ``unlabelled``, from teachers alone.

    Raises RunError for a teacher that was trained on speakers that this run is not trained on,
    or that has other features or labels.
    """
    recipe, n_labels = info.recipe, len(info.labels)
    require_usable(teachers, info)
    classes = classes_of(train, info.labels)
    corpora = np.array([each.clip.corpus for each in train])
    rows = np.eye(n_labels, dtype=np.float32)[classes]
    for corpus in set(corpora) if recipe.beside else ():
        of_corpus = corpora == corpus
        absent = np.setdiff1d(np.arange(n_labels), classes[of_corpus])
        rows[np.ix_(of_corpus, absent)] = ABSENT
    counts = np.fromiter((len(variant_lengths(clip)) for clip in train), np.intp, len(train))
    probabilities = np.repeat(rows, counts, axis=0)
    weights = np.ones(len(train) + len(unlabelled), np.float32)
    if recipe.schedule.class_weights and not recipe.schedule.epoch_windows:
        weights[: len(train)] = _class_weights(classes, train, n_labels)
    if recipe.distillation.teachers:
        share = recipe.distillation.weight
        soft = _soft_targets(joined(train, unlabelled), teachers)
        n = len(probabilities)
        mixed = (1 - share) * probabilities + share * soft[:n]
        probabilities = np.concatenate([mixed, soft[n:]])
    n_unlabelled = round(recipe.distillation.turn * len(train)) if unlabelled else 0
    channels = np.array([each.clip.channel for each in train])
    drawn_by = _drawn_by(corpora, channels, classes, recipe)
    return Targets(probabilities, weights, drawn_by, len(train), n_unlabelled)


def require_usable(runs: Sequence[Run], info: RunInfo) -> None:
    """Raise RunError if one of ``runs``, a teacher or a first stage of the run that ``info``
    describes, was trained on speakers that this run is not trained on, or has other features or
    labels.
    """
    for run in runs:
        known = run.info
        others = set(known.train_speakers) - set(info.train_speakers)
        if (others and known.protocol != PRE_TRAINING) or set(known.train) & {
            *info.test,
            *info.validation,
        }:
            raise RunError(
                f"{run.folder} can't be used here: it was trained on speakers that this run is "
                "not trained on; train it on the same split."
            )
        recipe, other = info.recipe, known.recipe
        if (other.front_end, other.labels) != (recipe.front_end, recipe.labels):
            raise RunError(
                f"{run.folder} can't be used here: its features or its labels are not those of "
                f"{info.recipe.name}; give both recipes the same."
            )
        if lacking := sorted({*known.labels} ^ {*info.labels}):
            raise RunError(
                f"{run.folder} can't be used here: only one of the two trainings has clips that "
                f"are {', '.join(lacking)}; add such clips to the data folder, or leave the "
                "emotion out of the `labels` of both recipes."
            )


def _class_weights(
    classes: NDArray[np.int64], train: Sequence[ClipFeatures], n_labels: int
) -> NDArray[np.float64]:
    """The weight of each clip, such that the weights of each emotion have the same sum."""
    usable = np.array([bool(variant_lengths(clip)) for clip in train])
    counts = np.bincount(classes[usable], minlength=n_labels)
    weights: NDArray[np.float64] = (usable.sum() / (n_labels * np.maximum(counts, 1)))[classes]
    return weights


def _drawn_by(
    corpora: NDArray[np.str_],
    channels: NDArray[np.str_],
    classes: NDArray[np.int64],
    recipe: Recipe,
) -> Array:
    """How often each clip is drawn in relation to others, shape (clips,).

    Each corpus as often as the recipe says, its speech and its song in proportion to their numbers
    of clips, in either each emotion equally often, and each of its clips.
    """
    often = dict(zip((recipe.corpus, *recipe.beside), recipe.drawn, strict=False))
    drawn_by = np.zeros(len(classes), np.float32)
    for corpus, channel in set(zip(corpora, channels, strict=True)):
        of_corpus = corpora == corpus
        of_channel = of_corpus & (channels == channel)
        share = often.get(corpus, 1.0) * of_channel.sum() / of_corpus.sum()
        emotions = np.unique(classes[of_channel])
        for emotion in emotions:
            those = of_channel & (classes == emotion)
            drawn_by[those] = share / (len(emotions) * those.sum())
    return drawn_by


def _soft_targets(features: Sequence[ClipFeatures], teachers: Sequence[Run]) -> Array:
    """The mean of the teachers' probabilities for each variant, shape (variants, labels)."""
    mean: NDArray[np.float64] = np.mean(
        [_probabilities(features, each) for each in teachers], axis=0
    )
    return mean.astype(np.float32)


def _probabilities(features: Iterable[ClipFeatures], teacher: Run) -> NDArray[np.float64]:
    """One teacher's probabilities for each variant, combined as on the device: (n, labels)."""
    recipe, normalization = teacher.info.recipe, teacher.calibration.normalization
    logits = keras_logits(keras.models.load_model(teacher.model, compile=False))
    variants = (one for clip in features for one in variants_of(clip))
    rows: list[NDArray[np.float64]] = []
    while some := list(islice(variants, 512)):
        cuts = [split_windows(one.astype(np.float64), recipe.windowing) for one in some]
        windows = normalize(np.concatenate(cuts), normalization, recipe.mfcc).astype(np.float32)
        logs = log_softmax(logits(windows))
        ends = np.cumsum([len(each) for each in cuts])
        rows += [combine(list(part)) for part in np.split(logs, ends[:-1])]
    return np.exp(rows)
