"""Out-of-fold calibration: temperature and threshold for runs that hold no speaker out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import keras

from undertone_training.corpora.clip import Clip
from undertone_training.corpora.clips import ById, with_labels
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS, LEAVE_ONE_CORPUS_OUT
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures, FeatureCache
from undertone_training.learning.predict import predict
from undertone_training.learning.runs import Run, clips_of, find_runs
from undertone_training.metrics import Confidence, Predictions, fit_confidence
from undertone_training.networks import keras_logits
from undertone_training.recipe import Recipe

HeldOut = Callable[[Sequence[Run]], list[Predictions]]
"""Predictions of each run's network for the clips that it held out and that contain speech."""


def from_cache(clips: Sequence[Clip], cache: FeatureCache) -> HeldOut:
    """With features from a cache, each run in one of its jobs; clips: all that are available."""
    by_id = ById(clips)

    def held_out(runs: Sequence[Run]) -> list[Predictions]:
        tests = [with_labels(clips_of(by_id, run.info.test), run.info.labels) for run in runs]
        jobs = cache.jobs.with_tensorflow
        kept = cache
        if not jobs.in_this_process(len(runs)):
            kept = cache.in_a_job
            for run, test in zip(runs, tests, strict=True):
                cache.compute(test, run.info.recipe, "folds")
        work = [(run, test, kept) for run, test in zip(runs, tests, strict=True)]
        return list(jobs.map(_held_out, work))

    return held_out


def confidence_of(
    recipe: Recipe, folder: Path, clips: Sequence[Clip], cache: FeatureCache
) -> Confidence:
    """Temperature and threshold from the folds of ``recipe`` in ``folder``.

    The development folds, or for a recipe of several corpora those that left one of them out, as
    the voices that it will hear are of none.  Raises RunError unless all of them are there.
    """
    protocol, number = "speaker-independent", len(DEVELOPMENT_FOLDS)
    if recipe.beside:
        protocol, number = LEAVE_ONE_CORPUS_OUT, 1 + len(recipe.beside)
    folds: dict[str, Run] = {}
    for run in find_runs(folder):
        if run.info.recipe == recipe and run.info.protocol == protocol:
            folds.setdefault(run.info.split, run)
    if len(folds) < number:
        raise RunError(
            f"{len(folds)} of the {number} folds of {recipe.name} are trained: run "
            f"`undertone-train fit --recipe {recipe.name} --protocol {protocol}` first."
        )
    return fit_on_held_out(list(folds.values()), from_cache(clips, cache))


def fit_on_held_out(folds: Sequence[Run], held_out: HeldOut) -> Confidence:
    """Temperature and threshold, fitted on the clips that each fold held out.

    Every training actor is predicted once, by a network that was not trained on this actor, so
    that the final training need not hold anyone out.
    """
    return _fitted(
        held_out(folds),
        all(fold.info.protocol == LEAVE_ONE_CORPUS_OUT for fold in folds),
    )


LEAST_COVERAGE_ELSEWHERE = 0.25
"""Share of the clips that keep a verdict, in the mean of the corpora left out: fewer than of new
speakers of a corpus that was trained on, so that more of the verdicts are right.  With the
network of all corpora, 24 % of the clips of new speakers of CREMA-D then get a verdict, 50 % in
RAVDESS, 23 % in CASIA and 37 % in ASED (``EXPERIMENTS.md``)."""


def _fitted(held_out: Sequence[Predictions], elsewhere: bool) -> Confidence:
    if elsewhere:
        return fit_confidence(held_out, LEAST_COVERAGE_ELSEWHERE)
    return fit_confidence([Predictions.concatenate(held_out)])


def calibrate(runs: Sequence[Run], held_out: HeldOut) -> list[Run]:
    """Save temperature and threshold for each run that has none; returns those still without.

    They are fitted on the predictions of other folds, of the same recipe and seed, for the clips
    that those held out, as far as all of them are training clips of this run and the labels are the
    same (another corpus may lack some). A run without such folds stays uncalibrated.
    """
    groups: dict[tuple[Recipe, str, int], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.info.recipe, run.info.protocol, run.info.seed].append(run)
    lacking = [
        group
        for group in groups.values()
        if any(run.calibration.temperature is None for run in group)
    ]
    tested = [run for group in lacking for run in group if run.info.test]
    found = dict(zip((run.folder for run in tested), held_out(tested), strict=True))
    uncalibrated = []
    for group in lacking:
        predictions = [found[run.folder] for run in group if run.folder in found]
        for run in group:
            trained = set(run.info.train)  # not speakers: two corpora may have the same names
            others = [
                each
                for each in predictions
                if set(each.clip_ids) <= trained and each.labels == run.info.labels
            ]
            if not others:
                uncalibrated.append(run)
                continue
            elsewhere = run.info.protocol == LEAVE_ONE_CORPUS_OUT
            run.save(run.calibration.with_confidence(_fitted(others, elsewhere)))
    return uncalibrated


def predict_held_out(fold: Run, features: Iterable[ClipFeatures]) -> Predictions:
    """Predictions of a fold's network for those of the clips that contain speech."""
    return predict(
        (each for each in features if each.segments),
        fold.info.labels,
        fold.info.recipe,
        fold.calibration.normalization,
        keras_logits(keras.models.load_model(fold.model, compile=False)),
        temperature=1.0,
    )


def _held_out(job: tuple[Run, Sequence[Clip], FeatureCache]) -> Predictions:
    run, test, features = job
    return predict_held_out(run, features.compute(test, run.info.recipe, "folds"))
