"""VGGish's embeddings (Hershey et al. 2017), from a weights file that the user provides.

The pre-trained weights do not come with this program.  The file is a NumPy archive (.npz)
of arrays named ``conv1/weights``, ``conv1/biases`` ... ``embedding/biases``, of the published
shapes (``LAYERS``); no pickled objects are read.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone_training.errors import RunError

SIZE = 128
"""Length of an embedding."""

FRAMES, BANDS = 96, 64
"""Shape of an example: 0.96 s of a log mel spectrogram, in frames of 10 ms."""

_CONVOLUTIONS = {
    "conv1": (1, 64),
    "conv2": (64, 128),
    "conv3/conv3_1": (128, 256),
    "conv3/conv3_2": (256, 256),
    "conv4/conv4_1": (256, 512),
    "conv4/conv4_2": (512, 512),
}
_POOLED_AFTER = ("conv1", "conv2", "conv3/conv3_2", "conv4/conv4_2")
_DENSE = {
    "fc1/fc1_1": (6 * 4 * 512, 4096),
    "fc1/fc1_2": (4096, 4096),
    "embedding": (4096, SIZE),
}

LAYERS = {name: (3, 3, *sizes) for name, sizes in _CONVOLUTIONS.items()} | _DENSE
"""Shape of each layer's ``weights``; its ``biases`` have the last of these lengths."""


def digest(path: Path) -> str:
    """SHA-256 of the file; raises RunError if it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(
            f"The VGGish weights {path} can't be read ({error.strerror}): name another file in the "
            'recipe, or use vggish = "".'
        ) from error


def load(path: Path) -> dict[str, NDArray[np.float32]]:
    """The layers' arrays by name; raises RunError for a file that does not contain them."""
    digest(path)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in stored.files}
    except Exception as error:  # a damaged file fails in many ways: zipfile, zlib, ValueError
        raise RunError(f"{path} is not an .npz file of VGGish weights ({error}).") from error
    for layer, shape in LAYERS.items():
        for name, wanted in ((f"{layer}/weights", shape), (f"{layer}/biases", shape[-1:])):
            found = arrays[name].shape if name in arrays else "missing"
            if found != wanted:
                raise RunError(f"{path}: {name} is {found} where VGGish has the shape {wanted}.")
    return arrays


def embedding(path: Path, sound: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Mean embedding of mono sound at 16 kHz, shape (128,)."""
    mean: NDArray[np.float32] = np.asarray(_network(path)(examples(sound))).mean(axis=0)
    return mean


def examples(sound: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Log mel spectrograms, (examples, frames, bands, 1): 25 ms frames, 125 Hz to 7.5 kHz.

    Sound shorter than one example is padded with zeros; an incomplete last example is dropped.
    """
    import librosa

    length, hop = round(0.025 * SAMPLE_RATE_HZ), round(0.010 * SAMPLE_RATE_HZ)
    short = max(0, length + (FRAMES - 1) * hop - len(sound))
    mel = librosa.feature.melspectrogram(
        y=np.pad(sound, (0, short)), sr=SAMPLE_RATE_HZ, n_fft=512, win_length=length,
        hop_length=hop, center=False, power=1.0, n_mels=BANDS, fmin=125, fmax=7500,
        htk=True, norm=None,
    )  # fmt: skip
    frames = np.log(mel.T + 0.01).astype(np.float32)
    count = len(frames) // FRAMES
    whole: NDArray[np.float32] = frames[: count * FRAMES]
    return whole.reshape(count, FRAMES, BANDS, 1)


@lru_cache(maxsize=1)
def _network(path: Path) -> Any:
    """The network with the file's weights."""
    import keras
    from keras import layers

    arrays = load(path)
    window = keras.Input((FRAMES, BANDS, 1))
    x: Any = window
    for name, (_, channels) in _CONVOLUTIONS.items():
        x = layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
        if name in _POOLED_AFTER:
            x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _, units in _DENSE.values():
        x = layers.Dense(units, activation="relu")(x)
    model = keras.Model(window, x)
    model.set_weights(
        [arrays[f"{name}/{kind}"] for name in LAYERS for kind in ("weights", "biases")]
    )
    return model
