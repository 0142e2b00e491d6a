"""Augmented copies of a clip, and the simulated rooms."""

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from undertone import samples
from undertone_training.corpora.noise import NoiseRecordings, for_training
from undertone_training.features.reverberation import ROOMS, impulse_responses
from undertone_training.features.waveform_augmentation import (
    augmented,
    augmenter,
    band_limited,
    opus,
)
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


NOTHING = Augmentation(
    speed=1e-3,
    pitch_semitones=0.0,
    stretch=1e-3,
    equalizer_db=0.0,
    reverberation=0.0,
    noise=0.0,
    level_dbfs=(-26.0, -26.0),
)
"""As little as can be, at one level."""


def edge_hz(sound: np.ndarray) -> float:
    """Where the band of white noise ends."""
    spectrum = np.square(np.abs(np.fft.rfft(sound.astype(float))))
    bands = spectrum[: len(spectrum) // 160 * 160].reshape(160, -1).mean(axis=1)  # of 50 Hz
    return 50.0 * (1 + np.flatnonzero(bands > bands[10:50].mean() / 10)[-1])


def white_noise(seconds: float = 2.0, level: float = 1000.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, level, round(16_000 * seconds))
    return noise.astype(np.int16)


def test_the_band_of_narrow_copies_ends_anywhere_in_the_range() -> None:
    config = msgspec.structs.replace(NOTHING, narrow=1.0, band_hz=(3000.0, 6000.0))
    transform = augmenter(config, NoiseRecordings(()))
    edges = [edge_hz(augmented(white_noise(), transform, seed)) for seed in range(40)]
    assert 2700 < min(edges) < 3400
    assert 5400 < max(edges) < 6300
    # half of them in the lower half octave: uniform in the logarithm
    assert 0.3 < np.mean(np.array(edges) < np.sqrt(3000 * 6000)) < 0.7


@pytest.mark.parametrize("changes", [{"narrow": 0.5, "band_hz": (3000.0, 4000.0)}, {"coded": 0.5}])
def test_as_many_copies_are_narrow_or_coded_as_the_recipe_says(changes: dict[str, object]) -> None:
    sound = white_noise(0.5)
    copies, plain = (
        [augmented(sound, augmenter(config, NoiseRecordings(())), seed) for seed in range(40)]
        for config in (msgspec.structs.replace(NOTHING, **changes), NOTHING)
    )
    alike = [np.corrcoef(copy, other)[0, 1] for copy, other in zip(copies, plain, strict=True)]
    assert 0.25 < np.mean(np.array(alike) < 0.9) < 0.75
    assert np.sum(np.array(alike) > 0.999) > 10  # the others are as they were


@pytest.mark.parametrize("length", [1, 7, 160, 16_001])
def test_a_band_limit_and_a_codec_keep_the_length_of_a_clip(length: int) -> None:
    config = msgspec.structs.replace(NOTHING, narrow=1.0, coded=1.0)
    sound = white_noise()[:length]
    transform = augmenter(config, NoiseRecordings(()))
    random.seed(0)
    floats = sound.astype(np.float32) / 32768
    band, codec = transform.transforms[-3:-1]
    for change in (band, codec):
        assert change(floats, sample_rate=16_000).shape == floats.shape
    assert abs(len(band_limited(sound, 8000)) - length) <= 1
    assert len(opus(sound)) == length


SPEAKER = msgspec.structs.replace(
    Augmentation(alike="speaker", gain_db=(-20.0, 5.0)), reverberation=0.0, noise=0.0
)


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.square(sound.astype(np.float64)).mean()))


def test_alike_copies_keep_how_loud_clips_are_in_relation_to_each_other() -> None:
    """A quiet voice says something, a microphone with little gain does not."""
    transform = augmenter(SPEAKER, NoiseRecordings(()))
    loud, quiet = white_noise(level=3000), white_noise(1.5, level=300)
    gains = []
    for seed in range(12):
        copy, other = (augmented(sound, transform, seed) for sound in (loud, quiet))
        assert 20 * np.log10(rms(copy) / rms(other)) == pytest.approx(20, abs=1.5)
        gains.append(20 * np.log10(rms(copy) / rms(loud)))
    assert max(gains) - min(gains) > 10  # the gain differs from copy to copy
    one_level = augmenter(msgspec.structs.replace(SPEAKER, alike="clip"), NoiseRecordings(()))
    levels = [rms(augmented(sound, one_level, 0)) for sound in (loud, quiet)]
    assert levels[0] == pytest.approx(levels[1], rel=0.01)


def response_db(copy: np.ndarray) -> np.ndarray:
    """The spectrum in bands of 500 Hz in relation to its mean."""
    spectrum = np.square(np.abs(np.fft.rfft(copy.astype(float))))
    bands = 10 * np.log10(spectrum[: len(spectrum) // 16 * 16].reshape(16, -1).mean(axis=1) + 1e-3)
    return bands - bands[:6].mean()


def test_alike_copies_went_through_the_same_filter_whatever_their_length(tmp_path: Path) -> None:
    """Also behind noise from a recording, whose excerpt depends on the length of the clip."""
    for number in range(3):
        path = tmp_path / "noise" / f"hum_{number}.flac"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 80_000), 16_000)
    config = msgspec.structs.replace(
        SPEAKER, noise=0.5, snr_db=(60.0, 60.0), narrow=0.5, coded=0.3, equalizer_db=12.0
    )
    transform = augmenter(config, for_training(tmp_path))
    long, short = white_noise(1.5), white_noise(0.5)[::-1]
    differences, others = [], []
    for seed in range(12):
        one, other = (response_db(augmented(sound, transform, seed)) for sound in (long, short))
        different = response_db(augmented(long, transform, seed + 100))
        heard = one > -25  # what a band limit took is rounding
        differences.append(np.abs(one - other)[heard].mean())
        others.append(np.abs(one - different)[heard].mean())
    assert max(differences) < 1.5
    assert np.mean(others) > 3 * np.mean(differences)
