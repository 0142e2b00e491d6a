"""Adds room noise to MFCC frames in the mel domain, so that every epoch has different noise."""

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.recognition.cepstrum import (
    cepstrum_to_mel,
    mel_energies,
    mel_to_cepstrum,
    with_energies,
)
from undertone.recognition.mfcc import Mfcc, MfccConfig

Array = NDArray[np.float32]

_BANK_S = 60
_COLOURS = 5
"""Number of cosines over the mel scale that shape the spectrum of a noise."""


class MelNoise:
    """Adds steady noise to windows of MFCC frames, with a different spectrum for each window.

    The coefficients are converted back to energies of the mel filters, whose sum is the energy
    of the frame (coefficient 0); the energies of the noise are added, and the result is converted
    to coefficients again. The noise varies from frame to frame as computed white noise does.
    """

    def __init__(self, config: MfccConfig, colour_deviation: float = 2.0) -> None:
        """Compute the frames of a minute of white noise.

        colour_deviation: standard deviation of the first cosine in nepers of energy (4.3 dB
            each); that of the k-th is 1/k of it. 0 leaves the noise white.
        """
        self._to_mel = cepstrum_to_mel(config).astype(np.float32)
        self._to_cepstrum = mel_to_cepstrum(config).astype(np.float32)
        generator = np.random.default_rng(0)
        white = generator.normal(0, 1000, _BANK_S * SAMPLE_RATE_HZ).astype(np.int16)
        self._bank = mel_energies(Mfcc(config).compute(white).astype(np.float32), self._to_mel)
        mels = (np.arange(config.n_filters) + 0.5) / config.n_filters
        orders = np.arange(1, _COLOURS + 1)[:, np.newaxis]
        self._colours = (np.cos(np.pi * orders * mels) * colour_deviation / orders).astype(
            np.float32
        )

    def add(
        self, windows: Array, snr_db: tuple[float, float], generator: np.random.Generator
    ) -> Array:
        """``windows``, shape (windows, frames, width), with noise; it leaves the pitch as it is.

        snr_db: range of the ratio of a window's mean energy to that of the noise.
        """
        n, length, _ = windows.shape
        starts = generator.integers(len(self._bank) - length, size=(n, 1))
        noise = self._bank[starts + np.arange(length)]
        colours = generator.normal(size=(n, len(self._colours))).astype(np.float32)
        noise *= np.exp(colours @ self._colours)[:, np.newaxis]
        ratio = 10 ** (generator.uniform(*snr_db, size=n).astype(np.float32) / 10)
        wanted = np.exp(windows[..., 0]).mean(axis=1) / ratio
        noise *= (wanted / noise.sum(axis=2).mean(axis=1))[:, np.newaxis, np.newaxis]
        energies = mel_energies(windows, self._to_mel) + noise
        noisy: Array = with_energies(windows, energies, self._to_cepstrum)
        return noisy
