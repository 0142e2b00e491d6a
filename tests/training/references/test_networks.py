"""The recipes and networks of the reference systems, and their int8 form."""

import keras
import numpy as np
import pytest

import undertone_training.references.networks  # noqa: F401  so that they can be built
from undertone.recognition.classifier import dequantize, quantize
from undertone.recognition.interpreter import Int8Interpreter
from undertone_training import recipe as recipes
from undertone_training.export.quantize import convert
from undertone_training.networks import build
from undertone_training.recipe import Recipe
from undertone_training.references.features import ReferenceFeatures
from undertone_training.references.table import PUBLISHED

pytestmark = pytest.mark.xdist_group("references")

PARAMETERS = {"deep-cnn-1d": 295_000, "light-sernet": 463_000}


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_system_is_a_recipe_that_takes_its_features(name: str) -> None:
    recipe = recipes.load(name)
    model = build(recipe, 8)
    assert model.input_shape == (None, *ReferenceFeatures(recipe.features).shape)
    assert model.output_shape == (None, 8)
    changed = recipe.regularization
    assert not (changed.mixup or changed.time_masks or changed.coefficient_masks)
    if name in PARAMETERS:
        assert model.count_params() == pytest.approx(PARAMETERS[name], rel=0.01)


def test_the_bigru_has_the_layers_of_its_description() -> None:
    model = build(recipes.load("cnn-bigru"), 8)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv1D") == kinds.count("MaxPooling1D") == 4
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv1D)] == [
        128, 256, 256, 512,
    ]  # fmt: skip
    recurrent = [x for x in model.layers if isinstance(x, keras.layers.Bidirectional)]
    assert [layer.output.shape[-1] for layer in recurrent] == [512, 256]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": "mel"}, "features must be one of device, mfcc-mean"),
        ({"features": "mfcc-mean"}, "vocal_tract, tempo, background and level"),
        ({"vggish": "weights.npz"}, "features of a reference system"),
    ],
)
def test_settings_that_do_not_go_with_the_features_are_refused(
    changes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe("mine", **changes)


def test_int8_survives_a_normalisation_that_scales_what_a_relu_lets_through() -> None:
    keras.utils.set_random_seed(0)
    window = keras.Input((1, 40))
    x = keras.layers.Dense(64, activation="relu")(window)
    x = keras.layers.BatchNormalization(name="scaling")(x)
    model = keras.Model(window, keras.layers.Dense(8)(x))
    scaling = model.get_layer("scaling")
    factors = np.geomspace(4, 30, 64) * np.where(np.arange(64) % 9, 1, -1)
    scaling.set_weights([factors, np.full(64, -0.5), np.full(64, 0.1), np.full(64, 0.9)])
    windows = np.random.default_rng(0).normal(0, 1, (200, 1, 40)).astype(np.float32)
    wanted = model.predict(windows, verbose=0)[:, 0]
    interpreter = Int8Interpreter(convert(model, windows), runtime="litert")
    into, out = interpreter.input, interpreter.output
    found = [
        dequantize(
            interpreter.invoke(quantize(each[np.newaxis], into.scale, into.zero_point))[0],
            out.scale,
            out.zero_point,
        ).ravel()
        for each in windows
    ]
    assert np.std(found - wanted) < 0.05 * np.std(wanted)
