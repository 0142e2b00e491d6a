"""Window in, logits out: normalise, quantise, invoke, dequantise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.bundle import Bundle, Normalization, Quantization
from undertone.denoising import subtract_steady_noise
from undertone.interpreter import RuntimeName
from undertone.mfcc import MfccConfig
from undertone.spectra import Floats
from undertone.windows import Windows

Logits = NDArray[np.float64]


def normalize(windows: Floats, normalization: Normalization, config: MfccConfig) -> Windows:
    """Take noise and gain out and standardise; ``windows`` of shape (..., frames, coefficients).

    config: of the frames.
    """
    mean = np.array(normalization.mean)
    if normalization.steady_noise == "subtracted":
        windows = subtract_steady_noise(windows, config)
    if normalization.level == "energy-mean":
        windows = windows.copy()
        windows[..., 0] -= windows[..., 0].mean(axis=-1, keepdims=True)
    standard: Windows = (windows - mean) / np.array(normalization.deviation)
    return standard


def quantize(values: NDArray[np.floating[Any]], scale: float, zero_point: int) -> NDArray[np.int8]:
    """Real values to int8, clipped at the ends of its range."""
    quantized: NDArray[np.int8] = np.clip(np.rint(values / scale + zero_point), -128, 127).astype(
        np.int8
    )
    return quantized


def dequantize(values: NDArray[np.int8], scale: float, zero_point: int) -> Logits:
    """Int8 values to the real values that they stand for."""
    real: Logits = scale * (values.astype(np.float64) - zero_point)
    return real


class Classifier:
    """A bundle's model with all that stands around it."""

    def __init__(
        self,
        bundle: Bundle,
        runtime: RuntimeName = "auto",
        threads: int = 1,
        reference_kernels: bool = False,
    ) -> None:
        """Open the model; raises BundleError and RuntimeMissingError."""
        self.manifest = bundle.manifest
        self._interpreter = bundle.open(runtime, threads, reference_kernels)
        self.runtime = self._interpreter.runtime
        self._quantization: Quantization = bundle.manifest.quantization

    def logits(self, window: Windows) -> Logits:
        """Logits in the order of the manifest's labels; ``window`` (frames, coefficients)."""
        return self.invoke(self.prepare(window))

    def prepare(self, window: Windows) -> NDArray[np.int8]:
        """The int8 input tensor, shape (1, frames, coefficients), of one window of MFCCs."""
        standard = normalize(window, self.manifest.normalization, self.manifest.mfcc)
        quantization = self._quantization
        return quantize(
            standard[np.newaxis], quantization.input_scale, quantization.input_zero_point
        )

    def invoke(self, prepared: NDArray[np.int8]) -> Logits:
        """Logits of one prepared window."""
        quantization = self._quantization
        output = self._interpreter.invoke(prepared)
        return dequantize(output[0], quantization.output_scale, quantization.output_zero_point)
