"""The gate with detectors that answer by a rule, and as a whole with the packaged network."""

from itertools import chain, cycle, pairwise

import msgspec
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.speech_gate import GateConfig, SpeechGate, segments
from undertone.samples import clips, demonstration

from .detectors import FakeDetector, always, if_loud, louder_than, never, script

MFCC = MfccConfig()
HOP = MFCC.hop_length
HOP_S = HOP / SAMPLE_RATE_HZ

LEAD, TAIL, PAUSE, SHORTEST, LONGEST, LOOKBACK = 2, 1, 14, 13, 64, 40  # hops
CONFIG = GateConfig(
    margin_db=6.0,
    lowest_dbfs=-72.0,
    initial_floor_dbfs=-75.0,
    lowest_floor_dbfs=-82.0,
    floor_rise_db_per_s=5.0,
    threshold=0.35,
    sure=0.5,
    confirm_s=8 * HOP_S,
    confirm_within_s=32 * HOP_S,
    lead_s=LEAD * HOP_S,
    tail_s=TAIL * HOP_S,
    lookback_s=LOOKBACK * HOP_S,
    pause_s=PAUSE * HOP_S,
    shortest_s=SHORTEST * HOP_S,
    longest_s=LONGEST * HOP_S,
    least_speech_s=12 * HOP_S,
    least_deviation_db=0.0,
    least_unevenness_db=0.0,
)
QUIET, LOUD = -80, -20  # dBFS


def gate(rule, config=CONFIG, ahead=0, piece=1, mfcc=MFCC):
    return SpeechGate(mfcc, FakeDetector(rule, ahead, piece), config)


def sound(*stretches, seed=0):
    """White noise in stretches, each of so many hops at a level in dBFS."""
    random = np.random.default_rng(seed)
    noise = [
        random.normal(0, 32768 * 10 ** (dbfs / 20), count * HOP).clip(-32768, 32767)
        for count, dbfs in stretches
    ]
    return np.rint(np.concatenate(noise)).astype(np.int16)


def blocks_of(samples, length=HOP, start_s=0.0):
    return [
        Block(samples[start : start + length], start_s + start / SAMPLE_RATE_HZ)
        for start in range(0, len(samples), length)
    ]


def found_in(samples, listening):
    """The first hop of each segment, and the hop after its last."""
    return [
        (round(one.time_s / HOP_S), round((one.time_s + one.duration_s) / HOP_S))
        for one in segments([Block(samples, 0.0)], listening)
    ]


def hops_until_the_end(listening, samples, start_s):
    """How many hops it takes until the open segment ends."""
    for number, block in enumerate(blocks_of(samples, start_s=start_s), 1):
        if any(part.last for part in listening.process(block)):
            return number
    raise AssertionError("it does not end")


def clip(index):
    return np.concatenate([block.samples for block in read_blocks(clips()[index])])


# where a segment begins and ends


def test_a_segment_is_speech_with_its_lead_and_tail():
    """A frame is loud from the hop before the sound on, because it covers the hop after it."""
    samples = sound((50, QUIET), (30, LOUD), (50, QUIET))
    assert found_in(samples, gate(if_loud)) == [(49 - LEAD, 80 + TAIL)]
    wider = replace(CONFIG, lead_s=5 * HOP_S, tail_s=3 * HOP_S)
    assert found_in(samples, gate(if_loud, wider)) == [(49 - 5, 80 + 3)]


@pytest.mark.parametrize("level_dbfs", [-60, -40, -20])
def test_the_detector_alone_says_where_speech_is(level_dbfs):
    samples = sound((130, level_dbfs))
    answers = [0.0] * 40 + [1.0] * 30 + [0.0] * 60
    assert found_in(samples, gate(script(answers))) == [(40 - LEAD, 70 + TAIL)]


def test_speech_that_begins_before_any_sound_stands_out_is_looked_back_at():
    samples = sound((30, QUIET), (30, LOUD), (50, QUIET))
    assert found_in(samples, gate(script([0.0] * 10 + [1.0] * 40))) == [(10 - LEAD, 50 + TAIL)]
    long = sound((100, QUIET), (20, LOUD), (50, QUIET))
    assert found_in(long, gate(script([1.0] * 60))) == [(100 - LOOKBACK, 120 + TAIL)]


