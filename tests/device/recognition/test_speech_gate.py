from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.audio.files import read_blocks
from undertone.recognition.speech_gate import (
    LEAST_DETECTED_S,
    LEAST_LEVEL_DEVIATION_DB,
    GateConfig,
    SpeechGate,
    pymicro_vad_detector,
    segments,
)
from undertone.samples import clips, demonstration


def gate():
    return SpeechGate(detector=pymicro_vad_detector())


def sound(seconds, dbfs, seed=0):
    noise = np.random.default_rng(seed).normal(0, 32768 * 10 ** (dbfs / 20), seconds_of(seconds))
    return np.clip(np.rint(noise), -32768, 32767).astype(np.int16)


def blocks_of(samples):
    return [
        Block(samples[start : start + 160], start / SAMPLE_RATE_HZ)
        for start in range(0, len(samples), 160)
    ]


def seconds_of(seconds):
    return round(seconds * SAMPLE_RATE_HZ)


def clip(index):
    return np.concatenate([block.samples for block in read_blocks(clips()[index])])


@pytest.mark.parametrize("index", range(8))
def test_each_clip_is_one_segment_without_the_silence_around_it(index):
    samples = clip(index)
    found = list(segments([Block(samples, 0.0)], gate()))
    assert len(found) == 1
    assert 0.5 < found[0].duration_s < len(samples) / SAMPLE_RATE_HZ - 1
    start = round(found[0].time_s * SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(found[0].samples, samples[start : start + len(found[0].samples)])


def last_parts(samples, listening):
    parts = [*listening.process(Block(samples, 0.0)), *listening.flush()]
    return [part for part in parts if part.last]


@pytest.mark.parametrize("index", range(8))
def test_each_clip_has_evidence_of_speech(index):
    (last,) = last_parts(clip(index), gate())
    assert last.evidence.suffices
    assert last.evidence.detected_s > 2 * LEAST_DETECTED_S
    assert last.evidence.level_deviation_db > LEAST_LEVEL_DEVIATION_DB + 1


@pytest.mark.parametrize("before_dbfs", [-80, -120])
def test_that_a_steady_sound_sets_in_is_no_evidence(before_dbfs):
    samples = np.concatenate([sound(1, before_dbfs), sound(1, -20), sound(1, before_dbfs)])
    (last,) = last_parts(samples, SpeechGate(detector=lambda frame: 1.0))
    assert last.evidence.detected_s >= 1
    assert last.evidence.level_deviation_db < 1
    assert not last.evidence.suffices


def test_each_piece_of_long_speech_has_its_own_evidence():
    samples = np.concatenate([sound(1, -80), sound(4.5, -20), sound(1, -80)])
    pieces = last_parts(samples, SpeechGate(GateConfig(longest_s=2.0), lambda frame: 1.0))
    assert [round(piece.evidence.detected_s) for piece in pieces] == [2, 2, 1]


def test_every_clip_of_the_demonstration_is_detected_once():
    found = list(segments(demonstration(), gate()))
    assert len(found) == 8
    assert all(earlier.time_s < later.time_s for earlier, later in pairwise(found))


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60_000), max_size=20),
    index=st.integers(0, 7),
    offset_s=st.sampled_from([0.0, 1.75e9]),
)
def test_block_lengths_make_no_difference(cuts, index, offset_s):
    samples = clip(index)
    whole = list(segments([Block(samples, offset_s)], gate()))
    ends = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    blocks = [
        Block(samples[start:end], offset_s + start / SAMPLE_RATE_HZ)
        for start, end in pairwise(ends)
    ]
    pieces = list(segments(blocks, gate()))
    assert [len(segment.samples) for segment in pieces] == [len(s.samples) for s in whole]
    for piece, expected in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(piece.samples, expected.samples)
        assert piece.time_s == pytest.approx(expected.time_s, abs=1e-5)


@pytest.mark.parametrize("dbfs", [-80, -50, -20])
def test_steady_noise_and_silence_are_no_speech(dbfs):
    assert not list(segments([Block(sound(20, dbfs), 0.0)], gate()))
    assert not list(segments([Block(np.zeros(seconds_of(5), np.int16), 0.0)], gate()))


