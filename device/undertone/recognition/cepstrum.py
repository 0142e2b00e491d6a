"""Between MFCC frames and the energies in the mel filters behind them."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from python_speech_features.base import lifter
from scipy.fftpack import dct

from undertone.recognition.mfcc import MfccConfig

Floats = NDArray[np.floating[Any]]


@lru_cache(maxsize=8)
def cepstrum_to_mel(config: MfccConfig) -> NDArray[np.float64]:
    """The matrix from coefficients 1 on, as rows, to logarithmic filter energies.

    Shape (coefficients - 1, filters).  The energies lack their mean, and coefficients that
    were cut off count as 0, which smooths the spectrum.
    """
    matrix: NDArray[np.float64] = _basis(config) / _lift(config)
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=8)
def mel_to_cepstrum(config: MfccConfig) -> NDArray[np.float64]:
    """The matrix from logarithmic filter energies, as rows, to coefficients 1 on.

    Shape (filters, coefficients - 1).
    """
    matrix: NDArray[np.float64] = (_basis(config) * _lift(config)).T
    matrix.flags.writeable = False
    return matrix


def mel_energies(frames: Floats, to_mel: Floats) -> Floats:
    """Energies in the mel filters, shape (..., filters); they add up to that of the frame.

    frames: shape (..., width), coefficient 0 the logarithm of the frame's energy.
    to_mel: ``cepstrum_to_mel``.
    """
    shape = np.exp(frames[..., 1 : 1 + len(to_mel)] @ to_mel)
    energies: Floats = shape * (np.exp(frames[..., :1]) / shape.sum(axis=-1, keepdims=True))
    return energies


def with_energies(frames: Floats, energies: Floats, to_cepstrum: Floats) -> Floats:
    """``frames``, shape (..., width), with other energies in the mel filters; the pitch remains.

    energies: positive, shape (..., filters).  to_cepstrum: ``mel_to_cepstrum``.
    """
    energy = np.log(energies.sum(axis=-1, keepdims=True))
    rest = frames[..., 1 + to_cepstrum.shape[1] :]
    return np.concatenate([energy, np.log(energies) @ to_cepstrum, rest], axis=-1)


def _basis(config: MfccConfig) -> NDArray[np.float64]:
    basis: NDArray[np.float64] = dct(np.eye(config.n_filters), type=2, axis=0, norm="ortho")
    return basis[1 : config.n_coefficients]


def _lift(config: MfccConfig) -> NDArray[np.float64]:
    """The weights of ``python_speech_features.lifter``; shape (coefficients - 1, 1)."""
    weights: NDArray[np.float64] = lifter(np.ones((1, config.n_coefficients)), config.lifter)
    return weights[0, 1:, np.newaxis]
