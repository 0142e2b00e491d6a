"""What each condition of the protocol ``degraded`` does to a clip."""

from pathlib import Path

import numpy as np
import pytest
from miniature import write, write_ravdess

from undertone.audio.block import Samples
from undertone_training.corpora import Clip, scan
from undertone_training.evaluation.degraded import (
    CONDITIONS,
    band_limited,
    enough_voices,
    in_babble,
    opus,
)
from undertone_training.evaluation.levels import at_level


def noise(seconds: float = 1.0, seed: int = 0) -> Samples:
    generator = np.random.default_rng(seed)
    return generator.normal(0, 3000, round(16_000 * seconds)).astype(np.int16)


def power_db(samples: Samples, low_hz: int, high_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / 16_000)
    return float(10 * np.log10(spectrum[(frequency_hz > low_hz) & (frequency_hz < high_hz)].mean()))


@pytest.mark.parametrize(("rate_hz", "edge_hz"), [(8_000, 4_000), (11_000, 5_500)])
def test_a_lower_rate_takes_the_upper_band_and_leaves_the_lower(rate_hz: int, edge_hz: int) -> None:
    sound = noise()
    narrow = band_limited(sound, rate_hz)
    assert abs(len(narrow) - len(sound)) <= 1
    assert narrow.dtype == np.int16
    below = (100, edge_hz - 500)
    assert power_db(narrow, *below) == pytest.approx(power_db(sound, *below), abs=0.2)
    assert power_db(narrow, edge_hz + 200, 8_000) < power_db(sound, *below) - 50


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("sound", [noise(), np.zeros(1600, np.int16), noise(0.01)], ids=len)
def test_every_condition_gives_the_same_sound_of_the_same_length_each_time(
    name: str, sound: Samples
) -> None:
    changed = CONDITIONS[name](sound)
    assert changed.dtype == np.int16
    assert abs(len(changed) - len(sound)) <= 1
    np.testing.assert_array_equal(changed, CONDITIONS[name](sound))
    assert (name == "as recorded") == np.array_equal(changed, sound) or not sound.any()


def test_a_quieter_clip_is_20_db_quieter() -> None:
    quiet = CONDITIONS["20 dB quieter"](noise())
    np.testing.assert_allclose(quiet, noise() / 10, atol=0.5)


def test_opus_keeps_the_time_of_a_clip() -> None:
    time_s = np.arange(16_000) / 16_000
    tone = (8000 * np.sin(2 * np.pi * 440 * time_s) * (time_s > 0.5)).astype(np.int16)
    coded = opus(tone)
    assert np.abs(coded[: 16_000 // 2 - 400]).max() < 800
    assert np.abs(coded[16_000 // 2 + 800 :]).max() > 6000


def test_a_room_goes_on_sounding_for_half_a_second() -> None:
    click = np.zeros(16_000, np.int16)
    click[0] = 32_000
    heard = CONDITIONS["in a room (reverberation time 0.5 s)"](click).astype(float)
    left = np.cumsum(heard[::-1] ** 2)[::-1]
    fallen_20_db = int(np.argmax(left < left[0] / 100)) / 16_000
    assert 0.1 < fallen_20_db < 0.3  # a third of 0.5 s


def five_speakers(folder: Path) -> list[Clip]:
    for number, speaker in enumerate(("ann", "bo", "cy", "di", "ed")):
        write(folder / f"own/x/{speaker}/happy/1.wav", noise(0.7 + number / 10, number))
    return list(scan(folder).clips)


def test_babble_is_10_db_below_the_clip_which_keeps_its_level(tmp_path: Path) -> None:
    clips = five_speakers(tmp_path)
    clip = clips[2]
    clean = clip.source.read().astype(float)
    mixed = in_babble(clip, clips).astype(float)
    assert len(mixed) == len(clean)
    added = mixed - clean
    ratio_db = 10 * np.log10(np.square(clean).mean() / np.square(added).mean())
    assert ratio_db == pytest.approx(10, abs=0.5)
    np.testing.assert_array_equal(mixed, in_babble(clip, clips[::-1]))
    assert np.ptp(at_level(mixed, -25.0)) > 0


def test_four_other_voices_take_five_speakers(tmp_path: Path) -> None:
    clips = five_speakers(tmp_path)
    assert enough_voices(clips)
    assert not enough_voices(clips[1:])


def test_the_rooms_of_the_training_are_what_they_were() -> None:
    from undertone_training.features.reverberation import impulse_responses

    assert len(impulse_responses()) == 64
    assert np.square(impulse_responses()[0]).sum() == pytest.approx(1)


def test_the_clips_of_ravdess_have_enough_voices_in_a_fold(tmp_path: Path) -> None:
    write_ravdess(tmp_path, (1, 2, 3, 4, 5))
    assert enough_voices(scan(tmp_path).clips)
