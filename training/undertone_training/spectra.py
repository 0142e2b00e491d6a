"""Between MFCC frames and the logarithmic mel spectrum behind them."""

import numpy as np
from numpy.typing import NDArray
from python_speech_features.base import lifter
from scipy.fftpack import dct

from undertone.mfcc import MfccConfig


def cepstrum_to_mel(config: MfccConfig) -> NDArray[np.float64]:
    """The matrix from coefficients 1 on, as rows, to logarithmic filter energies.

    Shape (coefficients - 1, filters).  The energies lack their mean, and coefficients that
    were cut off count as 0, which smooths the spectrum.
    """
    matrix: NDArray[np.float64] = _basis(config) / _lift(config)
    return matrix


def mel_to_cepstrum(config: MfccConfig) -> NDArray[np.float64]:
    """The matrix from logarithmic filter energies, as rows, to coefficients 1 on.

    Shape (filters, coefficients - 1).
    """
    matrix: NDArray[np.float64] = (_basis(config) * _lift(config)).T
    return matrix


def _basis(config: MfccConfig) -> NDArray[np.float64]:
    basis: NDArray[np.float64] = dct(np.eye(config.n_filters), type=2, axis=0, norm="ortho")
    return basis[1 : config.n_coefficients]


def _lift(config: MfccConfig) -> NDArray[np.float64]:
    """The weights of ``python_speech_features.lifter``; shape (coefficients - 1, 1)."""
    weights: NDArray[np.float64] = lifter(np.ones((1, config.n_coefficients)), config.lifter)
    return weights[0, 1:, np.newaxis]