def test_the_detector_is_not_asked_while_it_is_quiet():
    asked = []

    def detector(frame):
        asked.append(frame)
        return 0.0

    list(segments([Block(sound(10, -80), 0.0)], SpeechGate(detector=detector)))
    assert not asked


def test_the_level_serves_alone_without_a_detector():
    quiet, loud = sound(2, -80), sound(1.5, -20)
    found = list(segments([Block(np.concatenate([quiet, loud, quiet]), 0.0)], SpeechGate()))
    assert len(found) == 1
    assert found[0].time_s == pytest.approx(1.9, abs=0.05)
    assert found[0].duration_s == pytest.approx(1.6, abs=0.1)


def test_long_speech_is_cut_and_nothing_of_it_lost():
    config = GateConfig(longest_s=2.0)
    talk = sound(7, -20)
    samples = np.concatenate([sound(1, -80), talk, sound(1, -80)])
    found = list(segments([Block(samples, 0.0)], SpeechGate(config, lambda frame: 1.0)))
    assert [round(segment.duration_s, 1) for segment in found][:3] == [2.0, 2.0, 2.0]
    assert sum(segment.duration_s for segment in found) == pytest.approx(7.1, abs=0.05)
    for earlier, later in pairwise(found):
        assert later.time_s == pytest.approx(earlier.time_s + earlier.duration_s)


@pytest.mark.parametrize("rest_s", [0.0, 0.05, 0.4, 0.6])
def test_what_a_cut_leaves_is_a_segment_only_where_it_is_long_enough(rest_s):
    """The sound goes on for so long behind the second cut; the first piece begins with the lead."""
    config = GateConfig(longest_s=2.0)
    samples = np.concatenate([sound(1, -80), sound(3.9 + rest_s, -20), sound(1, -80)])
    listening = SpeechGate(config, lambda frame: 1.0)
    found = list(segments(blocks_of(samples), listening))
    expected = [2.0, 2.0] + [rest_s] * (rest_s >= config.shortest_s)
    assert [segment.duration_s for segment in found] == pytest.approx(expected, abs=0.02)
    assert not listening.is_open


def test_a_pause_across_a_cut_leaves_no_short_segment():
    """Speech pauses before the cut and goes on for a moment behind it."""
    config = GateConfig(longest_s=2.0)
    samples = np.concatenate(
        [sound(1, -80), sound(1.7, -20), sound(0.35, -80), sound(0.1, -20), sound(1, -80)]
    )
    found = list(segments([Block(samples, 0.0)], SpeechGate(config, lambda frame: 1.0)))
    assert [segment.duration_s for segment in found] == [2.0]


@pytest.mark.parametrize(("detected_every", "opens"), [(100, False), (5, True)])
def test_only_speech_of_the_last_moment_opens_the_gate(detected_every, opens):
    """The detector says yes to single frames of a loud sound: seldom, they never add up."""
    count = 0

    def detector(frame):
        nonlocal count
        count += 1
        return float(count % detected_every == 0)

    listening = SpeechGate(detector=detector)
    opened = False
    for block in blocks_of(np.concatenate([sound(1, -80), sound(30, -10)])):
        listening.process(block)
        opened = opened or listening.is_open
    assert count > 20 * 100  # it listened all the time
    assert opened == opens


def test_the_end_of_the_signal_closes_an_open_segment():
    samples = np.concatenate([sound(1, -80), sound(1, -20)])
    found = list(segments([Block(samples, 0.0)], SpeechGate(detector=lambda frame: 1.0)))
    assert len(found) == 1


def test_a_short_bang_is_no_segment():
    samples = np.concatenate([sound(1, -80), sound(0.2, -5), sound(2, -80)])
    assert not list(segments([Block(samples, 0.0)], SpeechGate(detector=lambda frame: 1.0)))


def test_a_loud_room_is_followed():
    """After a while with a machine running, the detector is no longer asked about it."""
    asked = 0

    def detector(frame):
        nonlocal asked
        asked += 1
        return 0.0

    listening = SpeechGate(detector=detector)
    listening.process(Block(sound(20, -30), 0.0))
    asked = 0
    listening.process(Block(sound(10, -30, seed=1), 20.0))
    assert asked < 50


def test_flush_forgets_a_half_frame():
    listening = SpeechGate()
    listening.process(Block(sound(0.005, -20), 0.0))
    assert listening.flush() == []
    assert not listening.is_open
