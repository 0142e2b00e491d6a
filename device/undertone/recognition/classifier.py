"""From a window to logits: normalise, quantise, invoke, dequantise, for each vocal tract."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Bundle, Normalization
from undertone.recognition.cepstrum import Floats
from undertone.recognition.comparison import WEIGHT, statistics
from undertone.recognition.decision import LogProbabilities, log_softmax
from undertone.recognition.interpreter import RuntimeName
from undertone.recognition.mfcc import Frames, MfccConfig
from undertone.recognition.quantization import Quantization, dequantize, quantize
from undertone.recognition.spectral_subtraction import subtract_steady_noise
from undertone.recognition.speech_detector import SpeechDetector
from undertone.recognition.speech_gate import SpeechGate
from undertone.recognition.vocal_tract import with_vocal_tracts
from undertone.recognition.voice import Reference, Voice, frames_for_voice, learn, reference
from undertone.recognition.windows import Window, WindowConfig, Windows

Logits = NDArray[np.float64]


def normalize(
    windows: Floats,
    normalization: Normalization,
    config: MfccConfig,
    voice: Reference | None = None,
) -> Floats:
    """Remove noise, gain and voice and standardise.

    windows: shape (..., frames, width).  config: of the frames.
    voice: what is known of each window's voice, of shape (...); None for nothing.
    """
    if normalization.steady_noise == "subtracted":
        windows = subtract_steady_noise(windows, config)
    if normalization.level == "energy-mean":
        windows = windows.copy()
        own = windows[..., 0].mean(axis=-1, keepdims=True)
        windows[..., 0] -= own if voice is None else own * (1 - voice.share[..., np.newaxis])
    mean = np.array(normalization.mean)
    if voice is not None:
        mean = mean + voice.offset[..., np.newaxis, :]
    standard: Floats = (windows - mean) / np.array(normalization.deviation)
    return standard


def network_input(
    windows: Floats,
    shape: WindowConfig,
    normalization: Normalization,
    config: MfccConfig,
    voice: Reference | None = None,
) -> Windows:
    """Normalised copies of ``windows``, one for each vocal tract.

    windows: one, or several along the first axis.  shape: names the vocal tracts.  config: of the
    frames.  voice: of all windows.  Returns shape (vocal tracts * windows, frames, width).
    """
    copies = with_vocal_tracts(windows, shape.vocal_tracts, config)
    if voice is None:
        return normalize(copies.reshape(-1, *windows.shape[-2:]), normalization, config)
    offsets = with_vocal_tracts(voice.offset[np.newaxis], shape.vocal_tracts, config)
    offsets = offsets.reshape(-1, *(1,) * (windows.ndim - 2), windows.shape[-1])
    known = Reference(offsets, np.broadcast_to(voice.share, offsets.shape[:-1]))
    standard = normalize(copies, normalization, config, known)
    return standard.reshape(-1, *windows.shape[-2:])


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

    @property
    def knows_voices(self) -> bool:
        """Whether the network was trained with knowledge of the voice."""
        return self.manifest.normalization.voice_prior_frames > 0

    def learn(self, voice: Voice | None, frames: Frames, logs: Floats | None = None) -> Voice:
        """``voice`` after one segment was heard.

        frames: of the segment, shape (n, width).  logs: its log-probabilities before the
        voice's bias was subtracted, shape (labels,); None if they are unknown.
        """
        manifest = self.manifest
        return learn(voice, frames_for_voice(frames, manifest.normalization, manifest.mfcc), logs)

    def compared(
        self, windows: Sequence[LogProbabilities], frames: Frames, voice: Voice | None
    ) -> Sequence[LogProbabilities]:
        """The log-probabilities of a segment's windows after its comparison with ``voice``.

        frames: of the segment, shape (n, width).  They stay as they are if nothing is known of the
        voice, or the bundle compares nothing.
        """
        manifest = self.manifest
        comparison, normalization = manifest.comparison, manifest.normalization
        known = reference(voice, normalization)
        if comparison is None or voice is None or known is None or not voice.deviation:
            return windows
        frames = frames_for_voice(frames, normalization, manifest.mfcc)
        share = float(known.share)
        logits = comparison.logits(
            statistics(frames.mean(axis=0), frames.std(axis=0)),
            statistics(np.array(voice.mean), np.array(voice.deviation)),
            share,
        )
        second = WEIGHT * share * logits / manifest.temperature
        return [log_softmax(logs + second) for logs in windows]

    def logits(self, window: Window, voice: Voice | None = None) -> Logits:
        """Logits in the order of the manifest's labels; ``window`` (frames, width).

        voice: what is known of the voice in it.
        """
        return self.invoke(self.prepare(window, voice))

    def prepare(self, window: Window, voice: Voice | None = None) -> NDArray[np.int8]:
        """One window of MFCCs as int8 input, shape (vocal tracts, frames, width)."""
        manifest, quantization = self.manifest, self._quantization
        normalization = manifest.normalization
        known = reference(voice, normalization)
        standard = network_input(window, manifest.window, normalization, manifest.mfcc, known)
        return quantize(standard, quantization.input_scale, quantization.input_zero_point)

    def invoke(self, prepared: NDArray[np.int8]) -> Logits:
        """Logits of one prepared window: the mean over its vocal tracts, shape (labels,)."""
        quantization = self._quantization
        output = np.concatenate([self._interpreter.invoke(each[np.newaxis]) for each in prepared])
        logits = dequantize(output, quantization.output_scale, quantization.output_zero_point)
        mean: Logits = logits.mean(axis=0)
        return mean
