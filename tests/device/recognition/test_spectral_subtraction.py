"""Steady noise leaves a window, and nothing else of note."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.recognition.cepstrum import (
    cepstrum_to_mel,
    mel_energies,
    mel_to_cepstrum,
    with_energies,
)
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.spectral_subtraction import subtract_steady_noise

CONFIG = MfccConfig()
RATE_HZ = CONFIG.sample_rate_hz


def syllables(seed: int) -> np.ndarray:
    """Three seconds of voice-like sound in syllables with pauses, as a level of -25 dBFS."""
    random = np.random.default_rng(seed)
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    pitch_hz = random.uniform(100, 250)
    voice = sum(np.sin(2 * np.pi * k * pitch_hz * time_s) / k for k in range(1, 20))
    voice = voice * np.clip(np.sin(2 * np.pi * random.uniform(2, 4) * time_s), 0, None)
    return voice * (1800 / np.sqrt(np.square(voice).mean()))


def window(sound: np.ndarray) -> np.ndarray:
    """Its MFCC, as one window."""
    return Mfcc(CONFIG).compute(np.rint(sound).astype(np.int16))


def in_noise(sound: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=len(sound))
    return sound + noise * np.sqrt(np.square(sound).mean() / 10 ** (snr_db / 10))


def contrast(frames: np.ndarray, voice: np.ndarray) -> float:
    """Logarithmic energy of the frames with a voice above that of the pauses."""
    return float(frames[voice, 0].mean() - frames[~voice, 0].mean())


@given(seed=st.integers(0, 1000), snr_db=st.floats(3, 10))
def test_a_voice_stands_out_of_its_noise(seed, snr_db):
    sound = syllables(seed)
    loud = np.exp(window(sound)[:, 0])
    voice = loud > loud.mean()
    noisy = window(in_noise(sound, snr_db, seed))
    cleaned = subtract_steady_noise(noisy, CONFIG)
    assert contrast(cleaned, voice) > 2 * contrast(noisy, voice)


@given(gain_db=st.integers(-30, 6), seed=st.integers(0, 1000))
def test_a_gain_moves_the_level_and_nothing_else(gain_db, seed):
    frames = np.random.default_rng(seed).normal(size=(20, CONFIG.n_coefficients))
    louder = frames.copy()
    louder[:, 0] += gain_db
    once, twice = (subtract_steady_noise(each, CONFIG) for each in (frames, louder))
    np.testing.assert_allclose(twice[:, 1:], once[:, 1:], atol=1e-8)
    np.testing.assert_allclose(twice[:, 0], once[:, 0] + gain_db, atol=1e-8)


@pytest.mark.parametrize("sound", [np.zeros(RATE_HZ), np.full(RATE_HZ, 32767.0)])
def test_digital_silence_and_full_scale_stay_finite(sound):
    for dtype in (np.float32, np.float64):
        cleaned = subtract_steady_noise(window(sound).astype(dtype), CONFIG)
        assert np.isfinite(cleaned).all()
        assert cleaned.dtype == dtype


def test_each_window_is_cleaned_by_itself():
    windows = np.stack([window(in_noise(syllables(seed), 10.0, seed)) for seed in range(3)])
    together = subtract_steady_noise(windows, CONFIG)
    for one, same in zip(windows, together, strict=True):
        np.testing.assert_allclose(subtract_steady_noise(one, CONFIG), same, rtol=1e-9)


@given(seed=st.integers(0, 1000))
def test_energies_in_the_filters_become_the_frames_that_they_came_of(seed):
    frames = np.random.default_rng(seed).normal(size=(5, CONFIG.width))
    energies = mel_energies(frames, cepstrum_to_mel(CONFIG))
    np.testing.assert_allclose(energies.sum(axis=1), np.exp(frames[:, 0]))
    again = with_energies(frames, energies, mel_to_cepstrum(CONFIG))
    np.testing.assert_allclose(again, frames, atol=1e-9)