@pytest.mark.parametrize(("pause", "count"), [(PAUSE - 2, 1), (PAUSE + 2, 2)])
@pytest.mark.parametrize("between", [QUIET, LOUD])
def test_a_pause_in_speech_ends_a_segment_whether_it_is_quiet_or_not(pause, count, between):
    samples = sound((5, LOUD), (20, LOUD), (pause, between), (20, LOUD), (50, QUIET))
    answers = [0.0] * 5 + [1.0] * 20 + [0.0] * pause + [1.0] * 20
    assert len(found_in(samples, gate(script(answers)))) == count


@pytest.mark.parametrize("ahead", [0, 3, 7, 10])
@pytest.mark.parametrize("piece", [1, 4])
def test_in_quiet_a_segment_ends_after_the_pause_however_far_the_detector_looks_ahead(ahead, piece):
    listening = gate(if_loud, ahead=ahead, piece=piece)
    for block in blocks_of(sound((50, QUIET), (30, LOUD))):
        assert not any(part.last for part in listening.process(block))
    waited = hops_until_the_end(listening, sound((60, QUIET)), 80 * HOP_S)
    assert PAUSE <= waited <= PAUSE + 5  # a hop for the last frame, and four frames at once


@pytest.mark.parametrize("ahead", [0, 7])
def test_in_noise_a_segment_ends_as_soon_as_the_detector_has_answered_for_the_pause(ahead):
    listening = gate(script([0.0] * 10 + [1.0] * 30), ahead=ahead)
    for block in blocks_of(sound((40, LOUD))):
        assert not any(part.last for part in listening.process(block))
    waited = hops_until_the_end(listening, sound((60, LOUD)), 40 * HOP_S)
    assert PAUSE + ahead <= waited <= PAUSE + ahead + 5
    assert not listening.is_quiet


@pytest.mark.parametrize(("ahead", "piece"), [(0, 1), (7, 4), (3, 16), (20, 1)])
def test_the_end_of_the_signal_closes_an_open_segment_with_all_of_it(ahead, piece):
    for loud in (20, 21, 22, 23):
        listening = gate(if_loud, ahead=ahead, piece=piece)
        samples = sound((50, QUIET), (loud, LOUD))
        assert found_in(samples, listening) == [(49 - LEAD, 50 + loud)]
        assert not listening.is_open
        assert listening.is_quiet


def test_long_speech_does_not_become_the_noise_floor():
    """While the gate is open the floor stays, so that quiet is what was quiet before."""
    samples = sound((50, QUIET), (500, -40), (50, QUIET))
    listening = gate(if_loud, replace(CONFIG, longest_s=30.0), ahead=20)
    assert found_in(samples, listening) == [(49 - LEAD, 550 + TAIL)]


def test_what_was_heard_before_it_slept_is_looked_back_at():
    """A bang, and soft speech that grows loud; the detector looks so far ahead that it sleeps."""
    samples = sound((30, QUIET), (2, LOUD), (40, -74), (20, LOUD), (50, QUIET))
    assert found_in(samples, gate(louder_than(9), ahead=20)) == [(72 - LOOKBACK, 92 + TAIL)]


# what opens it, and what is long enough


@pytest.mark.parametrize(("hit_every", "opens"), [(33, False), (6, False), (3, True)])
def test_only_speech_of_the_last_moment_opens_the_gate(hit_every, opens):
    """Single hits in a loud sound: seldom, they never add up."""
    hits = cycle([1.0] + [0.0] * (hit_every - 1))
    listening = gate(script(hits), replace(CONFIG, floor_rise_db_per_s=0.0))
    opened = False
    for block in blocks_of(sound((1000, LOUD))):
        listening.process(block)
        assert not listening.is_quiet
        opened = opened or listening.is_open
    assert opened == opens


def test_hits_that_did_not_open_the_gate_are_forgotten():
    """Speech begins no longer before it opens than is looked back."""
    answers = [1.0, *[0.0] * 5] * 50 + [1.0] * 30
    listening = gate(script(answers), replace(CONFIG, floor_rise_db_per_s=0.0, longest_s=30.0))
    ((start, end),) = found_in(sound((400, LOUD)), listening)
    assert 300 - LOOKBACK - LEAD <= start <= 300
    assert end == 330 + TAIL


@pytest.mark.parametrize(("loud", "count"), [(5, 0), (11, 0), (13, 1)])
def test_a_short_sound_is_no_segment(loud, count):
    """11 hops open the gate, but with the frame before they are only 12, whatever the lead."""
    samples = sound((50, QUIET), (loud, LOUD), (50, QUIET))
    assert len(found_in(samples, gate(if_loud))) == count
    assert len(found_in(samples[: (50 + loud) * HOP], gate(if_loud))) == (loud > 12)
    wider = replace(CONFIG, lead_s=8 * HOP_S, tail_s=9 * HOP_S)
    assert len(found_in(samples, gate(if_loud, wider))) == count


