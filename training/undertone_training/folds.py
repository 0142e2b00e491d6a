"""What the folds of a recipe say of confidence, for a model that holds no actor out."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from undertone_training.errors import RunError
from undertone_training.features import ClipFeatures
from undertone_training.figures import Predictions, choose_threshold, fit_temperature
from undertone_training.fit import keras_logits, predict
from undertone_training.recipe import Recipe
from undertone_training.runs import Run
from undertone_training.splits import DEVELOPMENT_FOLDS


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


def calibrate(
    folds: Sequence[Run], features_of: Callable[[Sequence[str]], list[ClipFeatures]]
) -> tuple[float, float]:
    """Temperature and threshold by the clips that each fold held out.

    Every training actor is judged once, by a network that never heard him or her, so that no
    actor need be kept from the final training.  ``features_of`` gives the clips' features by
    their ids.
    """
    held_out = [[each for each in features_of(fold.info.test) if each.segments] for fold in folds]

    def judged(temperature: float) -> Predictions:
        return Predictions.concatenate(
            [
                predict(
                    features,
                    fold.info.labels,
                    fold.info.recipe,
                    fold.calibration.normalization,
                    keras_logits(keras.models.load_model(fold.model, compile=False)),
                    temperature,
                )
                for fold, features in zip(folds, held_out, strict=True)
            ]
        )

    raw = judged(1.0)
    temperature = fit_temperature(np.log(raw.probabilities), raw.truth)
    return temperature, choose_threshold(judged(temperature))
