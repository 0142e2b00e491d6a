"""Random sounds without speech."""

import numpy as np
import pytest

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone_training.corpora.random_sounds import MAKERS, random_sound


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("duration_s", [0.1, 1.2345])
def test_a_sound_has_the_length_that_was_asked_for_and_is_finite(
    name: str, duration_s: float
) -> None:
    for seed in range(5):
        sound = MAKERS[name](np.random.default_rng(seed), duration_s)
        assert sound.shape == (round(duration_s * SAMPLE_RATE_HZ),)
        assert np.isfinite(sound).all()


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_gives_one_sound_and_another_seed_another(name: str) -> None:
    first, again, other = (
        MAKERS[name](np.random.default_rng(seed), 3.0) for seed in (1, 1, 2)
    )  # fmt: skip
    np.testing.assert_array_equal(first, again)
    assert np.abs(first).max() > 0
    assert not np.array_equal(first, other)


def test_random_sounds_are_of_many_kinds_and_equally_loud() -> None:
    generator = np.random.default_rng(0)
    sounds = [random_sound(generator, 3.0) for _ in range(20)]
    audible = [sound for sound in sounds if sound.any()]
    assert len(audible) >= 18  # an event may come after the end
    for sound in audible:
        assert np.sqrt(np.square(sound).mean()) == pytest.approx(1)
    changes = [np.abs(np.diff(sound)).mean() for sound in audible]  # a hiss against a hum
    assert max(changes) > 3 * min(changes)
