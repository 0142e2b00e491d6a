"""Steady noise taken out of a window: spectral subtraction in the mel filters, from MFCC to MFCC.

What the energy in a filter seldom falls below is noise, for nobody speaks in every filter all the
time (Stahl, Fischer & Bippus 2000, "Quantile based noise estimation for spectral subtraction and
Wiener filtering", ICASSP).  Somewhat more of it than was found is subtracted, and a share of each
frame always remains (Berouti, Schwartz & Makhoul 1979, "Enhancement of speech corrupted by
acoustic noise", ICASSP).  A floor below the speech then hides what is left of the noise.
"""

import numpy as np

from undertone.recognition.cepstrum import (
    Floats,
    cepstrum_to_mel,
    mel_energies,
    mel_frames,
    mel_to_cepstrum,
)
from undertone.recognition.mfcc import MfccConfig

QUANTILE = 0.1
"""Share of a window's frames whose energy in a filter lies below the noise."""

OVERSUBTRACTION = 1.5
"""How much of the noise is subtracted: a low quantile is less than its mean."""

REMAINDER = 1e-3
"""Share of a frame's energy in a filter that remains at least: 30 dB below it."""

FLOOR = 1e-2
"""Of the mean energy in a filter, added to each frame: 20 dB below it."""


def subtract_steady_noise(windows: Floats, config: MfccConfig) -> Floats:
    """``windows`` of shape (..., frames, coefficients), each without what is steady in it.

    Of the dtype of ``windows``, in which it is computed.
    """
    energies = mel_energies(windows, cepstrum_to_mel(config).astype(windows.dtype))
    lowest = int(QUANTILE * (energies.shape[-2] - 1))
    noise = np.partition(energies, lowest, axis=-2)[..., lowest : lowest + 1, :]
    cleaned = np.maximum(energies - OVERSUBTRACTION * noise, REMAINDER * energies)
    floored = cleaned + FLOOR * cleaned.mean(axis=-2, keepdims=True)
    return mel_frames(floored, mel_to_cepstrum(config).astype(windows.dtype))
