"""The compact network: plain convolutions over time, pooled by average and maximum.

An MFCC's coefficients have no order in which neighbours mean more than others, so the
convolutions run over time alone and see all coefficients at once.  This is several times
cheaper than a two-dimensional network of the same accuracy, to train as to run.
"""

from typing import Any

import keras
from keras import layers

from undertone_training.recipe import Recipe

_CHANNELS = ((64, 5, 1), (64, 5, 2), (96, 5, 2), (96, 3, 1))
"""Channels, kernel in frames and pooling after each convolution."""

_SPATIAL_DROPOUT = 0.1


def compact(recipe: Recipe, n_classes: int) -> keras.Model:
    """Four convolutions, statistics over time, logits; input (frames, coefficients)."""
    window = keras.Input((recipe.window.frames, recipe.mfcc.n_coefficients))
    x = window
    for index, (channels, kernel, pooling) in enumerate(_CHANNELS):
        x = _convolution(x, round(channels * recipe.width / 8) * 8, kernel)
        if pooling > 1:
            x = layers.MaxPooling1D(pooling)(x)
        if index < len(_CHANNELS) - 1:
            x = layers.SpatialDropout1D(_SPATIAL_DROPOUT)(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    x = layers.Dropout(recipe.regularization.dropout)(x)
    return keras.Model(window, layers.Dense(n_classes)(x), name="compact")


def _convolution(x: Any, channels: int, kernel: int) -> Any:
    x = layers.Conv1D(channels, kernel, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x)
