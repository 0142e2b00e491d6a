"""The streaming resampler: lengths, levels, and independence of the pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.audio.resample import Resampler, to_mono


def tone(rate_hz: int, frequency_hz: float = 1000.0, seconds: float = 0.5) -> Samples:
    times = np.arange(round(rate_hz * seconds)) / rate_hz
    return np.rint(8000 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.int16)


def whole(rate_hz: int, samples: Samples) -> Samples:
    return Resampler(rate_hz).process(samples, last=True)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_stays_the_same_tone(rate_hz: int) -> None:
    resampled = whole(rate_hz, tone(rate_hz))
    expected = tone(SAMPLE_RATE_HZ)
    assert len(resampled) == pytest.approx(len(expected), abs=1)
    middle = slice(800, 7_000)  # the filter rings at the ends
    assert resampled[middle] == pytest.approx(expected[middle], abs=20)


def test_what_16_khz_cannot_hold_is_filtered_out() -> None:
    assert np.abs(whole(48_000, tone(48_000, 12_000.0))[800:-800]).max() <= 1


def test_at_the_same_rate_the_samples_pass_untouched() -> None:
    samples = tone(SAMPLE_RATE_HZ)
    resampler = Resampler(SAMPLE_RATE_HZ)
    assert np.array_equal(resampler.process(samples), samples)
    assert resampler.held_s == 0.0
    assert not len(resampler.process(samples[:0], last=True))


@settings(max_examples=30, deadline=None)
@given(
    rate_hz=st.sampled_from([8_000, 44_100, 48_000, 96_000]),
    cuts=st.lists(st.integers(0, 4_000), max_size=8),
)
def test_the_pieces_make_no_difference(rate_hz: int, cuts: list[int]) -> None:
    samples = tone(rate_hz)[:4_000]
    resampler = Resampler(rate_hz)
    pieces = np.split(samples, sorted(cuts))
    resampled = [resampler.process(piece) for piece in pieces]
    resampled.append(resampler.process(samples[:0], last=True))
    assert np.array_equal(np.concatenate(resampled), whole(rate_hz, samples))


def test_held_sound_and_given_sound_add_up() -> None:
    resampler = Resampler(48_000)
    given_s = len(resampler.process(tone(48_000))) / SAMPLE_RATE_HZ
    assert resampler.held_s > 0
    assert given_s + resampler.held_s == pytest.approx(0.5, abs=1e-3)


def test_after_the_last_piece_a_new_signal_begins() -> None:
    resampler = Resampler(48_000)
    first = resampler.process(tone(48_000), last=True)
    assert np.array_equal(resampler.process(tone(48_000), last=True), first)


def test_full_scale_is_clipped_not_wrapped() -> None:
    square = np.where(np.arange(4_800) // 48 % 2, 32767, -32768).astype(np.int16)
    resampled = whole(48_000, square)
    # A wrapped overshoot would turn the sign in the middle of a half wave.
    assert (np.abs(np.diff(resampled[200:-200].astype(int))) > 60_000).sum() <= 100
    assert resampled.max() == 32767
    assert resampled.min() == -32768


@pytest.mark.parametrize("rate_hz", [0, -8_000])
def test_an_impossible_rate_is_refused(rate_hz: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(rate_hz)


def test_channels_are_averaged_or_picked() -> None:
    interleaved = np.array([100, 300, -32768, -32768, 32767, 32767], np.int16)
    assert to_mono(interleaved, 2).tolist() == [200, -32768, 32767]
    assert to_mono(interleaved, 2, channel=1).tolist() == [300, -32768, 32767]
    assert to_mono(interleaved, 1) is interleaved
