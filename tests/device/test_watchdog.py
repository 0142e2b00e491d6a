"""The microphone's watchdog, one moment at a time."""

import pytest

from undertone.audio.watchdog import Back, Lost, Reopen, State, Watchdog


@pytest.fixture
def dog() -> Watchdog:
    return Watchdog(now_s=0.0)


def reopenings(dog: Watchdog, from_s: int, to_s: int) -> list[int]:
    """The whole seconds at which the watchdog asks for a reopening."""
    return [now for now in range(from_s, to_s) if isinstance(dog.tick(now, False), Reopen)]


def test_steady_sound_causes_nothing(dog: Watchdog) -> None:
    for tenth in range(1000):
        assert dog.samples(tenth / 10, frozen=False) is None
        assert dog.tick(tenth / 10 + 0.05, active=True) is None


def test_two_seconds_without_samples_is_a_loss(dog: Watchdog) -> None:
    dog.samples(1.0, frozen=False)
    assert dog.tick(2.9, active=True) is None
    assert dog.tick(3.0, active=True) == Lost("no samples for 2 s")
    assert dog.state is State.LOST


def test_a_stream_that_ended_is_a_loss_at_once(dog: Watchdog) -> None:
    assert dog.tick(0.1, active=False) == Lost("its stream ended")


def test_a_loss_is_reported_once(dog: Watchdog) -> None:
    dog.tick(0.1, active=False)
    assert not any(isinstance(dog.tick(now, False), Lost) for now in range(1, 500))


def test_reopening_backs_off_to_a_minute_and_goes_on_for_ever(dog: Watchdog) -> None:
    dog.tick(0.0, active=False)
    times = reopenings(dog, 0, 400)
    assert times == [1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]
    assert reopenings(dog, 100_000, 100_200)


def test_samples_after_a_loss_bring_it_back_and_reset_the_delay(dog: Watchdog) -> None:
    dog.samples(1.0, frozen=False)
    dog.tick(1.5, active=False)
    reopenings(dog, 2, 60)
    assert dog.samples(61.0, frozen=True) == Back(missed_s=60.0)
    assert dog.state is State.LISTENING
    dog.tick(70.0, active=False)
    assert reopenings(dog, 70, 75) == [71, 73]


def test_half_a_minute_of_one_value_is_a_loss(dog: Watchdog) -> None:
    dog.samples(1.0, frozen=False)
    for now in range(2, 31):
        assert dog.samples(now, frozen=True) is None
    assert dog.samples(31.0, frozen=True) == Lost("digital silence, or a frozen sound, for 30 s")
    assert dog.state is State.SILENT


def test_one_sound_restarts_the_half_minute(dog: Watchdog) -> None:
    assert not any(dog.samples(now, frozen=now % 29 > 0) for now in range(200))


def test_only_sound_brings_back_a_silent_source(dog: Watchdog) -> None:
    for now in range(31):
        dog.samples(now, frozen=True)
    assert dog.state is State.SILENT
    for now in range(31, 100):
        assert dog.samples(now, frozen=True) is None
    assert dog.samples(100.0, frozen=False) == Back(missed_s=100.0)


def test_a_silent_source_is_reopened_too(dog: Watchdog) -> None:
    for now in range(31):
        dog.samples(now, frozen=True)
    assert reopenings(dog, 30, 40) == [31, 33, 37]


def test_after_a_comeback_the_source_can_be_silent_for_another_half_minute(dog: Watchdog) -> None:
    dog.tick(5.0, active=False)
    assert dog.samples(50.0, frozen=True) == Back(missed_s=50.0)
    assert dog.samples(79.0, frozen=True) is None
    assert dog.samples(80.0, frozen=True) == Lost("digital silence, or a frozen sound, for 30 s")
