"""The pitch of a frame, from a part of its power spectrum: how clear it is, and how high.

The coefficients of an MFCC say little about the pitch of a voice.  The autocorrelation says it in
two numbers: its largest value at a lag other than 0, and that lag.  The spectrum is compressed
first, so that no single harmonic decides (Tolonen & Karjalainen 2000, "A computationally efficient
multipitch analysis model").
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ

VALUES = 2
"""In a frame: its strength and its height."""

_LOWEST_HZ, _HIGHEST_HZ = 60, 500

LEAST_FRAME_LENGTH = 2 * SAMPLE_RATE_HZ // _LOWEST_HZ
"""Samples of a frame with two periods of the lowest pitch."""

_LAGS = np.arange(SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ + 1)
"""In samples, the periods of the pitches that can be found."""

_BAND_HZ = (40, 2500)
"""The part of the spectrum in which the pitch is looked for."""

_COMPRESSION = np.float32(0.3)
"""Exponent of the power."""

_COSTS = (6.4 / SAMPLE_RATE_HZ * _LAGS).astype(np.float32)
"""What is subtracted for a longer lag: two periods match as well as one."""

_UNVOICED, _VOICED = 0.12, 0.32
"""Up to the first strength a frame has no pitch, from the second on it has one."""

_MIDDLE_HZ = 170
"""The pitch with the height 0."""

_TINY = np.finfo(np.float32).tiny

_OCTAVES = np.log2(SAMPLE_RATE_HZ / _LAGS / _MIDDLE_HZ)


def band(fft_length: int) -> slice:
    """The bins of a power spectrum in which the pitch is looked for."""
    low, high = (round(frequency * fft_length / SAMPLE_RATE_HZ) for frequency in _BAND_HZ)
    return slice(low, high + 1)


@lru_cache(maxsize=4)
def _cosines(fft_length: int) -> NDArray[np.float32]:
    """What turns these bins into an autocorrelation, shape (bins, lags).

    In single precision, they fit in the cache of a small processor beside the mel filters.
    """
    periods = np.outer(np.arange(fft_length)[band(fft_length)], _LAGS) / fft_length
    cosines: NDArray[np.float32] = np.cos(2 * np.pi * periods).astype(np.float32)
    return cosines


def pitch(power: NDArray[np.float64], fft_length: int) -> NDArray[np.float64]:
    """Strength and height of the pitch of each frame, shape (frames, 2).

    power: of the bins in ``band``, shape (frames, bins).  Many frames at once cost less each.
    fft_length: of the Fourier transform, even.
    The strength is from 0 to 1.  The height is in octaves above 170 Hz, times how far the frame has
    a pitch, from 0 to 1.
    """
    compressed = power.astype(np.float32) ** _COMPRESSION
    alike = compressed @ _cosines(fft_length)
    alike /= np.maximum(compressed.sum(axis=1, keepdims=True), _TINY)
    best = (alike - _COSTS).argmax(axis=1)
    found = np.empty((len(power), VALUES))
    strength = np.maximum(alike[np.arange(len(best)), best], 0, out=found[:, 0])
    voiced = (strength - _UNVOICED) / (_VOICED - _UNVOICED)
    np.multiply(np.minimum(np.maximum(voiced, 0), 1), _OCTAVES[best], out=found[:, 1])
    return found
