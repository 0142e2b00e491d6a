"""Full-int8 post-training quantisation: input, output and every operator.

Each conversion runs in a child process, because a network that the converter cannot handle may
crash it.
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Normalization
from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.quantization import dequantize, quantize
from undertone.support.native_output import STDERR, STDOUT, silenced
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import voice_in, windows_of
from undertone_training.learning.runs import Run
from undertone_training.recipe import Recipe
from undertone_training.tensorflow_loader import load_tensorflow

if TYPE_CHECKING:
    import keras

Windows = NDArray[np.float32]

REPRESENTATIVE_WINDOWS = 500


def quantize_runs(
    jobs: Iterable[tuple[Run, Sequence[ClipFeatures]]],
) -> Iterator[tuple[Run, str | None]]:
    """Quantise each run with its training clips; yields it with None, or the reason why not.

    The reason is kept in the run's folder, so that the run is evaluated as a float model only.
    """
    pool = _pool()

    def in_child(path: Path, windows: Windows) -> bytes:
        # as text: in this process's own copy, if the run is in object storage
        return pool.submit(convert_file, str(path), windows).result()

    try:
        for run, train in jobs:
            run.unquantized.unlink(missing_ok=True)
            reason: str | None = None
            try:
                quantize_run(run, train, in_child)
            except BrokenProcessPool:
                reason, pool = "the converter crashes", _pool()
            except ConversionError as error:
                reason = str(error)
            if reason:
                run.unquantized.write_text(f"{reason}\n")
            yield run, reason
    finally:
        pool.shutdown()


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


class ConversionError(Exception):
    """The converter's reason why it cannot convert a network."""


def convert_file(path: Path | str, windows: Windows) -> bytes:
    """``convert`` for a Keras file; raises ConversionError."""
    load_tensorflow()
    import keras

    try:
        return convert(keras.models.load_model(path), windows)
    except Exception as error:  # TensorFlow reports an operator without an int8 form in many ways
        lines = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
        message = lines[0].partition("error: ")[2] or lines[0]
        # the position in the graph is of no help
        raise ConversionError(re.sub(r"^loc\(.*\): ", "", message)) from None


def quantize_run(
    run: Run,
    train: Sequence[ClipFeatures],
    convert: Callable[[Path, Windows], bytes] = convert_file,
) -> None:
    """Write the run's model.tflite and quantization.json.

    The representative windows are those of the training clips, as the gate cuts them: silence
    or zero padding among them would ruin the scale of the input.
    """
    info = run.info
    windows = representative(train, info.recipe, run.calibration.normalization, info.seed)
    content = convert(run.model, windows)
    run.tflite.write_bytes(content)
    run.save(Int8Interpreter(content, runtime="litert").quantization)


def representative(
    train: Sequence[ClipFeatures], recipe: Recipe, normalization: Normalization, seed: int
) -> Windows:
    """Windows drawn from the training clips, shape (n, frames, coefficients).

    Each with as many other clips of its speaker known as in the training.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(train))[:REPRESENTATIVE_WINDOWS]
    by_speaker: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, each in enumerate(train):
        by_speaker[each.clip.corpus, each.clip.speaker].append(index)
    amounts = recipe.regularization.known_clips

    def windows(index: int) -> Windows:
        voice = None
        if max(amounts):
            clip = train[index].clip
            others = [each for each in by_speaker[clip.corpus, clip.speaker] if each != index]
            known = generator.permutation(others)[: generator.choice(amounts)]
            voice = voice_in((train[each] for each in known), recipe, normalization)
        return windows_of(train[index], recipe, normalization, voice)

    return np.concatenate([windows(index) for index in order])[:REPRESENTATIVE_WINDOWS]


def convert(model: "keras.Model", windows: Windows) -> bytes:
    """The model as a full-int8 TFLite file with a fixed batch of one."""
    import keras
    import tensorflow as tf

    def representative_dataset() -> Iterator[list[Windows]]:
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


def with_factors_before_relu(model: "keras.Model") -> "keras.Model":
    """An equivalent model in which no batch normalisation scales the output of a ReLU.

    The converter would choose the scale of the ReLU's output for the multiplied values and leave
    few of its 256 steps. Moved into the weights before the ReLU, the factors cost nothing. The
    converter itself moves those of normalisations that follow a layer without a ReLU.
    """
    import keras

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
        # a sign can't be moved past the ReLU
        before.set_weights([weights * np.abs(factor) for weights in before.get_weights()])
        unit = np.full_like(variance, 1 - normalization.epsilon)
        shift = beta - mean * factor
        normalization.set_weights([np.sign(factor), shift, np.zeros_like(mean), unit])
    return changed


def without_names(content: bytes) -> bytes:
    """The .tflite file without the names of its tensors, which take several kilobytes."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(content)
    flatbuffer_utils.strip_strings(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def int8_logits(run: Run) -> Callable[[Windows], NDArray[np.float64]]:
    """The run's model.tflite as a function of windows, as the device invokes it."""
    q = run.quantization
    # the runtime must be LiteRT: tflite-runtime fails in a process with TensorFlow
    interpreter = Int8Interpreter(run.tflite.read_bytes(), runtime="litert")

    def logits(windows: Windows) -> NDArray[np.float64]:
        rows = []
        for window in windows:
            values = quantize(window[np.newaxis], q.input_scale, q.input_zero_point)
            output = interpreter.invoke(values)[0]
            rows.append(dequantize(output, q.output_scale, q.output_zero_point))
        return np.array(rows)

    return logits
