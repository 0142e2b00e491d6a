"""Network builders: each makes a Keras model from a recipe and a number of classes.

Every network takes windows (frames, width) and returns logits, so that all of them
convert to the same int8 contract.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.errors import ConfigError
from undertone_training.networks.compact import compact
from undertone_training.networks.spectral import spectral
from undertone_training.recipe import Recipe

BUILDERS: dict[str, Callable[[Recipe, int], keras.Model]] = {
    "compact": compact,
    "spectral": spectral,
}
"""By the name in a recipe; ``references.networks`` adds those of the reference systems
when it is imported."""

_COUNTED = (
    keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
)  # fmt: skip

WindowLogits = Callable[[NDArray[np.float32]], NDArray[np.float64]]
"""Normalised windows (n, frames, width) to logits (n, classes)."""


def build(recipe: Recipe, n_classes: int, training: bool = False) -> keras.Model:
    """The untrained network of ``recipe``; raises ConfigError for an unknown one.

    training: computes in the recipe's precision, otherwise in float32; the weights are the same.
    """
    if recipe.network not in BUILDERS:
        raise ConfigError(
            f"There is no network called {recipe.network}: there are {', '.join(BUILDERS)}."
        )
    keras.config.set_dtype_policy(recipe.schedule.precision if training else "float32")
    try:
        return BUILDERS[recipe.network](recipe, n_classes)
    finally:
        keras.config.set_dtype_policy("float32")


def keras_logits(model: keras.Model) -> WindowLogits:
    """A Keras model as a function of windows."""

    def logits(windows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(model.predict_on_batch(windows), np.float64)

    return logits


def parameters(model: keras.Model) -> int:
    """Weights and biases, as ``undertone bench`` counts them in the int8 model.

    The conversion folds the four numbers that batch normalisation keeps for each channel into one.
    """
    channels = sum(
        layer.gamma.shape[0]
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    return int(model.count_params() - 3 * channels)


def multiply_accumulates(model: keras.Model) -> int:
    """Multiply-accumulates of one window, in convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, _COUNTED):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
    return total
