"""Whether a segment has the bandwidth that the model needs: telephones and headsets end at 4 kHz.

A model mistakes the missing band for a property of the voice, and most of its verdicts on such
sound are wrong. The bandwidth is estimated from the largest energy of each MFCC filter over a
segment. In segments of RAVDESS and nEMO, also noisy, quiet or Opus-coded (12 kbit/s) ones, some
filter above 4.8 kHz is within 25 dB of the loudest one (in pieces of half a second within 41 dB);
in sound sampled at 8 kHz, all of them are 40 to 65 dB below.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from python_speech_features.base import get_filterbanks, hz2mel, mel2hz

from undertone.recognition.mfcc import MfccConfig

NEEDED_SHARE = 0.6
"""Share of the model's highest frequency, unless its manifest says otherwise.  It is between the
telephone's 4 kHz and the 5.5 kHz of recordings at 11,025 Hz, whose verdicts are fewer but mostly
correct."""

RANGE_DB = 38.0
"""How far below the loudest filter a filter still counts as having sound."""

ABOVE_ROUNDING_DB = 8.0
"""How far it must be above the rounding noise of 16 bits, which is all that the upper filters of
quiet telephone sound contain."""


def missing_band(
    loudest: NDArray[np.float64], config: MfccConfig, needed_share: float = NEEDED_SHARE
) -> str | None:
    """What the sound lacks for this model, in a few words; None if its band is wide enough.

    loudest: the largest log energy of each filter, from ``Mfcc``.  needed_share: the manifest's.
    """
    needed_hz = needed_share * config.high_hz
    above = _upper_edges_hz(config) > needed_hz
    least = np.maximum(loudest.max() - RANGE_DB * _DB, _rounding(config) + ABOVE_ROUNDING_DB * _DB)
    if (loudest > least)[above].any():
        return None
    return f"no sound above {needed_hz / 1000:.1f} kHz"


_DB = np.log(10) / 10
"""A decibel as a natural logarithm of energy."""


@lru_cache(maxsize=8)
def _upper_edges_hz(config: MfccConfig) -> NDArray[np.float64]:
    edges = np.linspace(hz2mel(config.low_hz), hz2mel(config.high_hz), config.n_filters + 2)
    upper: NDArray[np.float64] = mel2hz(edges[2:])
    return upper


@lru_cache(maxsize=8)
def _rounding(config: MfccConfig) -> NDArray[np.float64]:
    """The logarithmic energy that rounding to whole numbers leaves in each filter on average."""
    turns = np.fft.rfftfreq(config.fft_length)
    emphasis = np.abs(1 - config.preemphasis * np.exp(-2j * np.pi * turns)) ** 2
    variance = np.square(np.hamming(config.frame_length)).sum() / 12
    filters = get_filterbanks(
        config.n_filters, config.fft_length, config.sample_rate_hz, config.low_hz, config.high_hz
    )
    energies = filters @ (emphasis * variance / config.fft_length)
    rounding: NDArray[np.float64] = np.log(np.maximum(energies, np.finfo(float).tiny))
    return rounding