def test_what_was_too_short_does_not_lengthen_the_next():
    samples = sound((50, QUIET), (9, LOUD), (18, QUIET), (9, LOUD), (50, QUIET))
    assert found_in(samples, gate(if_loud)) == []


@pytest.mark.parametrize("rest", [0, 1, 2, SHORTEST, SHORTEST + TAIL, 20])
def test_long_speech_is_cut_and_the_rest_is_a_segment_where_it_is_long_enough(rest):
    loud = 2 * LONGEST + rest - (1 + LEAD + TAIL)
    samples = sound((50, QUIET), (loud, LOUD), (50, QUIET))
    listening = gate(if_loud)
    cuts = [49 - LEAD + LONGEST * number for number in range(3)]
    expected = [*pairwise(cuts), (cuts[-1], cuts[-1] + rest)]
    assert found_in(samples, listening) == expected[: 2 + (rest >= SHORTEST + TAIL)]
    assert not listening.is_open


def test_a_pause_across_a_cut_leaves_no_short_segment():
    """Speech pauses before the cut and goes on for a moment behind it."""
    samples = sound((50, QUIET), (50, LOUD), (10, QUIET), (4, LOUD), (50, QUIET))
    assert found_in(samples, gate(if_loud)) == [(47, 47 + LONGEST)]


# evidence


@pytest.mark.parametrize(("sure", "is_speech"), [(11, False), (12, True)])
def test_a_segment_is_speech_only_if_the_detector_is_sure_of_enough_of_it(sure, is_speech):
    """Those that it is not sure of still belong to it."""
    answers = [0.4] * 10 + [0.6] * sure + [0.4] * 10
    listening = gate(script([0.0] * 10 + answers))
    (found,) = segments([Block(sound((80, LOUD)), 0.0)], listening)
    assert len(found.frames) == len(answers) + LEAD + TAIL
    assert found.is_speech == is_speech


@pytest.mark.parametrize(("swing_db", "is_speech"), [(1.0, False), (4.0, True)])
def test_a_segment_is_speech_only_if_its_level_varies(swing_db, is_speech):
    """The rise at its start, in the lead, does not count."""
    syllables = [(2, LOUD), (2, LOUD - swing_db)] * 12
    listening = gate(always, replace(CONFIG, least_deviation_db=1.5), ahead=3, piece=4)
    (found,) = segments([Block(sound(*syllables), 0.0)], listening)
    assert found.is_speech == is_speech
    quiet_at_first = sound((1, QUIET), *syllables)
    speech = script([0.0] + [1.0] * 48)
    (found,) = segments([Block(quiet_at_first, 0.0)], gate(speech, listening.config))
    assert len(found.frames) == 49
    assert found.is_speech == is_speech


@pytest.mark.parametrize("sound_around", [(40, QUIET), (40, LOUD + 6)])
def test_a_wider_segment_needs_the_same_evidence(sound_around):
    """Lead and tail have another level; the speech between them has one, and no syllables."""
    answers = script([0.0] * 40 + [1.0] * 30 + [0.0] * 40)
    wider = replace(CONFIG, lead_s=8 * HOP_S, tail_s=9 * HOP_S, least_deviation_db=1.5)
    (found,) = segments(
        [Block(sound((40, LOUD + 6), (30, LOUD), sound_around), 0.0)], gate(answers, wider)
    )
    assert len(found.frames) == 30 + 8 + 9
    assert not found.is_speech


FAINT = LOUD - 12
SYLLABLES = [(3, LOUD), (3, LOUD - 10)] * 5
MOTOR = [(1, LOUD - 15 + number / 2) for number in range(30)]  # it speeds up


@pytest.mark.parametrize(
    ("before", "spoken", "behind", "is_speech"),
    [
        (FAINT, MOTOR, FAINT, True),  # prominent
        (FAINT, MOTOR, LOUD, False),  # goes on
        (LOUD, MOTOR, FAINT, False),  # went on before
        (LOUD, SYLLABLES, LOUD, True),  # uneven
    ],
)
def test_a_sound_that_goes_on_as_loud_is_speech_only_if_its_level_is_uneven(
    before, spoken, behind, is_speech
):
    answers = [0.0] * 20 + [1.0] * 30 + [0.0] * 40
    listening = gate(script(answers), replace(CONFIG, prominent_db=5.0, least_unevenness_db=3.5))
    samples = sound((20, before), *spoken, (40, behind))
    (found,) = segments([Block(samples, 0.0)], listening)
    assert found.is_speech == is_speech


