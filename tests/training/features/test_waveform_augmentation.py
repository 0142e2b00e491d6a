"""Augmented copies of a clip, and the simulated rooms."""

import numpy as np
import pytest
import soundfile

from undertone import samples
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features.reverberation import ROOMS, impulse_responses
from undertone_training.features.waveform_augmentation import augmented, augmenter
from undertone_training.recipe import Augmentation


def clip() -> np.ndarray:
    sound, _ = soundfile.read(samples.clips()[4], dtype="int16")
    return sound


def test_impulse_responses_begin_with_the_direct_sound_and_keep_the_energy() -> None:
    responses = impulse_responses()
    assert len(responses) == ROOMS
    for response in responses:
        assert np.abs(response).argmax() == 0
        assert np.square(response).sum() == pytest.approx(1)
        assert len(response) < 2 * 16_000
    early = [np.square(each[:160]).sum() for each in responses]  # of 10 ms
    assert max(early) - min(early) > 0.3  # near and far, dry and reverberant


def test_a_copy_depends_on_its_seed_only_and_has_a_level_in_range() -> None:
    config = Augmentation(level_dbfs=(-40.0, -20.0))
    transform = augmenter(config, NoiseRecordings(()))
    sound = clip()
    copies = [augmented(sound, transform, seed) for seed in range(12)]
    np.testing.assert_array_equal(copies[3], augmented(sound, transform, 3))
    levels = [10 * np.log10(np.square(copy.astype(np.float64) / 32768).mean()) for copy in copies]
    assert all(-41 < level < -19 for level in levels)
    assert max(levels) - min(levels) > 8
    assert len({len(copy) for copy in copies}) > 4  # other speeds
