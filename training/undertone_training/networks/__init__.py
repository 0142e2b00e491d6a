"""Networks: a recipe and a number of classes in, a Keras model out.

Every network takes windows (frames, coefficients) and returns logits, so that all of them
convert to the same int8 contract.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from undertone.errors import ConfigError
from undertone_training.networks.compact import compact
from undertone_training.networks.spectral import spectral
from undertone_training.recipe import Recipe

BUILDERS: dict[str, Callable[[Any, Recipe], Any]] = {"compact": compact, "spectral": spectral}
"""From windows (batch, frames, coefficients) to a vector of features for each."""


def build(recipe: Recipe, n_classes: int, training: bool = False) -> keras.Model:
    """The untrained network of ``recipe``; raises ConfigError for one that does not exist.

    Returns logits of shape (batch, classes), the mean of the members'.  training: those of each
    member, (batch, members, classes), computed in the recipe's precision; its weights are in
    the same order.
    """
    if recipe.network not in BUILDERS:
        raise ConfigError(
            f"There is no network called {recipe.network}: there are {', '.join(BUILDERS)}."
        )
    keras.config.set_dtype_policy(recipe.schedule.precision if training else "float32")
    try:
        windows = keras.Input((recipe.window.frames, recipe.mfcc.n_coefficients))
        members = [_member(windows, recipe, n_classes) for _ in range(recipe.members)]
        if training:
            said = [layers.Reshape((1, n_classes), dtype="float32")(each) for each in members]
            joined = layers.Concatenate(axis=1, dtype="float32")(said) if said[1:] else said[0]
            return keras.Model(windows, joined)
        return keras.Model(windows, layers.Average()(members) if members[1:] else members[0])
    finally:
        keras.config.set_dtype_policy("float32")


def _member(windows: Any, recipe: Recipe, n_classes: int) -> Any:
    features = BUILDERS[recipe.network](windows, recipe)
    features = layers.Dropout(recipe.regularization.dropout)(features)
    return layers.Dense(n_classes, dtype="float32")(features)


def multiply_accumulates(model: keras.Model) -> int:
    """Multiply-accumulates of one window: those of convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D):
            positions = math.prod(layer.output.shape[1:-1])
            total += positions * math.prod(layer.kernel.shape)
    return total
