"""Per-tensor int8 quantisation: from real values to those of a model, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.recognition.fields import Positive, ZeroPoint
from undertone.support.strict import Strict


class Quantization(Strict, frozen=True):
    """Per-tensor int8 quantisation: real = scale * (value - zero_point)."""

    input_scale: Positive
    input_zero_point: ZeroPoint
    output_scale: Positive
    output_zero_point: ZeroPoint


def quantize(values: NDArray[np.floating[Any]], scale: float, zero_point: int) -> NDArray[np.int8]:
    """Real values to int8, clipped at the ends of its range."""
    quantized: NDArray[np.int8] = np.clip(np.rint(values / scale + zero_point), -128, 127).astype(
        np.int8
    )
    return quantized


def dequantize(values: NDArray[np.int8], scale: float, zero_point: int) -> NDArray[np.float64]:
    """Int8 values to real ones."""
    real: NDArray[np.float64] = scale * (values.astype(np.float64) - zero_point)
    return real
