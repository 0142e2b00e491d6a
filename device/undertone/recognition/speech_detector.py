"""The speech detector: whether somebody speaks in each MFCC frame, by a small int8 network.

The network is three convolutions over time. It gets ``piece`` new frames at a time, together with
``past`` frames before and ``ahead`` frames after them, and answers for the ``piece`` frames.
"""

from typing import Annotated, Any, Protocol

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from undertone.recognition.fields import Coefficient, Name, Positive, Sha256
from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.mfcc import Frames, MfccConfig
from undertone.recognition.quantization import Quantization, dequantize, quantize
from undertone.support.strict import Strict

Probabilities = NDArray[np.float64]

_Count = Annotated[int, Meta(ge=0, le=64)]


class DetectorConfig(Strict, frozen=True):
    """What belongs to a detector's network.

    mfcc: the features that it was trained with.
    past, ahead: frames before and after those of a piece that the network needs.
    piece: frames that are answered by one call.
    mean, deviation: per coefficient; frames are standardised by them.
    corpora: what its voices are from. training: how it was made, for people.
    """

    model_sha256: Sha256
    mfcc: MfccConfig
    past: _Count
    ahead: _Count
    piece: Annotated[int, Meta(ge=1, le=64)]
    mean: tuple[Coefficient, ...]
    deviation: tuple[Positive, ...]
    quantization: Quantization
    corpora: Annotated[tuple[Name, ...], Meta(max_length=100)]
    training: dict[str, Any]

    def __post_init__(self) -> None:
        """Raise ValueError if fields contradict each other."""
        n = self.mfcc.n_coefficients
        if len(self.mean) != n or len(self.deviation) != n:
            raise ValueError(f"detector must have {n} means and deviations")

    @property
    def span(self) -> int:
        """Frames of one call."""
        return self.past + self.piece + self.ahead


class Detector(Protocol):
    """Answers for the frames of a signal that arrive a few at a time."""

    @property
    def ahead(self) -> int:
        """At most how many frames after a frame must be there before it is answered."""

    def reset(self) -> None:
        """Forget the signal."""

    def push(self, frames: Frames) -> Probabilities:
        """The probabilities of speech of the next frames that can be answered, shape (k,)."""


class SpeechDetector:
    """The network of a bundle, as a ``Detector``."""

    def __init__(self, config: DetectorConfig, interpreter: Int8Interpreter) -> None:
        """Raises nothing: ``bundle`` has compared the model with ``config``."""
        self.config = config
        self._interpreter = interpreter
        self._mean = np.array(config.mean)
        self._deviation = np.array(config.deviation)
        self.reset()

    @property
    def ahead(self) -> int:
        """At most how many frames after a frame must be there before it is answered."""
        return self.config.ahead + self.config.piece - 1

    def reset(self) -> None:
        """Forget the signal; the frames before the next one are taken to be equal to it."""
        self._values = np.empty((0, self.config.mfcc.n_coefficients), np.int8)

    def push(self, frames: Frames) -> Probabilities:
        """Take frames, shape (n, width); answer for as many whole pieces as there are.

        The detector looks at their coefficients only.
        """
        config, q = self.config, self.config.quantization
        standard = (frames[:, : len(self._mean)] - self._mean) / self._deviation
        values = quantize(standard, q.input_scale, q.input_zero_point)
        if not len(self._values) and len(values):
            self._values = np.repeat(values[:1], config.past, axis=0)
        self._values = np.concatenate([self._values, values])
        answers = []
        start = 0
        while start + config.span <= len(self._values):
            output = self._interpreter.invoke(self._values[np.newaxis, start : start + config.span])
            answers.append(dequantize(output.reshape(-1), q.output_scale, q.output_zero_point))
            start += config.piece
        self._values = self._values[start:]
        logits = np.concatenate(answers) if answers else np.empty(0)
        probabilities: Probabilities = np.exp(-np.logaddexp(0, -logits))
        return probabilities
