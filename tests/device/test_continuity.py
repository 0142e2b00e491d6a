"""Holes in a stream that only a clock can tell."""

import pytest

from undertone.audio.gap_detector import GapDetector

CHUNK_S = 0.1


def missing(arrivals: list[float]) -> list[float]:
    """The holes that are found where chunks of a tenth of a second arrive at these times."""
    continuity = GapDetector()
    found = [continuity.missing_s(arrival, CHUNK_S) for arrival in arrivals]
    return [hole for hole in found if hole]


def times(count: int, start: float = 0.0, every: float = CHUNK_S) -> list[float]:
    return [start + number * every for number in range(count)]


def test_steady_sound_has_no_hole() -> None:
    assert missing(times(1000)) == []


def test_a_pause_is_a_hole_of_its_length() -> None:
    assert missing([*times(55), *times(55, start=5.5 + 1.3)]) == [pytest.approx(1.3)]


def test_two_pauses_are_two_holes() -> None:
    arrivals = [*times(55), *times(55, start=6.0), *times(55, start=13.0)]
    assert missing(arrivals) == [pytest.approx(0.5), pytest.approx(1.5)]


def test_what_comes_late_and_all_at_once_is_no_hole() -> None:
    assert missing([*times(20), *([3.0] * 10), *times(100, start=3.1)]) == []


def test_a_late_first_chunk_is_no_hole() -> None:
    assert missing([1.8, *times(100, start=1.9)]) == []


@pytest.mark.parametrize("error", [-1e-3, 1e-3])
def test_a_sound_card_with_a_clock_of_its_own_has_no_holes(error: float) -> None:
    assert missing(times(36_000, every=CHUNK_S * (1 + error))) == []
