"""From a window to logits: normalise, quantise, invoke, dequantise, for each vocal tract."""

import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Bundle, Normalization
from undertone.recognition.cepstrum import Floats
from undertone.recognition.interpreter import RuntimeName
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.quantization import Quantization, dequantize, quantize
from undertone.recognition.spectral_subtraction import subtract_steady_noise
from undertone.recognition.speech_detector import SpeechDetector
from undertone.recognition.speech_gate import SpeechGate
from undertone.recognition.vocal_tract import with_vocal_tracts
from undertone.recognition.windows import Window, WindowConfig, Windows

Logits = NDArray[np.float64]


def normalize(windows: Floats, normalization: Normalization, config: MfccConfig) -> Floats:
    """Remove noise and gain and standardise; ``windows`` has shape (..., frames, coefficients).

    config: of the frames.
    """
    mean = np.array(normalization.mean)
    if normalization.steady_noise == "subtracted":
        windows = subtract_steady_noise(windows, config)
    if normalization.level == "energy-mean":
        windows = windows.copy()
        windows[..., 0] -= windows[..., 0].mean(axis=-1, keepdims=True)
    standard: Floats = (windows - mean) / np.array(normalization.deviation)
    return standard


def network_input(
    windows: Floats, shape: WindowConfig, normalization: Normalization, config: MfccConfig
) -> Windows:
    """Normalised copies of ``windows``, one for each vocal tract.

    windows: one, or several along the first axis.  shape: names the vocal tracts.  config: of the
    frames.  Returns shape (vocal tracts * windows, frames, coefficients).
    """
    copies = with_vocal_tracts(windows, shape.vocal_tracts, config)
    return normalize(copies.reshape(-1, *windows.shape[-2:]), normalization, config)


class Classifier:
    """A bundle's model, from windows of MFCC to logits."""

    def __init__(
        self,
        bundle: Bundle,
        runtime: RuntimeName = "auto",
        threads: int = 1,
        reference_kernels: bool = False,
    ) -> None:
        """Open the model; raises BundleError and RuntimeMissingError."""
        self.manifest = bundle.manifest
        self._interpreter, self._detector = bundle.open(runtime, threads, reference_kernels)
        self.runtime = self._interpreter.runtime
        self._quantization: Quantization = bundle.manifest.quantization

    def gate(self) -> SpeechGate:
        """A new speech gate with the bundle's detector and settings, for one stream."""
        manifest = self.manifest
        detector = SpeechDetector(manifest.detector, self._detector)
        return SpeechGate(manifest.mfcc, detector, manifest.gate)

    def logits(self, window: Window) -> Logits:
        """Logits in the order of the manifest's labels; ``window`` (frames, coefficients)."""
        return self.invoke(self.prepare(window))

    def prepare(self, window: Window) -> NDArray[np.int8]:
        """One window of MFCCs as int8 input, shape (vocal tracts, frames, coefficients)."""
        manifest, quantization = self.manifest, self._quantization
        standard = network_input(window, manifest.window, manifest.normalization, manifest.mfcc)
        return quantize(standard, quantization.input_scale, quantization.input_zero_point)

    def invoke(self, prepared: NDArray[np.int8]) -> Logits:
        """Logits of one prepared window: the mean over its vocal tracts, shape (labels,)."""
        quantization = self._quantization
        output = np.concatenate([self._interpreter.invoke(each[np.newaxis]) for each in prepared])
        logits = dequantize(output, quantization.output_scale, quantization.output_zero_point)
        mean: Logits = logits.mean(axis=0)
        return mean