def test_each_piece_of_long_speech_has_its_own_evidence():
    answers = [0.6] * LONGEST + [0.4] * LONGEST + [0.6] * 20
    listening = gate(script(answers))
    found = list(segments([Block(sound((len(answers), LOUD), (50, QUIET)), 0.0)], listening))
    assert [one.is_speech for one in found] == [True, False, True]


def test_a_part_says_whether_there_was_enough_evidence_by_its_end():
    listening = gate(script([0.4] * 20 + [0.6] * 30))
    parts = list(chain.from_iterable(map(listening.process, blocks_of(sound((60, LOUD))))))
    seen = np.cumsum([len(part.frames) for part in parts])
    assert [part.is_speech for part in parts] == [end >= 20 + 12 for end in seen]
    assert {part.is_speech for part in parts} == {False, True}


# while nobody speaks


@pytest.fixture
def framed(monkeypatch):
    """How many samples the MFCC got in each call."""
    lengths = []
    push = Mfcc.push

    def noting(self, samples):
        lengths.append(len(samples))
        return push(self, samples)

    monkeypatch.setattr(Mfcc, "push", noting)
    return lengths


@pytest.mark.parametrize(
    "stretches", [[(300, -200)], [(300, QUIET)], [(300, -73)], [(50, -200), (200, -74)]]
)
def test_silence_asks_neither_mfcc_nor_detector(framed, stretches):
    """Nor does what is below ``lowest_dbfs``, however still it was before."""
    detector = FakeDetector(always)
    listening = SpeechGate(MFCC, detector, CONFIG)
    assert listening.process(Block(sound(*stretches), 0.0)) == []
    assert listening.is_quiet
    assert listening.flush() == []
    assert (detector.asked, framed) == (0, [])


def test_a_loud_room_is_followed_and_then_neither_is_asked(framed):
    """As after a while with a machine running, and again when a louder one is switched on."""
    detector = FakeDetector(never)
    listening = SpeechGate(MFCC, detector, CONFIG)
    listening.process(Block(sound((500, -40)), 0.0))
    before = (detector.asked, len(framed))
    listening.process(Block(sound((300, -40), seed=1), 500 * HOP_S))
    assert listening.is_quiet
    assert (detector.asked, len(framed)) == before
    listening.process(Block(sound((20, -25)), 800 * HOP_S))
    assert detector.asked > before[0]


def test_it_sleeps_again_after_a_segment(framed):
    detector = FakeDetector(if_loud, ahead=7, piece=4)
    listening = SpeechGate(MFCC, detector, CONFIG)
    listening.process(Block(sound((50, QUIET), (30, LOUD), (25, QUIET)), 0.0))
    assert listening.is_quiet
    before = (detector.asked, len(framed))
    listening.process(Block(sound((100, QUIET)), 105 * HOP_S))
    assert (detector.asked, len(framed)) == before


# parts, blocks and times


def parts_of(blocks, listening):
    return [*chain.from_iterable(map(listening.process, blocks)), *listening.flush()]


@pytest.mark.parametrize("tail", [TAIL, 0])
def test_parts_put_together_are_the_segments(tail):
    """Without a tail the last part of a segment may be empty."""
    config = replace(CONFIG, tail_s=tail * HOP_S)
    samples = sound((50, QUIET), (90, LOUD), (40, QUIET), (30, LOUD), (3, QUIET))
    parts = parts_of(blocks_of(samples, 1600), gate(if_loud, config, ahead=3))
    whole = list(segments([Block(samples, 0.0)], gate(if_loud, config, ahead=3)))
    assert min(len(part.samples) for part in parts) == (0 if tail == 0 else HOP)
    assert len(whole) == 3
    assert len(parts) > 5 * len(whole)
    starts = [number for number, part in enumerate(parts) if part.first]
    assert starts == [0, *(number + 1 for number, part in enumerate(parts[:-1]) if part.last)]
    assert parts[-1].last
    for segment, (start, end) in zip(whole, pairwise([*starts, len(parts)]), strict=True):
        own = parts[start:end]
        np.testing.assert_array_equal(
            np.concatenate([part.samples for part in own]), segment.samples
        )
        np.testing.assert_array_equal(np.concatenate([part.frames for part in own]), segment.frames)
        ends = np.cumsum([len(part.samples) for part in own]) / SAMPLE_RATE_HZ
        times = [segment.time_s, *(segment.time_s + ends[:-1])]
        assert [part.time_s for part in own] == pytest.approx(times, abs=1e-9)
        assert own[-1].is_speech == segment.is_speech


