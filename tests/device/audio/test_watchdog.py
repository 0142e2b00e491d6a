"""The microphone's watchdog, one moment at a time."""

import pytest

from undertone.audio.watchdog import Back, Lost, Reopen, State, Watchdog

CHUNK_S = 0.1


@pytest.fixture
def dog() -> Watchdog:
    return Watchdog(now_s=0.0)


def sound(dog: Watchdog, now_s: float, frozen: bool = False) -> Lost | Back | None:
    return dog.samples(now_s, CHUNK_S, frozen)


def frozen(dog: Watchdog, from_s: float, seconds: float) -> list[Lost | Back]:
    """What it says of so much of one value."""
    told = [sound(dog, from_s + n * CHUNK_S, frozen=True) for n in range(round(seconds / CHUNK_S))]
    return [one for one in told if one]


def ticks(dog: Watchdog, from_s: float, to_s: float) -> list[tuple[float, Lost | Reopen]]:
    """What it says, and when, while nothing comes and it is asked five times a second."""
    times = [from_s + n / 5 for n in range(1, round((to_s - from_s) * 5) + 1)]
    told = [(now_s, dog.tick(now_s, active=True)) for now_s in times]
    return [(now_s, one) for now_s, one in told if one]


def reopenings(dog: Watchdog, from_s: int, to_s: int) -> list[int]:
    """The whole seconds at which the watchdog asks for a reopening."""
    return [now for now in range(from_s, to_s) if isinstance(dog.tick(now, False), Reopen)]


def test_steady_sound_causes_nothing(dog: Watchdog) -> None:
    for tenth in range(1000):
        assert sound(dog, tenth / 10) is None
        assert dog.tick(tenth / 10 + 0.05, active=True) is None


def test_two_seconds_without_samples_is_a_loss(dog: Watchdog) -> None:
    sound(dog, 1.0)
    (one,) = ticks(dog, 1.0, 3.5)
    assert one == (pytest.approx(3.0), Lost("no samples for 2 s"))
    assert dog.state is State.LOST


def test_time_in_which_the_owner_was_stopped_is_no_loss(dog: Watchdog) -> None:
    sound(dog, 1.0)
    assert dog.tick(31.0, active=True) is None
    assert sound(dog, 31.1) is None
    assert dog.tick(61.0, active=True) is None
    (lost_s, _), *_ = ticks(dog, 61.0, 64.0)
    assert lost_s == pytest.approx(62.6)


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
    sound(dog, 1.0)
    dog.tick(1.5, active=False)
    reopenings(dog, 2, 60)
    assert sound(dog, 61.0, frozen=True) == Back()
    assert dog.state is State.LISTENING
    dog.tick(70.0, active=False)
    assert reopenings(dog, 70, 75) == [71, 73]


def test_half_a_minute_of_one_value_is_a_loss(dog: Watchdog) -> None:
    sound(dog, 1.0)
    assert frozen(dog, 1.1, 29.9) == []
    assert sound(dog, 31.0, frozen=True) == Lost("digital silence, or a frozen sound, for 30 s")
    assert dog.state is State.SILENT


def test_one_sound_restarts_the_half_minute(dog: Watchdog) -> None:
    for begin_s in range(0, 290, 29):
        assert sound(dog, begin_s) is None
        assert frozen(dog, begin_s + CHUNK_S, 28.9) == []


def test_time_without_samples_is_no_silence(dog: Watchdog) -> None:
    assert frozen(dog, 0.0, 5.0) == []
    assert frozen(dog, 35.0, 5.0) == []


def test_only_sound_brings_back_a_silent_source(dog: Watchdog) -> None:
    assert len(frozen(dog, 0.0, 100.0)) == 1
    assert dog.state is State.SILENT
    assert sound(dog, 100.0) == Back()


def test_a_silent_source_is_reopened_too(dog: Watchdog) -> None:
    frozen(dog, 0.0, 30.0)
    assert reopenings(dog, 30, 40) == [31, 33, 37]


def test_after_a_comeback_the_source_can_be_silent_for_another_half_minute(dog: Watchdog) -> None:
    dog.tick(5.0, active=False)
    assert frozen(dog, 50.0, 30.0) == [Back()]
    assert len(frozen(dog, 80.0, 0.1)) == 1
