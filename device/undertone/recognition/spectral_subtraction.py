"""Spectral subtraction of steady noise in the mel filters, from MFCC to MFCC.

The noise in a filter is a low quantile of its energy, because speech does not fill every filter
all the time (Stahl, Fischer & Bippus 2000, "Quantile based noise estimation for spectral
subtraction and Wiener filtering", ICASSP). Somewhat more than this estimate is subtracted, and a
share of each frame always remains (Berouti, Schwartz & Makhoul 1979, "Enhancement of speech
corrupted by acoustic noise", ICASSP). A floor below the speech then masks the residual noise.
"""

import numpy as np

from undertone.recognition.cepstrum import (
    Floats,
    cepstrum_to_mel,
    mel_energies,
    mel_to_cepstrum,
    with_energies,
)
from undertone.recognition.mfcc import MfccConfig

QUANTILE = 0.1
"""Share of a window's frames whose energy in a filter lies below the noise."""

OVERSUBTRACTION = 1.5
"""Factor on the estimated noise, because a low quantile is below the mean."""

REMAINDER = 1e-3
"""Smallest share of a frame's energy in a filter that remains: -30 dB."""

FLOOR = 1e-2
"""Share of the mean energy in a filter that is added to each frame: -20 dB."""


def subtract_steady_noise(windows: Floats, config: MfccConfig) -> Floats:
    """``windows`` of shape (..., frames, width), each without its steady noise.

    Computed in the dtype of ``windows``, which is also that of the result.
    """
    energies = mel_energies(windows, cepstrum_to_mel(config).astype(windows.dtype))
    lowest = int(QUANTILE * (energies.shape[-2] - 1))
    noise = np.partition(energies, lowest, axis=-2)[..., lowest : lowest + 1, :]
    cleaned = np.maximum(energies - OVERSUBTRACTION * noise, REMAINDER * energies)
    floored = cleaned + FLOOR * cleaned.mean(axis=-2, keepdims=True)
    return with_energies(windows, floored, mel_to_cepstrum(config).astype(windows.dtype))
