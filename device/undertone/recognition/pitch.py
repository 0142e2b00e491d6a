"""The pitch of a frame, from its power spectrum: how clear it is, and how high.

The coefficients of an MFCC hold the harmonics of a voice only here and there.  Two numbers say it
at once: the largest value of the autocorrelation beside that of lag 0, and the lag where it is.  The
spectrum is compressed first, so that no single harmonic decides (Tolonen & Karjalainen 2000, "A
computationally efficient multipitch analysis model").
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ

VALUES = 2
"""In a frame: its strength and its height."""

LEAST_FRAME_LENGTH = 2 * SAMPLE_RATE_HZ // 60
"""Samples of a frame with two periods of the lowest pitch."""

_RATE_HZ = SAMPLE_RATE_HZ / 2
"""Of the autocorrelation, which needs nothing above a quarter of the sampling rate."""

_LAGS = np.arange(15, 135)
"""That are looked at: pitches from 60 to 500 Hz, and a neighbour on either side."""

_BAND_HZ = (40, 2500)
"""Of the spectrum, what the pitch is found in."""

_COMPRESSION = 0.3
"""Exponent of the power."""

_COST = 6.4 / _RATE_HZ
"""Of a longer lag, per sample: two periods are as alike as one."""

_UNVOICED, _VOICED = 0.12, 0.32
"""Strengths up to which, and from which on, a frame has no pitch, and has one."""

_MIDDLE_HZ = 170
"""The pitch with the height 0."""


def pitch(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strength and height of the pitch of each frame, shape (frames, 2).

    power: spectra, shape (frames, bins), of a Fourier transform whose length is a multiple of 4.
    The strength is from 0 to 1.  The height is in octaves above 170 Hz, and is multiplied by how far
    the frame has a pitch, from 0 to 1.
    """
    length = 2 * (power.shape[1] - 1)
    low, high = (round(frequency * length / SAMPLE_RATE_HZ) for frequency in _BAND_HZ)
    compressed = np.zeros((len(power), length // 4 + 1))
    compressed[:, low:high] = power[:, low:high] ** _COMPRESSION
    correlation = np.fft.irfft(compressed, length // 2)
    alike = correlation[:, _LAGS] / np.maximum(correlation[:, :1], np.finfo(float).tiny)
    best = 1 + np.argmax((alike - _COST * _LAGS)[:, 1:-1], axis=1)
    before, at, after = (alike[np.arange(len(best)), best + step] for step in (-1, 0, 1))
    lags = _LAGS[best] + _vertex(before, at, after)
    strength = np.clip(at, 0, 1)
    voiced = np.clip((strength - _UNVOICED) / (_VOICED - _UNVOICED), 0, 1)
    return np.stack([strength, voiced * np.log2(_RATE_HZ / lags / _MIDDLE_HZ)], axis=1)


def _vertex(before: Any, at: Any, after: Any) -> Any:
    """Where the parabola through three values, a step apart, has its top; at most half a step."""
    bend = 2 * at - before - after
    top = (after - before) / (2 * np.where(bend > 0, bend, np.inf))
    return np.clip(top, -0.5, 0.5)
