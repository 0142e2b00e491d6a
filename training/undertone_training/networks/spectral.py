"""A two-dimensional network: cepstrum back to spectrum, then convolutions over both axes.

A trainable matrix that is initialised as the inverse cosine transform turns the coefficients
back into bands, so that a small kernel can find a formant at any frequency.
"""

import keras
import numpy as np
from keras import layers
from scipy.fftpack import dct

from undertone_training.recipe import Recipe

_SPATIAL_DROPOUT = 0.1


def spectral(recipe: Recipe, n_classes: int) -> keras.Model:
    """Bands, convolutions over time and frequency, statistics over time, logits."""
    frames, n = recipe.window.frames, recipe.mfcc.n_coefficients
    window = keras.Input((frames, n))
    cosines = dct(np.eye(n), type=2, axis=0, norm="ortho")
    bands = layers.Dense(n, use_bias=False, kernel_initializer=keras.initializers.Constant(cosines))
    x = layers.Reshape((frames, n, 1))(bands(window))
    last = len(recipe.convolutions) - 1
    for index, (channels, kernel, pooling) in enumerate(recipe.scaled_convolutions):
        x = layers.Conv2D(channels, kernel, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
        if pooling > 1:
            x = layers.MaxPooling2D(pooling)(x)
        if index < last:
            x = layers.SpatialDropout2D(_SPATIAL_DROPOUT)(x)
    over_time = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    pooled = [layers.GlobalAveragePooling1D()(over_time), layers.GlobalMaxPooling2D()(x)]
    x = layers.Dropout(recipe.regularization.dropout)(layers.Concatenate()(pooled))
    return keras.Model(window, layers.Dense(n_classes, dtype="float32")(x), name="spectral")
