"""When sound was captured, and the holes in it that only a clock can tell."""

import numpy as np
import pytest

from undertone.audio.timeline import PERIOD_S, WINDOW_S, Captured, Chunk, Timeline

CHUNK_S = 0.1
SOUND = np.zeros(1600, np.int16)


def chunk(
    arrived_s: float, unseen_s: float = 0.0, dropped_s: float = 0.0, overflowed: bool = False
) -> Chunk:
    return Chunk(SOUND, CHUNK_S, arrived_s, 1e9 + arrived_s, unseen_s, dropped_s, overflowed)


def placed(chunks: list[Chunk]) -> list[Captured]:
    """All of ``chunks`` in their places."""
    timeline = Timeline()
    found = [one for each in chunks for one in timeline.take(each)]
    return found + timeline.flush()


def holes(arrivals: list[float]) -> list[tuple[float, float]]:
    """Where sound is missing, and how much, if it arrives in tenths of a second at these times."""
    return [
        (one.start_s - one.missing_s, one.missing_s)
        for one in placed([chunk(arrival) for arrival in arrivals])
        if one.missing_s
    ]


def hole(start_s: float, missing_s: float) -> object:
    return pytest.approx((start_s, missing_s), abs=1e-6)


def times(count: int, start: float = CHUNK_S, every: float = CHUNK_S) -> list[float]:
    return [start + number * every for number in range(count)]


def test_steady_sound_has_no_hole_and_begins_before_it_arrives() -> None:
    given = placed([chunk(arrival) for arrival in times(1000)])
    assert [one.start_s for one in given] == pytest.approx(times(1000, start=0.0))
    assert not any(one.missing_s for one in given)


def test_a_pause_is_a_hole_of_its_length_where_it_was() -> None:
    assert holes([*times(55), *times(55, start=5.5 + 1.3 + CHUNK_S)]) == [hole(5.5, 1.3)]


def test_two_pauses_are_two_holes() -> None:
    arrivals = [*times(55), *times(55, start=6.1), *times(55, start=13.1)]
    assert holes(arrivals) == [hole(5.5, 0.5), hole(11.5, 1.5)]


def test_no_sound_from_after_a_hole_is_given_before_the_hole_is_known() -> None:
    timeline = Timeline()
    before = [one for at in times(55) for one in timeline.take(chunk(at))]
    assert len(before) == 55
    after = times(30, start=7.0)
    given = [(at, timeline.take(chunk(at))) for at in after]
    first_at, first = next(one for one in given if one[1])
    assert first[0].start_s == pytest.approx(6.9)
    assert first[0].missing_s == pytest.approx(1.4)
    assert first_at == pytest.approx(7.0 + WINDOW_S, abs=0.11)


def test_sound_that_comes_late_and_all_at_once_has_the_time_of_its_capture() -> None:
    """As PulseAudio gives it to a process that was stopped for 30 s."""
    given = placed([chunk(at) for at in [*times(20), *([32.0] * 300), *times(50, start=32.1)]])
    assert [one.start_s for one in given] == pytest.approx(times(370, start=0.0))
    assert not any(one.missing_s for one in given)


def test_what_a_full_buffer_lost_after_late_sound_is_missing_there() -> None:
    """30 s, of which the buffer held the first five."""
    given = placed([chunk(at) for at in [*times(20), *([32.0] * 50), *times(50, start=32.1)]])
    (after,) = [number for number, one in enumerate(given) if one.missing_s]
    assert after == pytest.approx(70, abs=1)
    assert given[after].missing_s == pytest.approx(25.0, abs=0.11)
    assert given[after - 1].start_s == pytest.approx(6.9, abs=0.11)
    assert given[-1].start_s == pytest.approx(36.9)


def test_one_late_chunk_is_no_hole() -> None:
    assert holes([*times(20), 2.6, 2.6, 2.6, 2.6, 2.6, *times(50, start=2.6)]) == []


def test_late_sound_that_is_followed_by_none_is_still_given() -> None:
    timeline = Timeline()
    for at in times(20):
        timeline.take(chunk(at))
    assert timeline.take(chunk(4.1)) == []
    assert timeline.settle(5.0) == []
    (late,) = timeline.settle(4.1 + WINDOW_S)
    assert (late.start_s, late.missing_s) == (pytest.approx(4.0), pytest.approx(2.0))


def test_what_waited_for_the_beginning_was_captured_before() -> None:
    given = placed([chunk(at) for at in [1.8] * 18 + times(100, start=1.9)])
    assert given[0].start_s == pytest.approx(0.0)
    assert not any(one.missing_s for one in given)


@pytest.mark.parametrize("error", [-1e-3, 1e-3])
def test_a_sound_card_with_a_clock_of_its_own_has_no_holes(error: float) -> None:
    arrivals = times(36_000, every=CHUNK_S * (1 + error))
    given = placed([chunk(at) for at in arrivals])
    assert not any(one.missing_s for one in given)
    assert given[-1].start_s == pytest.approx(arrivals[-1] - CHUNK_S, abs=2 * PERIOD_S * 1e-3)


def test_what_was_dropped_is_missing_exactly() -> None:
    given = placed([*map(chunk, times(20)), chunk(4.1, dropped_s=2.0), *map(chunk, times(9, 4.2))])
    assert [one.missing_s for one in given if one.missing_s] == [2.0]
    assert given[20].start_s == pytest.approx(4.0)


def test_an_overflow_is_a_hole_however_short() -> None:
    arrivals = [chunk(2.2 + 0.08, overflowed=True), *map(chunk, times(50, 2.38))]
    given = placed([*map(chunk, times(21)), *arrivals])
    (after,) = [one for one in given if one.missing_s]
    assert after.missing_s == pytest.approx(0.08)
    assert after.overflowed


def test_between_two_streams_sound_is_missing() -> None:
    timeline = Timeline()
    for at in times(20):
        timeline.take(chunk(at))
    timeline.begin()
    after = [one for at in times(10, start=9.1) for one in timeline.take(chunk(at))]
    assert after[0].missing_s == pytest.approx(7.0)
    assert after[0].start_s == pytest.approx(9.0)


def test_no_sound_was_captured_after_it_came() -> None:
    """Not even where a pipe gives a recording faster than it lasts."""
    given = placed([chunk(at / 50, unseen_s=9.9) for at in times(6000)])
    assert all(one.start_s <= one.chunk.arrived_s for one in given)
    assert given[-1].start_s == pytest.approx(12.0 - CHUNK_S)
    assert not any(one.missing_s for one in given)


def test_a_reader_that_was_away_proves_no_hole() -> None:
    """Sound that waits in a pipe came at some time since the reader looked last."""
    behind = [chunk(at + 1.0, unseen_s=1.0) for at in times(100, start=2.1)]
    assert not any(one.missing_s for one in placed([*map(chunk, times(20)), *behind]))
