"""The packaged network as a detector: what it answers does not depend on how frames arrive."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.mfcc import Mfcc
from undertone.recognition.speech_detector import SpeechDetector
from undertone.samples import clips

MANIFEST = bundle.load().manifest
CONFIG = MANIFEST.detector


@pytest.fixture(scope="module")
def interpreter():
    _, detector = bundle.load().open()
    return detector


@pytest.fixture(scope="module")
def frames():
    """Those of one clip."""
    samples = np.concatenate([block.samples for block in read_blocks(clips()[4])])
    return Mfcc(CONFIG.mfcc).compute(samples)


@pytest.fixture(scope="module")
def answers(interpreter, frames):
    return SpeechDetector(CONFIG, interpreter).push(frames)


@settings(max_examples=60)
@given(cuts=st.lists(st.integers(0, 200), max_size=30))
def test_pieces_of_any_size_get_the_same_answers(interpreter, frames, answers, cuts):
    detector = SpeechDetector(CONFIG, interpreter)
    ends = [0, *sorted(min(cut, len(frames)) for cut in cuts), len(frames)]
    pieces = [detector.push(frames[start:end]) for start, end in pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(pieces), answers)


def test_a_frame_is_answered_once_those_ahead_of_it_are_there(interpreter, frames):
    detector = SpeechDetector(CONFIG, interpreter)
    answered = 0
    for number, frame in enumerate(frames):
        answered += len(detector.push(frame[np.newaxis]))
        ready = max(0, number + 1 - CONFIG.ahead)
        assert answered == ready // CONFIG.piece * CONFIG.piece
        assert answered >= number + 1 - detector.ahead


def test_probabilities_tell_the_voice_in_the_middle_from_the_silence_around_it(answers):
    assert ((answers >= 0) & (answers <= 1)).all()
    quarter = len(answers) // 4
    voice, silence = answers[quarter:-quarter], np.append(answers[:10], answers[-10:])
    assert np.median(voice) > MANIFEST.gate.threshold > np.median(silence)


def test_reset_forgets_the_signal(interpreter, frames, answers):
    detector = SpeechDetector(CONFIG, interpreter)
    detector.push(frames[30:60])
    detector.reset()
    np.testing.assert_array_equal(detector.push(frames), answers)


def test_before_the_first_frame_there_were_others_like_it(interpreter, frames, answers):
    ahead_of_it = np.repeat(frames[:1], 8 * CONFIG.piece, axis=0)
    found = SpeechDetector(CONFIG, interpreter).push(np.concatenate([ahead_of_it, frames]))
    np.testing.assert_array_equal(found[len(ahead_of_it) :], answers)


def test_two_streams_with_one_network_do_not_mix(interpreter, frames, answers):
    detector, other = (SpeechDetector(CONFIG, interpreter) for _ in range(2))
    pieces = []
    for start in range(0, len(frames), 5):
        pieces.append(detector.push(frames[start : start + 5]))
        other.push(frames[::-1][start : start + 5])
    np.testing.assert_array_equal(np.concatenate(pieces), answers)


def test_nothing_has_no_answer(interpreter, frames):
    assert SpeechDetector(CONFIG, interpreter).push(frames[:0]).shape == (0,)


@pytest.mark.parametrize("name", ["mean", "deviation"])
def test_each_coefficient_has_its_mean_and_deviation(name):
    with pytest.raises(ValueError, match="40 means and deviations"):
        replace(CONFIG, **{name: (1.0,) * 39})