CONFIGS = (
    MFCC,
    MfccConfig(frame_length=400, hop_length=160, fft_length=512, n_filters=26, n_coefficients=13),
)


@pytest.mark.parametrize("mfcc", CONFIGS)
@pytest.mark.parametrize("after", [0, 50])
def test_frames_are_those_of_the_stream_with_the_loudest_of_their_filters(mfcc, after):
    """Where the stream ends with the segment, frames beyond it are padded with zeros.

    The step to zero has every frequency, so their energies do not count.
    """
    samples = sound((80, QUIET), (40, LOUD), (after, QUIET))
    stream = Mfcc(mfcc)
    frames = stream.push(np.append(samples, np.zeros(mfcc.frame_length, np.int16)))
    energies = stream.log_energies
    whole = (len(samples) - mfcc.frame_length) // mfcc.hop_length + 1
    config = replace(CONFIG, lookback_s=60 * HOP_S)
    parts = parts_of(blocks_of(samples, 1000), gate(if_loud, config, 3, mfcc=mfcc))
    start = round(parts[0].time_s * SAMPLE_RATE_HZ / mfcc.hop_length)
    for part in parts:
        end = start + len(part.frames)
        np.testing.assert_allclose(part.frames, frames[start:end], atol=1e-9)
        np.testing.assert_array_equal(
            part.samples, samples[start * mfcc.hop_length : end * mfcc.hop_length]
        )
        if len(part.frames):
            heard = energies[start : min(end, whole)].max(axis=0, initial=-np.inf)
            np.testing.assert_allclose(part.loudest, heard, atol=1e-9)
        start = end
    assert parts[-1].last
    if not after:
        assert start == len(samples) // mfcc.hop_length


@settings(max_examples=60)
@given(
    index=st.integers(0, 7),
    cuts=st.lists(st.integers(0, 70_000), max_size=20),
    detector=st.sampled_from([(0, 1), (7, 4), (13, 1)]),
    offset_s=st.sampled_from([0.0, 1.75e9]),
)
def test_block_lengths_make_no_difference(index, cuts, detector, offset_s):
    samples = clip(index)
    rule = louder_than(10)  # of the quietest clip, too, something is a segment
    whole = list(segments([Block(samples, offset_s)], gate(rule, CONFIG, *detector)))
    ends = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    blocks = [
        Block(samples[start:end], offset_s + start / SAMPLE_RATE_HZ)
        for start, end in pairwise(ends)
    ]
    pieces = list(segments(blocks, gate(rule, CONFIG, *detector)))
    assert whole
    assert len(pieces) == len(whole)
    for piece, expected in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(piece.samples, expected.samples)
        np.testing.assert_array_equal(piece.frames, expected.frames)
        assert piece.is_speech == expected.is_speech
        assert piece.time_s == pytest.approx(expected.time_s, abs=1e-5)


@pytest.mark.parametrize("left", [0, 100, HOP - 1])
def test_after_a_flush_another_signal_begins_with_its_own_times(left):
    """What is left of a hop at the end of the first one is forgotten."""
    listening = gate(if_loud, ahead=7, piece=4)
    first = sound((50, QUIET), (30, LOUD))
    rest = np.full(left, 20_000, np.int16)
    before = parts_of([Block(np.append(first, rest), 100.0)], listening)
    after = parts_of(blocks_of(first, 700, 1.75e9), listening)
    assert before[0].time_s == pytest.approx(100 + 47 * HOP_S)
    assert after[0].time_s == pytest.approx(1.75e9 + 47 * HOP_S, abs=1e-5)
    for name in ("samples", "frames"):
        one, other = (
            np.concatenate([getattr(part, name) for part in parts]) for parts in (before, after)
        )
        np.testing.assert_array_equal(one, other)


def test_what_was_before_a_hole_is_not_looked_back_at():
    listening = gate(always)
    parts_of([Block(sound((30, QUIET)), 0.0)], listening)
    parts = parts_of([Block(sound((30, LOUD)), 500.0)], listening)
    assert parts[0].time_s == 500
    assert sum(len(part.frames) for part in parts) == 30


