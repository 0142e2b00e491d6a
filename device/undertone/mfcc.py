"""The one definition of an MFCC, for whole segments and for a stream.

Both programs use it.  The numbers are those of ``python_speech_features.mfcc`` with a
Hamming window; only the work is arranged otherwise: that function rebuilds its mel
filterbank at each call and wants the whole signal, here the tables are made once and
every frame is computed once, as its last sample arrives.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from python_speech_features import base, sigproc
from scipy.fftpack import dct

from undertone.audio.block import SAMPLE_RATE_HZ, Samples

Frames = NDArray[np.float64]


class MfccConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every parameter of the features; part of a bundle's manifest.

    frame_length, hop_length: samples at ``sample_rate_hz``.  ``fft_length`` must be at
    least ``frame_length``: python_speech_features cuts longer frames without a word.
    energy_floor: lower bound for coefficient 0, the natural logarithm of a frame's energy
        on the int16 scale.  Digital silence would otherwise give log(2.2e-16) = -36.
    """

    sample_rate_hz: int = SAMPLE_RATE_HZ
    frame_length: int = 1024
    hop_length: int = 512
    fft_length: int = 1024
    n_filters: int = 64
    n_coefficients: int = 40
    low_hz: float = 0.0
    high_hz: float = 8000.0
    preemphasis: float = 0.97
    lifter: int = 22
    energy_floor: float = 5.0

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, where the parameters can't make an MFCC."""
        positive = ("sample_rate_hz", "frame_length", "hop_length", "fft_length", "n_coefficients")
        for name in positive:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.fft_length < self.frame_length:
            raise ValueError("fft_length must be at least frame_length")
        if self.hop_length > self.frame_length:
            raise ValueError("hop_length must be at most frame_length")
        if not self.n_coefficients <= self.n_filters <= self.fft_length // 2:
            raise ValueError("n_filters must be from n_coefficients to half of fft_length")
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            raise ValueError("low_hz and high_hz must rise and end at half of sample_rate_hz")

    @property
    def reference_arguments(self) -> dict[str, Any]:
        """The keyword arguments that make ``python_speech_features.mfcc`` give these frames."""
        return {
            "samplerate": self.sample_rate_hz,
            "winlen": self.frame_length / self.sample_rate_hz,
            "winstep": self.hop_length / self.sample_rate_hz,
            "numcep": self.n_coefficients,
            "nfilt": self.n_filters,
            "nfft": self.fft_length,
            "lowfreq": self.low_hz,
            "highfreq": self.high_hz,
            "preemph": self.preemphasis,
            "ceplifter": self.lifter,
            "winfunc": np.hamming,
        }


class Mfcc:
    """MFCC frames of a signal that arrives in pieces of any length.

    ``push`` returns the frames that a piece completes, ``flush`` the last one, padded with
    zeros as python_speech_features pads it.  Put together they equal
    ``python_speech_features.mfcc(signal, **config.reference_arguments)`` with coefficient 0
    floored at ``config.energy_floor``.
    """

    def __init__(self, config: MfccConfig) -> None:
        """Make the filterbank and the window once."""
        self.config = config
        self._window = np.hamming(config.frame_length)
        self._filters = base.get_filterbanks(
            config.n_filters,
            config.fft_length,
            config.sample_rate_hz,
            config.low_hz,
            config.high_hz,
        ).T
        self.reset()

    def reset(self) -> None:
        """Forget the signal; the next sample is the first of a new one."""
        self._previous: float | None = None
        self._pending = np.empty(0, np.float64)
        self._started = False

    def push(self, samples: Samples) -> Frames:
        """The frames that ``samples`` complete: float64, shape (k, coefficients).

        ``samples``: int16, shape (n,).
        """
        if not len(samples):
            return self._no_frames()
        signal = samples.astype(np.float64)
        emphasised = signal.copy()
        emphasised[1:] -= self.config.preemphasis * signal[:-1]
        if self._previous is not None:
            emphasised[0] -= self.config.preemphasis * self._previous
        self._previous = signal[-1]
        self._pending = np.concatenate([self._pending, emphasised])
        length, hop = self.config.frame_length, self.config.hop_length
        count = (len(self._pending) - length) // hop + 1
        if count < 1:
            return self._no_frames()
        framed = np.lib.stride_tricks.sliding_window_view(self._pending, length)[
            : count * hop : hop
        ]
        frames = self._transform(framed * self._window)
        self._pending = self._pending[count * hop :].copy()
        self._started = True
        return frames

    def flush(self) -> Frames:
        """The last, zero-padded frame (none where the frames came out even), then reset."""
        overlap = self.config.frame_length - self.config.hop_length
        left = len(self._pending) - (overlap if self._started else 0)
        frames = self._no_frames()
        if left > 0:
            last = np.zeros((1, self.config.frame_length))
            last[0, : len(self._pending)] = self._pending
            frames = self._transform(last * self._window)
        self.reset()
        return frames

    def compute(self, samples: Samples) -> Frames:
        """All frames of one whole signal; ``samples`` int16, shape (n,)."""
        self.reset()
        return np.concatenate([self.push(samples), self.flush()])

    def _no_frames(self) -> Frames:
        return np.empty((0, self.config.n_coefficients))

    def _transform(self, windowed: Frames) -> Frames:
        """``python_speech_features.mfcc`` from its windowed frames on."""
        power = sigproc.powspec(windowed, self.config.fft_length)
        epsilon = np.finfo(float).eps
        energy = power.sum(axis=1)
        filtered = power @ self._filters
        log_filtered = np.log(np.where(filtered == 0, epsilon, filtered))
        cepstra = dct(log_filtered, type=2, axis=1, norm="ortho")[:, : self.config.n_coefficients]
        frames: Frames = base.lifter(cepstra, self.config.lifter)
        frames[:, 0] = np.log(np.where(energy == 0, epsilon, energy))
        np.maximum(frames[:, 0], self.config.energy_floor, out=frames[:, 0])
        return frames
