"""The one definition of an MFCC, for whole segments and for a stream.

Both programs use it.  The numbers are those of ``python_speech_features.mfcc`` with a
Hamming window; only the work is arranged otherwise: that function rebuilds its mel
filterbank at each call and wants the whole signal, here its tables are made once, with its
own functions, and every frame is computed once, as its last sample arrives.
"""

import sys
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from python_speech_features import base
from scipy.fftpack import dct

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.recognition import pitch

Frames = NDArray[np.float64]
"""Shape (n, width)."""

RawFrames = NDArray[np.float64]
"""Frames without their pitch, but with the power that it is found in; see ``with_pitch``."""

_PIECE_LENGTH = 4800
"""Samples of a whole signal that are turned into frames at once, 0.3 s: the spectra of many more
would not fit in the processor's cache."""

_BOUNDS = {
    "frame_length": (2, 8192),
    "hop_length": (80, 8192),
    "fft_length": (4, 8192),
    "n_filters": (2, 256),
    "n_coefficients": (2, 256),
    "preemphasis": (0, 1),
    "lifter": (0, 1000),
    "energy_floor": (-50, 50),
}

_LEAST_LIFT = 0.01
"""Of the weights of ``lifter``, by which a way back from coefficients to energies divides."""


class MfccConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every parameter of the features; part of a bundle's manifest.

    frame_length, hop_length: samples at ``sample_rate_hz``.  ``fft_length`` must be at
    least ``frame_length``: python_speech_features cuts longer frames without a word.
    energy_floor: lower bound for coefficient 0, the natural logarithm of a frame's energy
        on the int16 scale.  Digital silence would otherwise give log(2.2e-16) = -36.
    pitch: whether the values of ``pitch`` follow the coefficients of each frame.

    Every number has bounds, so that a frame costs little whoever made the bundle.
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
    pitch: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError, naming the field, where the parameters can't make an MFCC."""
        for name, (least, most) in _BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from {least} to {most}")
        if self.sample_rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"sample_rate_hz must be {SAMPLE_RATE_HZ}")
        if self.fft_length < self.frame_length:
            raise ValueError("fft_length must be at least frame_length")
        if self.hop_length > self.frame_length:
            raise ValueError("hop_length must be at most frame_length")
        if not self.n_coefficients <= self.n_filters <= self.fft_length // 2:
            raise ValueError("n_filters must be from n_coefficients to half of fft_length")
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            raise ValueError("low_hz and high_hz must rise and end at half of sample_rate_hz")
        if np.abs(base.lifter(np.ones((1, self.n_coefficients)), self.lifter)).min() < _LEAST_LIFT:
            raise ValueError("lifter must leave something of every coefficient")
        if self.pitch and (self.frame_length < pitch.LEAST_FRAME_LENGTH or self.fft_length % 2):
            raise ValueError(
                f"pitch needs a frame_length of {pitch.LEAST_FRAME_LENGTH} or more and an "
                "even fft_length"
            )

    @property
    def width(self) -> int:
        """Number of values in a frame: the coefficients, and those of the pitch if it is wanted."""
        return self.n_coefficients + (pitch.VALUES if self.pitch else 0)

    @property
    def raw_width(self) -> int:
        """Number of values in a raw frame: the coefficients, and the power in pitch's band."""
        band = pitch.band(self.fft_length)
        return self.n_coefficients + (band.stop - band.start if self.pitch else 0)

    @property
    def without_pitch(self) -> "MfccConfig":
        """The same coefficients, and nothing else."""
        return msgspec.structs.replace(self, pitch=False)

    def span(self, frames: int) -> int:
        """Samples that so many frames in a row are made of."""
        return self.frame_length + (frames - 1) * self.hop_length

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


def with_pitch(raw: RawFrames, config: MfccConfig) -> Frames:
    """The frames of ``raw``, shape (n, raw_width); the same if there is no pitch in ``config``.

    The pitch costs a third as much for a second of sound at once as for a few frames at a time.
    """
    if not config.pitch:
        return raw
    coefficients, power = np.split(raw, [config.n_coefficients], axis=1)
    return np.concatenate([coefficients, pitch.pitch(power, config.fft_length)], axis=1)


