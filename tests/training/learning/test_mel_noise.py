"""Noise added to MFCC frames in the mel domain."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone import samples
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone_training.learning.mel_noise import MelNoise

CONFIG = MfccConfig()


def clip() -> np.ndarray:
    sound, _ = soundfile.read(samples.clips()[4], dtype="int16")
    return sound


@pytest.mark.parametrize("config", [CONFIG, MfccConfig(pitch=True)])
def test_faint_noise_changes_nothing(config: MfccConfig) -> None:
    window = Mfcc(config).compute(clip())[np.newaxis, 20:60].astype(np.float32)
    faint = MelNoise(config).add(window, (150.0, 150.0), np.random.default_rng(0))
    np.testing.assert_allclose(faint, window, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), snr_db=st.floats(-10, 40))
def test_noise_adds_its_energy_to_the_speech(seed: int, snr_db: float) -> None:
    windows = np.resize(Mfcc(CONFIG).compute(clip())[20:60], (2, 96, 40)).astype(np.float32)
    noisy = MelNoise(CONFIG).add(windows, (snr_db, snr_db), np.random.default_rng(seed))
    before, after = (np.exp(each[..., 0]).mean(axis=1) for each in (windows, noisy))
    np.testing.assert_allclose(after, before * (1 + 10 ** (-snr_db / 10)), rtol=1e-2)
    assert np.isfinite(noisy).all()


def test_noise_in_the_mel_domain_is_like_noise_mixed_into_the_sound() -> None:
    sound = clip()[8_000:32_000].astype(np.float64)
    noise = np.random.default_rng(1).normal(0, 60, len(sound))
    mfcc = Mfcc(CONFIG)
    clean, mixed, alone = (
        mfcc.compute(each.astype(np.int16)).astype(np.float32)
        for each in (sound, sound + noise, noise)
    )
    energy = [np.exp(each[:, 0]).mean() for each in (clean, alone)]
    snr_db = float(10 * np.log10(energy[0] / energy[1]))
    mel_noise = MelNoise(CONFIG, colour_deviation=0.0)
    made = mel_noise.add(clean[np.newaxis], (snr_db, snr_db), np.random.default_rng(0))[0]
    low = slice(0, 20)
    error = np.abs(made - mixed)[:, low].mean()
    assert error < 0.5 * np.abs(clean - mixed)[:, low].mean()  # other noise, of the same kind
