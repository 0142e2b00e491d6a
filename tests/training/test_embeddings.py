"""The embeddings of a network: what its last dense layer gets, of ours and of others' networks."""

import keras
import numpy as np
import pytest
from keras import layers

from undertone_training import recipe as recipes
from undertone_training.evaluation.embeddings import without_last_layer
from undertone_training.networks import build

# TensorFlow is imported into one worker only.
pytestmark = pytest.mark.xdist_group("tensorflow")


def conventional() -> keras.Model:
    """As published systems are built: a vector in, several dense layers, softmax apart."""
    return keras.Sequential(
        [
            keras.Input((40, 1)),
            layers.Conv1D(8, 5, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(8),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("name", [*recipes.names(), "conventional"])
def test_the_last_layer_makes_logits_of_the_embedding(name: str) -> None:
    model = conventional() if name == "conventional" else build(recipes.load(name), 8)
    windows = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:]))
    embedded = without_last_layer(model).predict_on_batch(windows)
    assert embedded.shape[0] == 3
    last = [layer for layer in model.layers if isinstance(layer, layers.Dense)][-1]
    said = last(embedded)
    if name == "conventional":
        said = keras.ops.softmax(said)
    assert np.allclose(said, model.predict_on_batch(windows), atol=1e-5)
