import numpy as np
import pytest
import python_speech_features
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from undertone.audio.files import read_blocks
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.samples import clips

CONFIGS = (
    MfccConfig(),
    MfccConfig(frame_length=400, hop_length=160, fft_length=512, n_filters=26, n_coefficients=13),
    MfccConfig(hop_length=1024, preemphasis=0.0, lifter=0, low_hz=50, high_hz=7000),
)


def reference(samples, config):
    frames = python_speech_features.mfcc(samples, **config.reference_arguments)
    frames[:, 0] = np.maximum(frames[:, 0], config.energy_floor)
    return frames


@settings(max_examples=60, deadline=None)
@given(
    config=st.sampled_from(CONFIGS),
    length=st.integers(1, 6000),
    seed=st.integers(0, 2**32 - 1),
    loudness=st.sampled_from([0, 1, 30, 3000, 32767]),
    cuts=st.lists(st.integers(0, 6000), max_size=12),
)
def test_a_stream_in_any_pieces_equals_the_reference(config, length, seed, loudness, cuts):
    generator = np.random.default_rng(seed)
    samples = generator.integers(-loudness, loudness + 1, length).astype(np.int16)
    mfcc = Mfcc(config)
    pieces = np.split(samples, sorted(min(cut, length) for cut in cuts))
    frames = np.concatenate([*(mfcc.push(piece) for piece in pieces), mfcc.flush()])
    assert_allclose(frames, reference(samples, config), rtol=1e-9, atol=1e-8)


def test_a_real_recording_equals_the_reference():
    samples = np.concatenate([block.samples for block in read_blocks(clips()[4])])
    frames = Mfcc(MfccConfig()).compute(samples)
    assert_allclose(frames, reference(samples, MfccConfig()), atol=1e-9)


def test_gain_changes_coefficient_0_alone():
    samples = np.concatenate([block.samples for block in read_blocks(clips()[4])])
    quiet = Mfcc(MfccConfig()).compute(samples // 2 * 2)
    half = Mfcc(MfccConfig()).compute(samples // 2)
    loud = quiet[:, 0] > 15  # rounding to int16 matters in the quietest frames
    assert_allclose(quiet[loud, 0] - half[loud, 0], 2 * np.log(2), atol=1e-6)
    assert_allclose(quiet[loud, 1:], half[loud, 1:], atol=1e-6)


def test_digital_silence_is_floored():
    config = MfccConfig()
    frames = Mfcc(config).compute(np.zeros(16000, np.int16))
    assert_allclose(frames[:, 0], config.energy_floor)
    assert np.isfinite(frames).all()


def test_nothing_gives_no_frames():
    mfcc = Mfcc(MfccConfig())
    assert mfcc.push(np.empty(0, np.int16)).shape == (0, 40)
    assert mfcc.flush().shape == (0, 40)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fft_length", 512),  # shorter than the frame: frames would be cut
        ("hop_length", 2048),
        ("n_filters", 20),
        ("high_hz", 9000.0),
        ("n_coefficients", 0),
    ],
)
def test_impossible_parameters_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        MfccConfig(**{field: value})
