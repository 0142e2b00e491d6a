"""The networks of the reference systems, after their descriptions.

Like ours they take windows (frames, coefficients) and return logits.  Sizes that a description
does not give are listed in docs/references.md.  Recurrent layers are unrolled, because they do not
convert to int8 otherwise.
"""

from typing import Any

import keras
from keras import layers

from undertone_training.networks import BUILDERS
from undertone_training.recipe import Recipe


def mfcc_cnn(recipe: Recipe, n_classes: int) -> keras.Model:
    """Two convolutions over the vector of mean MFCC, pooled once at the end."""
    window, x = _vector(recipe)
    for channels in (64, 128):
        x = layers.Conv1D(channels, 5, padding="same", activation="relu")(x)
        x = layers.Dropout(0.3)(x)
    x = layers.Flatten()(layers.MaxPooling1D(2)(x))
    x = layers.Dropout(0.3)(layers.Dense(64, activation="relu")(x))
    return _model(recipe, window, x, n_classes)


def cnn_bigru(recipe: Recipe, n_classes: int) -> keras.Model:
    """Four convolutions and two bidirectional GRUs over the vector of 180 features."""
    window, x = _vector(recipe)
    for channels in (128, 256, 256, 512):
        x = layers.Conv1D(channels, 5, padding="same", activation="relu")(x)
        x = layers.MaxPooling1D(2)(_normalized(x))
        x = layers.Dropout(0.2)(x)
    for units in (256, 128):
        gru = layers.GRU(units, return_sequences=True, unroll=True)
        x = layers.Bidirectional(gru)(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling1D()(x))
    x = layers.Dense(256, activation="relu")(x)
    return _model(recipe, window, x, n_classes)


def cnn_lstm(recipe: Recipe, n_classes: int) -> keras.Model:
    """Two convolutions and an LSTM over the sequence of MFCC."""
    window = x = _window(recipe)
    for channels in (64, 128):
        x = layers.Conv1D(channels, 5, padding="same", activation="relu")(x)
        x = layers.MaxPooling1D(4)(_normalized(x))
        x = layers.Dropout(0.2)(x)
    x = layers.Dropout(0.3)(layers.LSTM(128, unroll=True)(x))
    x = layers.Dense(64, activation="relu")(x)
    return _model(recipe, window, x, n_classes)


def cnn_bilstm(recipe: Recipe, n_classes: int) -> keras.Model:
    """Two convolutions and a bidirectional LSTM over the vector of five kinds of features."""
    window, x = _vector(recipe)
    for channels in (64, 128):
        x = layers.Conv1D(channels, 5, padding="same", activation="relu")(x)
        x = layers.Dropout(0.2)(layers.MaxPooling1D(4)(x))
    x = layers.Bidirectional(layers.LSTM(64, unroll=True))(x)
    return _model(recipe, window, layers.Dropout(0.3)(x), n_classes)


def cnn3d_bilstm(recipe: Recipe, n_classes: int) -> keras.Model:
    """The 3D variant of ``cnn_bilstm``: over seconds, quarters of a second, and features."""
    window = _window(recipe)
    x = layers.Reshape((3, 4, recipe.frame_width, 1))(window)
    for channels, pooling in ((16, (1, 1, 4)), (32, (1, 2, 4))):
        x = layers.Conv3D(channels, (3, 3, 5), padding="same", activation="relu")(x)
        x = layers.Dropout(0.2)(layers.MaxPooling3D(pooling)(x))
    x = layers.Reshape((6, -1))(x)
    x = layers.Bidirectional(layers.LSTM(64, unroll=True))(x)
    return _model(recipe, window, layers.Dropout(0.3)(x), n_classes)


def deep_cnn_1d(recipe: Recipe, n_classes: int) -> keras.Model:
    """Four convolutions over the vector of 162 features; 295 k parameters."""
    window, x = _vector(recipe)
    blocks = ((128, 5, 4, 0.0), (256, 5, 4, 0.0), (128, 3, 4, 0.3), (64, 3, 1, 0.3))
    for channels, kernel, pooling, dropout in blocks:
        x = layers.Conv1D(
            channels, kernel, padding="same", activation="relu", kernel_regularizer=_L2
        )(x)
        x = _normalized(x)
        if pooling > 1:
            x = layers.MaxPooling1D(pooling)(x)
        x = layers.Dropout(dropout)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(64, activation="relu", kernel_regularizer=_L2)(x)
    x = layers.Dropout(0.4)(_normalized(x))
    return _model(recipe, window, x, n_classes)


def light_sernet(recipe: Recipe, n_classes: int) -> keras.Model:
    """LIGHT-SERNet (Aftab et al. 2022): three parallel kernels, then five blocks; 463 k parameters.

    The kernels of 11 x 1, 1 x 9 and 3 x 3 cover time, coefficients, and both.
    """
    window = _window(recipe)
    x = layers.Reshape((*window.shape[1:], 1))(window)
    x = layers.Concatenate()(
        [layers.AveragePooling2D(2)(_block(x, 32, kernel)) for kernel in ((11, 1), (1, 9), (3, 3))]
    )
    for channels, pooling in ((64, (2, 2)), (96, (2, 2)), (128, (2, 1)), (160, (2, 1))):
        x = layers.AveragePooling2D(pooling)(_block(x, channels, (3, 3)))
    x = layers.GlobalAveragePooling2D()(_block(x, 320, (1, 1)))
    return _model(recipe, window, layers.Dropout(0.3)(x), n_classes)


def _normalized(x: Any) -> Any:
    """Batch normalisation; with Keras's momentum of 0.99 it lags several of these short epochs."""
    return layers.BatchNormalization(momentum=0.9)(x)


def _block(x: Any, channels: int, kernel: tuple[int, int]) -> Any:
    weak = keras.regularizers.L2(1e-6)
    x = layers.Conv2D(channels, kernel, padding="same", use_bias=False, kernel_regularizer=weak)(x)
    return layers.ReLU()(_normalized(x))


_L2 = keras.regularizers.L2(1e-4)


def _window(recipe: Recipe) -> Any:
    return keras.Input((recipe.windowing.frames, recipe.frame_width))


def _vector(recipe: Recipe) -> tuple[Any, Any]:
    """The input, one frame of features, and the same reshaped to (coefficients, 1)."""
    window = _window(recipe)
    return window, layers.Reshape((recipe.frame_width, 1))(window)


def _model(recipe: Recipe, window: Any, x: Any, n_classes: int) -> keras.Model:
    logits = layers.Dense(n_classes, dtype="float32")(x)
    return keras.Model(window, logits, name=recipe.network.replace("-", "_"))


BUILDERS |= {
    "mfcc-cnn": mfcc_cnn,
    "cnn-bigru": cnn_bigru,
    "cnn-lstm": cnn_lstm,
    "cnn-bilstm": cnn_bilstm,
    "cnn3d-bilstm": cnn3d_bilstm,
    "deep-cnn-1d": deep_cnn_1d,
    "light-sernet": light_sernet,
}
