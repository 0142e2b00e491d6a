"""Full int8: every operator, every network, and the same answers."""

import keras
import msgspec
import numpy as np
import pytest
from miniature import Pipeline, small

from undertone.recognition.classifier import dequantize, quantize
from undertone.recognition.interpreter import Int8Interpreter
from undertone_training.export.quantize import convert
from undertone_training.networks import build, multiply_accumulates

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_a_quantised_model_is_int8_from_end_to_end(pipeline: Pipeline) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=pipeline.final.tflite.read_bytes())
    interpreter.allocate_tensors()
    dtypes = {np.dtype(each["dtype"]).name for each in interpreter.get_tensor_details()}
    assert dtypes <= {"int8", "int32"}  # int32: biases and shapes
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], tuple(given["shape"])) == (np.int8, (1, 64, 40))
    assert (got["dtype"], tuple(got["shape"])) == (np.int8, (1, 8))


@pytest.mark.parametrize(
    ("network", "pooling"),
    [
        ("compact", "average-max"),
        ("compact", "statistics"),
        ("compact", "attention"),
        ("spectral", "average-max"),
    ],
)
def test_every_network_converts_to_int8_with_the_same_answers(network: str, pooling: str) -> None:
    recipe = msgspec.structs.replace(
        small(), network=network, pooling=pooling, width=1.0, convolutions=((16, 3, 2), (16, 3, 1))
    )
    keras.utils.set_random_seed(0)
    model = build(recipe, 8)
    windows = np.random.default_rng(0).normal(size=(60, 64, recipe.frame_width)).astype(np.float32)
    content = convert(model, windows)
    int8 = Int8Interpreter(content, runtime="litert")
    assert (int8.input.dtype, int8.output.shape) == ("int8", (1, 8))
    answers = [
        dequantize(
            int8.invoke(quantize(each[np.newaxis], int8.input.scale, int8.input.zero_point))[0],
            int8.output.scale,
            int8.output.zero_point,
        )
        for each in windows
    ]
    wanted = np.asarray(model(windows))
    assert np.corrcoef(np.ravel(answers), wanted.ravel())[0, 1] > 0.999
    assert multiply_accumulates(model) > 10_000
    assert b"conv1d" not in content  # the names of tensors are stripped