def test_times_are_those_of_the_blocks():
    """A clock that is set while a source runs: a part has the time of its own samples."""
    listening = gate(if_loud)
    samples = sound((50, QUIET), (60, LOUD), (50, QUIET))
    half = 70 * HOP
    early, late = Block(samples[:half], 0.0), Block(samples[half:], 500.0)
    parts = parts_of([early, *blocks_of(late.samples, start_s=500.0)], listening)
    assert parts[0].time_s == pytest.approx(47 * HOP_S)
    assert parts[-2].time_s > 500
    (found,) = segments([early, late], listening)
    assert found.time_s == pytest.approx(47 * HOP_S)
    assert found.duration_s == pytest.approx((49 - 47 + 62) * HOP_S)


@pytest.mark.parametrize("length", [0, 1, HOP - 1, HOP, HOP + 1, 2 * HOP])
def test_a_signal_of_hardly_a_hop_has_no_segment(length):
    listening = gate(always, ahead=7, piece=4)
    assert parts_of([Block(sound((2, LOUD))[:length], 0.0)], listening) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"margin_db": -1.0},
        {"pause_s": 0.0},
        {"tail_s": 0.33},
        {"longest_s": 1e9},
        {"x": 1},
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(changes):
    stored = msgspec.to_builtins(GateConfig()) | changes
    with pytest.raises(msgspec.ValidationError, match=next(iter(changes))):
        msgspec.convert(stored, GateConfig)


# with the packaged network


@pytest.fixture(scope="module")
def packaged():
    """Makes gates as the device has them."""
    return Classifier(bundle.load()).gate


def speech_in(samples, listening):
    return [one for one in segments([Block(samples, 0.0)], listening) if one.is_speech]


@pytest.mark.parametrize("index", range(8))
def test_each_clip_is_one_segment_without_the_silence_around_it(packaged, index):
    samples = clip(index)
    (found,) = segments([Block(samples, 0.0)], packaged())
    assert found.is_speech
    assert 0.5 < found.duration_s < len(samples) / SAMPLE_RATE_HZ - 0.5
    start = round(found.time_s * SAMPLE_RATE_HZ)
    np.testing.assert_array_equal(found.samples, samples[start : start + len(found.samples)])


def test_every_clip_of_the_demonstration_is_detected_once(packaged):
    found = list(segments(demonstration(), packaged()))
    assert len(found) == 8
    assert all(earlier.time_s < later.time_s for earlier, later in pairwise(found))


def test_block_lengths_make_no_difference_to_the_packaged_network(packaged):
    samples = clip(3)
    whole, *others = (
        list(segments(blocks_of(samples, length), packaged()))
        for length in (len(samples), 160, 1600, 7777)
    )
    for pieces in others:
        for piece, expected in zip(pieces, whole, strict=True):
            np.testing.assert_array_equal(piece.samples, expected.samples)
            np.testing.assert_array_equal(piece.frames, expected.frames)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(20 * SAMPLE_RATE_HZ, np.int16),
        np.full(20 * SAMPLE_RATE_HZ, 3000, np.int16),
        np.full(20 * SAMPLE_RATE_HZ, -32768, np.int16),
        np.tile(np.array([32767, -32768], np.int16), 10 * SAMPLE_RATE_HZ),
        sound((600, -80)),
        sound((600, -50)),
        sound((600, -20)),
    ],
    ids=["silence", "offset", "full scale", "8 kHz tone", "-80 dBFS", "-50 dBFS", "-20 dBFS"],
)
def test_what_nobody_says_is_no_speech(packaged, samples):
    assert not speech_in(samples, packaged())


def narrow(samples):
    """As sound that was sampled at 8 kHz."""
    low = soxr.resample(samples / 32768, SAMPLE_RATE_HZ, 8000)
    return soxr.resample(low, 8000, SAMPLE_RATE_HZ) * 32768


@pytest.mark.parametrize(
    "change",
    [lambda sound: sound * 100.0, lambda sound: sound + 2000.0, narrow],
    ids=["clipped", "offset", "telephone"],
)
@pytest.mark.parametrize("index", [2, 5, 6])
def test_speech_is_detected_in_the_same_place_after_a_bad_recording(packaged, change, index):
    samples = clip(index)
    spoiled = np.rint(change(samples)).clip(-32768, 32767).astype(np.int16)
    (known,) = speech_in(samples, packaged())
    found = speech_in(spoiled, packaged())
    ends_s = [one.time_s + one.duration_s for one in (found[-1], known)]
    assert found[0].time_s == pytest.approx(known.time_s, abs=0.4)
    assert ends_s[0] == pytest.approx(ends_s[1], abs=0.4)
