"""The compact network: plain convolutions over time, then statistics over time.

Neighbouring MFCC coefficients are not more closely related than distant ones, so the
convolutions run over time only and see all coefficients at once. Training and inference are
several times cheaper than with a two-dimensional network of the same accuracy.
"""

from typing import Any

import keras
from keras import layers

from undertone_training.recipe import Recipe

_SPATIAL_DROPOUT = 0.1


def compact(recipe: Recipe, n_classes: int) -> keras.Model:
    """Convolutions, statistics over time, logits; input (frames, width)."""
    window = keras.Input((recipe.window.frames, recipe.frame_width))
    x = window
    last = len(recipe.convolutions) - 1
    for index, (channels, kernel, pooling) in enumerate(recipe.scaled_convolutions):
        x = _convolution(x, channels, kernel)
        if pooling > 1:
            x = layers.MaxPooling1D(pooling)(x)
        if index < last:
            x = layers.SpatialDropout1D(_SPATIAL_DROPOUT)(x)
    x = layers.Dropout(recipe.regularization.dropout)(_pooled(x, recipe.pooling))
    logits = layers.Dense(n_classes, dtype="float32")(x)
    return keras.Model(window, logits, name="compact")


def _convolution(x: Any, channels: int, kernel: int) -> Any:
    x = layers.Conv1D(channels, kernel, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)


def _pooled(x: Any, how: str) -> Any:
    """From (frames, channels) to a vector; each choice converts to full int8."""
    average = layers.GlobalAveragePooling1D()(x)
    if how == "average-max":
        return layers.Concatenate()([average, layers.GlobalMaxPooling1D()(x)])
    if how == "statistics":  # mean and mean absolute deviation: a square would ruin the int8 scale
        centred = layers.Subtract()([x, layers.Reshape((1, x.shape[-1]))(average)])
        spread = layers.Add()(
            [layers.ReLU()(centred), layers.ReLU()(layers.Rescaling(-1.0)(centred))]
        )
        return layers.Concatenate()([average, layers.GlobalAveragePooling1D()(spread)])
    weights = layers.Softmax(axis=1)(layers.Dense(1)(layers.Conv1D(16, 1, activation="relu")(x)))
    attended = layers.Dot(axes=1)([x, weights])
    return layers.Concatenate()([layers.Flatten()(attended), layers.GlobalMaxPooling1D()(x)])