@lru_cache(maxsize=4)
def _tables(config: MfccConfig) -> tuple[NDArray[np.float64], ...]:
    """What a frame is multiplied with, one after another; made once for each configuration."""
    window = np.hamming(config.frame_length)
    # from a power spectrum to the energies in the filters, and (last column) of the frame
    filters = base.get_filterbanks(
        config.n_filters, config.fft_length, config.sample_rate_hz, config.low_hz, config.high_hz
    ).T
    filters = np.column_stack([filters, np.ones(len(filters))]) / config.fft_length
    # from logarithmic energies to liftered cepstra: both are linear
    cosines = dct(np.eye(config.n_filters), type=2, axis=1, norm="ortho")
    cepstra = base.lifter(cosines[:, : config.n_coefficients], config.lifter)
    return window, filters, cepstra


class Mfcc:
    """MFCC frames of a signal that arrives in pieces of any length.

    ``push`` returns the raw frames that a piece completes, ``flush`` the last one, padded with
    zeros as python_speech_features pads it; what is pushed next is another signal.  Put together
    their coefficients equal
    ``python_speech_features.mfcc(signal, **config.reference_arguments)`` with coefficient 0
    floored at ``config.energy_floor``.
    """

    def __init__(self, config: MfccConfig) -> None:
        self.config = config
        self._window, self._filters, self._cepstra = _tables(config)
        self._raw_width = config.raw_width
        self._band = pitch.band(config.fft_length)
        self.reset()

    def reset(self) -> None:
        """Forget the signal; the next sample is the first of a new one."""
        self.log_energies = np.empty((0, self.config.n_filters))
        """Of the frames that the last call returned: the natural logarithm of the energy in each
        filter, shape (k, filters)."""
        self._previous = 0.0
        self._pending = np.empty(0, np.float64)
        self._started = False

    def push(self, samples: Samples) -> RawFrames:
        """The frames that ``samples`` complete: float64, shape (k, ``config.raw_width``).

        ``samples``: int16, shape (n,).
        """
        signal = self._emphasised(samples)
        length, hop = self.config.frame_length, self.config.hop_length
        count = (len(signal) - length) // hop + 1
        if count < 1:
            self._pending = signal
            self.log_energies = np.empty((0, self.config.n_filters))
            return np.empty((0, self._raw_width))
        self._pending = signal[count * hop :].copy()
        self._started = True
        step = signal.itemsize
        return self._transform(
            np.ndarray((count, length), buffer=signal, strides=(hop * step, step))
        )

    def _emphasised(self, samples: Samples) -> NDArray[np.float64]:
        """What is pending and then ``samples``, all of it pre-emphasised."""
        n = len(self._pending)
        signal = np.empty(n + len(samples))
        signal[:n] = self._pending
        if len(samples):
            factor = self.config.preemphasis
            new = signal[n:]
            new[:] = samples
            new[1:] -= factor * samples[:-1]
            new[0] -= factor * self._previous
            self._previous = float(samples[-1])
        return signal

    def flush(self) -> RawFrames:
        """The last, zero-padded frame (none where the frames came out even) of the signal."""
        overlap = self.config.frame_length - self.config.hop_length
        left = len(self._pending) - (overlap if self._started else 0)
        last = np.zeros((1 if left > 0 else 0, self.config.frame_length))
        last[:, : len(self._pending)] = self._pending
        frames, energies = self._transform(last), self.log_energies
        self.reset()
        self.log_energies = energies
        return frames

    def compute(self, samples: Samples) -> Frames:
        """All frames of one whole signal, with pitch; ``samples`` int16, shape (n,)."""
        self.reset()
        starts = range(0, len(samples), _PIECE_LENGTH)
        pieces = [self.push(samples[start : start + _PIECE_LENGTH]) for start in starts]
        return with_pitch(np.concatenate([*pieces, self.flush()]), self.config)

    def _transform(self, framed: NDArray[np.float64]) -> RawFrames:
        """MFCC as of ``python_speech_features`` of samples (k, frame_length)."""
        spectrum = np.fft.rfft(framed * self._window, self.config.fft_length)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        energies = power @ self._filters
        energies[energies == 0] = sys.float_info.epsilon
        logs = np.log(energies)
        self.log_energies = logs[:, :-1]
        frames = np.empty((len(logs), self._raw_width))
        frames[:, : self.config.n_coefficients] = logs[:, :-1] @ self._cepstra
        np.maximum(logs[:, -1], self.config.energy_floor, out=frames[:, 0])
        if self.config.pitch:
            frames[:, self.config.n_coefficients :] = power[:, self._band]
        return frames
