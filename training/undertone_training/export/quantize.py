"""Full int8: int8 in, int8 out, every operator; by post-training quantisation."""

import warnings
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.tools import flatbuffer_utils

from undertone.recognition.bundle import Normalization, Quantization
from undertone.recognition.classifier import dequantize, quantize
from undertone.recognition.interpreter import Int8Interpreter
from undertone.support.native_output import STDERR, STDOUT, silenced
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.dataset import windows_of
from undertone_training.learning.runs import Run
from undertone_training.networks import WindowLogits
from undertone_training.recipe import Recipe

REPRESENTATIVE_WINDOWS = 500


def quantize_run(run: Run, train: Sequence[ClipFeatures], normalization: Normalization) -> None:
    """Write the run's model.tflite and quantization.json.

    The representative windows are the training clips' own, as the gate cuts them: silence
    or padding among them would spoil the scale of the input.
    """
    info = run.info
    windows = representative(train, info.recipe, normalization, info.seed)
    content = convert(keras.models.load_model(run.model), windows)
    run.tflite.write_bytes(content)
    interpreter = Int8Interpreter(content)
    run.save(
        Quantization(
            interpreter.input.scale,
            interpreter.input.zero_point,
            interpreter.output.scale,
            interpreter.output.zero_point,
        )
    )


def representative(
    train: Sequence[ClipFeatures], recipe: Recipe, normalization: Normalization, seed: int
) -> NDArray[np.float32]:
    """Windows that stand for all: drawn from the training clips, (n, frames, coefficients)."""
    order = np.random.default_rng(seed).permutation(len(train))[:REPRESENTATIVE_WINDOWS]
    windows = np.concatenate([windows_of(train[index], recipe, normalization) for index in order])
    return windows[:REPRESENTATIVE_WINDOWS]


def convert(model: keras.Model, windows: NDArray[np.float32]) -> bytes:
    """The model as a full-int8 TFLite file with a fixed batch of one."""

    def representative_dataset() -> Iterator[list[NDArray[np.float32]]]:
        for window in windows:
            yield [window[np.newaxis]]

    window = keras.Input(batch_shape=(1, *model.input_shape[1:]))
    fixed = keras.Model(window, with_factors_before_relu(model)(window, training=False))
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative_dataset
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with silenced(STDOUT, STDERR), warnings.catch_warnings(action="ignore"):
        return without_names(converter.convert())


def with_factors_before_relu(model: keras.Model) -> keras.Model:
    """The same function, where no batch normalisation scales what comes out of a ReLU.

    The converter gives the ReLU's output the scale of what the factors make of it, and a few
    of its 256 steps are left.  Moved into the weights before the ReLU, the factors cost nothing;
    those of the other normalisations, which no ReLU precedes, the converter moves itself.
    """
    changed = keras.models.clone_model(model)
    changed.set_weights(model.get_weights())
    for normalization in changed.layers:
        if not isinstance(normalization, keras.layers.BatchNormalization):
            continue
        before = normalization.input._keras_history.operation
        alone = len(before._outbound_nodes) == 1
        if not alone or getattr(before, "activation", None) is not keras.activations.relu:
            continue
        gamma, beta, mean, variance = normalization.get_weights()
        factor = gamma / np.sqrt(variance + normalization.epsilon)
        # its sign can't pass the ReLU
        before.set_weights([weights * np.abs(factor) for weights in before.get_weights()])
        unit = np.full_like(variance, 1 - normalization.epsilon)
        shift = beta - mean * factor
        normalization.set_weights([np.sign(factor), shift, np.zeros_like(mean), unit])
    return changed


def without_names(content: bytes) -> bytes:
    """The .tflite file without what only people read: names of tensors, several kilobytes."""
    model = flatbuffer_utils.convert_bytearray_to_object(content)
    flatbuffer_utils.strip_strings(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def int8_logits(run: Run) -> WindowLogits:
    """The run's model.tflite as a function of windows, as the device invokes it."""
    q = run.quantization
    # The runtime beside TensorFlow must be LiteRT: tflite-runtime breaks in such a process.
    interpreter = Int8Interpreter(run.tflite.read_bytes(), runtime="litert")

    def logits(windows: NDArray[np.float32]) -> NDArray[np.float64]:
        rows = []
        for window in windows:
            values = quantize(window[np.newaxis], q.input_scale, q.input_zero_point)
            output = interpreter.invoke(values)[0]
            rows.append(dequantize(output, q.output_scale, q.output_zero_point))
        return np.array(rows)

    return logits
