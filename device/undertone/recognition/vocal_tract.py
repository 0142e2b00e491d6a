"""Vocal tract length perturbation (VTLP) of MFCC, as a matrix multiplication.

Training perturbs each clip at random.  The device can classify a window with several factors and
average the logits (test-time augmentation), which is more accurate than any one of them.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from python_speech_features.base import hz2mel, mel2hz

from undertone.recognition.cepstrum import Floats, cepstrum_to_mel, mel_to_cepstrum
from undertone.recognition.mfcc import MfccConfig


def with_vocal_tracts(windows: Floats, factors: Sequence[float], config: MfccConfig) -> Floats:
    """``windows`` with each vocal tract of ``factors``, of shape (factors, *windows.shape).

    windows: MFCC, shape (..., frames, width).  A factor of 1 leaves them as they are.
    """
    return np.stack(
        [windows if factor == 1 else windows @ vocal_tract(config, factor) for factor in factors]
    )


@lru_cache(maxsize=64)
def vocal_tract(config: MfccConfig, factor: float) -> NDArray[np.float64]:
    """The matrix that stretches the spectrum behind MFCC frames by ``factor``.

    Shape (width, width), where width is that of a frame; ``frames @ matrix``.  A factor
    above 1 raises the formants, as a shorter vocal tract does (vocal tract length perturbation,
    Jaitly & Hinton 2013), and the harmonics with them.  The coefficients are turned back into a
    logarithmic mel spectrum, which is read at the stretched frequencies, and made coefficients
    again; above the last filter, its value is repeated.  Coefficient 0, the energy, and the pitch
    are unchanged.
    """
    n = config.n_filters
    mels = np.linspace(hz2mel(config.low_hz), hz2mel(config.high_hz), n + 2)
    positions = np.interp(hz2mel(mel2hz(mels[1:-1]) / factor), mels, np.arange(n + 2)) - 1
    below = np.clip(np.floor(positions).astype(int), 0, n - 2)
    share = np.clip(positions - below, 0, 1)
    warp = np.zeros((n, n))
    warp[np.arange(n), below] = 1 - share
    warp[np.arange(n), below + 1] += share
    matrix = np.eye(config.width)
    spectral = slice(1, config.n_coefficients)
    matrix[spectral, spectral] = cepstrum_to_mel(config) @ warp.T @ mel_to_cepstrum(config)
    matrix.flags.writeable = False
    return matrix
