"""What the folds of a recipe say of confidence, for a model that holds no actor out."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import keras
import msgspec

from undertone_training.corpora.splits import DEVELOPMENT_FOLDS
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.fit import predict
from undertone_training.learning.runs import Run
from undertone_training.metrics import Predictions, fit_confidence
from undertone_training.networks import keras_logits
from undertone_training.recipe import Recipe

FeaturesOf = Callable[[Sequence[str]], list[ClipFeatures]]
"""Features of clips by their ids."""


def folds_of(recipe: Recipe, runs: Sequence[Run]) -> list[Run]:
    """One finished run of ``recipe`` for every development fold; raises RunError."""
    found: dict[str, Run] = {}
    for run in runs:
        if run.info.recipe == recipe and run.info.protocol == "speaker-independent":
            found.setdefault(run.info.split, run)
    if len(found) < len(DEVELOPMENT_FOLDS):
        raise RunError(
            f"{len(found)} of the {len(DEVELOPMENT_FOLDS)} development folds of {recipe.name} are "
            f"trained: run `undertone-train fit --recipe {recipe.name}` first."
        )
    return list(found.values())


def calibrate(folds: Sequence[Run], features_of: FeaturesOf) -> tuple[float, float]:
    """Temperature and threshold by the clips that each fold held out.

    Every training actor is judged once, by a network that never heard him or her, so that no
    actor need be kept from the final training.
    """
    return fit_confidence(Predictions.concatenate([_judged(fold, features_of) for fold in folds]))


def close(runs: Sequence[Run], features_of: FeaturesOf) -> list[Run]:
    """Give each run that validated on nobody a temperature and a threshold; returns the others.

    They come from what the other folds of its recipe and seed said of the speakers that they
    held out, all of whom are training actors here.  A run without such folds stays open.
    """
    groups: dict[tuple[Recipe, str, int], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.info.recipe, run.info.protocol, run.info.seed].append(run)
    left = []
    for group in groups.values():
        if all(run.calibration.temperature is not None for run in group):
            continue
        judged = {run.folder: _judged(run, features_of) for run in group}
        for run in group:
            trained = set(run.info.train_speakers)
            others = [each for each in judged.values() if set(each.speakers) <= trained]
            if not others:
                left.append(run)
                continue
            temperature, threshold = fit_confidence(Predictions.concatenate(others))
            run.save(
                msgspec.structs.replace(
                    run.calibration, temperature=temperature, threshold=threshold
                )
            )
    return left


def _judged(fold: Run, features_of: FeaturesOf) -> Predictions:
    """What a fold's network says of the clips that it held out and that are heard."""
    return predict(
        [each for each in features_of(fold.info.test) if each.segments],
        fold.info.labels,
        fold.info.recipe,
        fold.calibration.normalization,
        keras_logits(keras.models.load_model(fold.model, compile=False)),
        temperature=1.0,
    )
