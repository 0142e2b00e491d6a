"""The embeddings of a network: what its last dense layer gets, of ours and of others' networks."""

import keras
import numpy as np
import pytest
from example_report import EMBEDDED, MAP
from keras import layers

import undertone_training.references.networks  # noqa: F401  so that every network can be built
from undertone_training import recipe as recipes
from undertone_training.evaluation.embeddings import map_embeddings, without_last_layer
from undertone_training.networks import build

pytestmark = pytest.mark.xdist_group("networks")


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
    both = keras.Model(model.inputs, [*without_last_layer(model).outputs, *model.outputs])
    embedded, logits = both.predict_on_batch(windows)
    assert embedded.shape[0] == 3
    last = [layer for layer in model.layers if isinstance(layer, layers.Dense)][-1]
    said = last(embedded)
    if name == "conventional":
        said = keras.ops.softmax(said)
    assert np.allclose(said, logits, atol=1e-5)


def test_a_map_is_the_same_at_every_call_and_keeps_neighbours() -> None:
    again = map_embeddings("x", MAP.emotions, EMBEDDED)
    assert again
    assert np.array_equal(again.points, MAP.points)
    corners = np.repeat(10 * np.eye(3), 30, axis=0)
    crowd = np.random.default_rng(3).normal(size=(90, 3)) * 0.1 + corners
    placed = map_embeddings("x", ["sad"] * 90, crowd)
    assert placed
    distances = np.linalg.norm(placed.points[:, None] - placed.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) // 30 == np.arange(90) // 30).all()


@pytest.mark.parametrize("embedded", [np.eye(4), np.ones((20, 3))])
def test_of_few_or_equal_embeddings_there_is_no_map(embedded: np.ndarray) -> None:
    assert map_embeddings("x", ["sad"] * len(embedded), embedded) is None
