"""What training does to the sound and to its MFCC before the network hears it."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone import samples
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features.reverberation import ROOMS, impulse_responses
from undertone_training.features.waveform_augmentation import augmented, augmenter
from undertone_training.learning.mel_noise import Background
from undertone_training.recipe import Augmentation

CONFIG = MfccConfig()


def clip() -> np.ndarray:
    sound, _ = soundfile.read(samples.clips()[4], dtype="int16")
    return sound


def test_rooms_begin_with_the_direct_sound_and_keep_the_energy() -> None:
    responses = impulse_responses()
    assert len(responses) == ROOMS
    for response in responses:
        assert np.abs(response).argmax() == 0
        assert np.square(response).sum() == pytest.approx(1)
        assert len(response) < 2 * 16_000
    early = [np.square(each[:160]).sum() for each in responses]  # of 10 ms
    assert max(early) - min(early) > 0.3  # near and far, dead and live


def test_a_copy_depends_on_its_seed_alone_and_has_a_level_in_range() -> None:
    config = Augmentation(level_dbfs=(-40.0, -20.0))
    transform = augmenter(config, NoiseRecordings(()))
    sound = clip()
    copies = [augmented(sound, transform, seed) for seed in range(12)]
    np.testing.assert_array_equal(copies[3], augmented(sound, transform, 3))
    levels = [10 * np.log10(np.square(copy.astype(np.float64) / 32768).mean()) for copy in copies]
    assert all(-41 < level < -19 for level in levels)
    assert max(levels) - min(levels) > 8
    assert len({len(copy) for copy in copies}) > 4  # other speeds


def test_a_distant_background_changes_nothing() -> None:
    window = Mfcc(CONFIG).compute(clip())[np.newaxis, 20:60].astype(np.float32)
    far = Background(CONFIG).add(window, (150.0, 150.0), np.random.default_rng(0))
    np.testing.assert_allclose(far, window, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), snr_db=st.floats(-10, 40))
def test_a_background_adds_its_energy_to_the_speech(seed: int, snr_db: float) -> None:
    windows = np.resize(Mfcc(CONFIG).compute(clip())[20:60], (2, 96, 40)).astype(np.float32)
    noisy = Background(CONFIG).add(windows, (snr_db, snr_db), np.random.default_rng(seed))
    before, after = (np.exp(each[..., 0]).mean(axis=1) for each in (windows, noisy))
    np.testing.assert_allclose(after, before * (1 + 10 ** (-snr_db / 10)), rtol=1e-2)
    assert np.isfinite(noisy).all()


def test_a_background_sounds_as_noise_that_was_mixed_in() -> None:
    sound = clip()[8_000:32_000].astype(np.float64)
    noise = np.random.default_rng(1).normal(0, 60, len(sound))
    mfcc = Mfcc(CONFIG)
    clean, mixed, alone = (
        mfcc.compute(each.astype(np.int16)).astype(np.float32)
        for each in (sound, sound + noise, noise)
    )
    energy = [np.exp(each[:, 0]).mean() for each in (clean, alone)]
    snr_db = float(10 * np.log10(energy[0] / energy[1]))
    background = Background(CONFIG, colour_deviation=0.0)
    made = background.add(clean[np.newaxis], (snr_db, snr_db), np.random.default_rng(0))[0]
    low = slice(0, 20)
    error = np.abs(made - mixed)[:, low].mean()
    assert error < 0.5 * np.abs(clean - mixed)[:, low].mean()  # other noise, of the same kind
