"""The pitch of frames: found in tones of any height, absent from noise, and beside the MFCC."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from undertone.audio.block import Block
from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.mfcc import Mfcc, MfccConfig, with_pitch
from undertone.recognition.spectral_subtraction import subtract_steady_noise
from undertone.recognition.speech_gate import SpeechGate, segments
from undertone.recognition.vocal_tract import vocal_tract
from undertone.samples import clips

CONFIG = MfccConfig(pitch=True)
TIME = np.arange(16_000) / 16_000
STRENGTH, HEIGHT = 40, 41


def clip():
    return np.concatenate([block.samples for block in read_blocks(clips()[4])])


def tone(hertz, slope):
    """As a voice: harmonics up to 4 kHz, each of them weaker than the one before."""
    harmonics = range(1, int(4000 / hertz) + 1)
    sound = sum(np.sin(2 * np.pi * hertz * k * TIME + k * k) / k**slope for k in harmonics)
    return (6000 * sound / np.abs(sound).max()).astype(np.int16)


# subnormal numbers are zero on Arm once tflite-runtime is imported
@given(hertz=st.floats(70, 460), slope=st.floats(0, 2, allow_subnormal=False))
def test_the_height_of_a_tone_is_found_to_a_quarter_of_a_tone(hertz, slope):
    frames = Mfcc(CONFIG).compute(tone(hertz, slope))[2:-3]
    assert (frames[:, STRENGTH] > 0.4).all()
    assert_allclose(frames[:, HEIGHT], np.log2(hertz / 170), atol=1 / 24)


@given(seed=st.integers(0, 100))
def test_noise_is_weak_and_has_no_height(seed):
    noise = np.random.default_rng(seed).normal(0, 2000, 16_000).astype(np.int16)
    frames = Mfcc(CONFIG).compute(noise)
    assert frames[:, STRENGTH].mean() < 0.12
    assert np.abs(frames[:, HEIGHT]).mean() < 0.1


def test_digital_silence_and_a_square_wave_at_full_scale_stay_finite():
    assert_array_equal(Mfcc(CONFIG).compute(np.zeros(16_000, np.int16))[:, STRENGTH:], 0)
    loud = np.where(np.sin(2 * np.pi * 200 * TIME) > 0, 32767, -32768).astype(np.int16)
    frames = Mfcc(CONFIG).compute(loud)
    assert np.isfinite(frames).all()
    assert ((frames[:, STRENGTH] >= 0) & (frames[:, STRENGTH] <= 1)).all()


def test_the_gain_does_not_matter():
    loud = clip() // 4 * 4
    one, other = (Mfcc(CONFIG).compute(sound)[:, STRENGTH:] for sound in (loud, loud // 4))
    assert_allclose(one, other, atol=5e-6)  # in single precision


@given(cuts=st.lists(st.integers(0, 16_000), max_size=10))
def test_a_stream_in_any_pieces_has_the_same_pitch(cuts):
    sound = clip()[:16_000]
    mfcc = Mfcc(CONFIG)
    pieces = np.split(sound, sorted(cuts))
    raw = np.concatenate([*(mfcc.push(piece) for piece in pieces), mfcc.flush()])
    found, whole = with_pitch(raw, CONFIG), Mfcc(CONFIG).compute(sound)
    assert_allclose(found[:, :STRENGTH], whole[:, :STRENGTH], rtol=1e-9, atol=1e-8)
    assert_allclose(found[:, STRENGTH:], whole[:, STRENGTH:], atol=1e-6)  # in single precision


def test_the_coefficients_are_those_without_the_pitch():
    frames = Mfcc(CONFIG).compute(clip())
    assert frames.shape[1] == CONFIG.width == 42
    assert_array_equal(frames[:, :40], Mfcc(CONFIG.without_pitch).compute(clip()))


@given(factor=st.floats(0.8, 1.25))
def test_another_vocal_tract_and_less_noise_leave_it_as_it_is(factor):
    frames = Mfcc(CONFIG).compute(clip())
    for changed in (frames @ vocal_tract(CONFIG, factor), subtract_steady_noise(frames, CONFIG)):
        assert changed.shape == frames.shape
        assert_array_equal(changed[:, STRENGTH:], frames[:, STRENGTH:])


def test_the_gate_finds_the_same_segments_with_it():
    classifier = Classifier(bundle.load())
    detector = classifier.gate()._detector
    blocks = [Block(np.concatenate([clip(), np.zeros(16_000, np.int16)] * 2), 0.0)]
    gate = classifier.manifest.gate
    with_it, without = (
        list(segments(blocks, SpeechGate(config, detector, gate)))
        for config in (CONFIG, CONFIG.without_pitch)
    )
    assert len(with_it) == len(without) == 2
    for one, other in zip(with_it, without, strict=True):
        assert one.time_s == other.time_s
        assert_array_equal(one.frames[:, :40], other.frames)


@pytest.mark.parametrize("field", [{"frame_length": 512}, {"fft_length": 1025}])
def test_frames_that_no_pitch_can_be_found_in_are_refused(field):
    MfccConfig(**field)
    with pytest.raises(ValueError, match="pitch needs"):
        MfccConfig(**field, pitch=True)
