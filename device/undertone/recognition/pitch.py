"""The pitch of a frame, from its power spectrum: how clear it is, and how high.

The coefficients of an MFCC say little about the pitch of a voice.  The autocorrelation says it in
two numbers: its largest value at a lag other than 0, and that lag.  The spectrum is compressed
first, so that no single harmonic decides (Tolonen & Karjalainen 2000, "A computationally efficient
multipitch analysis model").
"""

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ

VALUES = 2
"""In a frame: its strength and its height."""

LEAST_FRAME_LENGTH = 2 * SAMPLE_RATE_HZ // 60
"""Samples of a frame with two periods of the lowest pitch."""

_LAGS = np.arange(SAMPLE_RATE_HZ // 500, SAMPLE_RATE_HZ // 60 + 1)
"""That are looked at, in samples: pitches from 60 to 500 Hz."""

_BAND_HZ = (40, 2500)
"""Of the spectrum, what the pitch is found in."""

_COMPRESSION = 0.3
"""Exponent of the power."""

_COST = 6.4 / SAMPLE_RATE_HZ
"""Of a longer lag, per sample: two periods are as alike as one."""

_UNVOICED, _VOICED = 0.12, 0.32
"""Strengths up to which, and from which on, a frame has no pitch, and has one."""

_MIDDLE_HZ = 170
"""The pitch with the height 0."""


def pitch(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strength and height of the pitch of each frame, shape (frames, 2).

    power: spectra, shape (frames, bins), of a Fourier transform of even length.
    The strength is from 0 to 1.  The height is in octaves above 170 Hz, times how far the frame has
    a pitch, from 0 to 1.
    """
    length = 2 * (power.shape[1] - 1)
    low, high = (round(frequency * length / SAMPLE_RATE_HZ) for frequency in _BAND_HZ)
    compressed = np.zeros_like(power)
    band = slice(low, high + 1)
    compressed[:, band] = power[:, band] ** _COMPRESSION
    correlation = np.fft.irfft(compressed)
    alike = correlation[:, _LAGS] / np.maximum(correlation[:, :1], np.finfo(float).tiny)
    best = np.argmax(alike - _COST * _LAGS, axis=1)
    strength = np.clip(alike[np.arange(len(best)), best], 0, 1)
    voiced = np.clip((strength - _UNVOICED) / (_VOICED - _UNVOICED), 0, 1)
    octaves = np.log2(SAMPLE_RATE_HZ / _LAGS[best] / _MIDDLE_HZ)
    return np.stack([strength, voiced * octaves], axis=1)
