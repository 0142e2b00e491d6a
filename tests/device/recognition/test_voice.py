"""What is known of a voice: how it is learnt, and what it changes in the network's input."""

import dataclasses

import msgspec
import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples, to_int16
from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import Classifier, network_input, normalize
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.pipeline import Pipeline, classify, voice_in
from undertone.recognition.speech_gate import segments
from undertone.recognition.vocal_tract import with_vocal_tracts
from undertone.recognition.voice import (
    MOST_FRAMES,
    Reference,
    Voice,
    bias_of,
    blended,
    frames_for_voice,
    learn,
    reference,
    together,
)
from undertone.recognition.windows import WindowConfig, split_windows
from undertone.samples import clips

CONFIG = MfccConfig()
N = CONFIG.n_coefficients
SHAPE = WindowConfig(vocal_tracts=(0.9, 1.0, 1.1))

seeds = st.integers(0, 1000)
kinds = st.builds(dict, steady_noise=st.sampled_from(["kept", "subtracted"]))
knowledge = st.integers(1, MOST_FRAMES)
"""Frames of a voice."""


def made(n: int, seed: int = 0) -> np.ndarray:
    """Frames whose energy and spectrum move as those of speech do; shape (n, coefficients)."""
    return np.random.default_rng(seed).normal([14.0] + [0.0] * (N - 1), 3.0, (n, N))


def normalization(**changes: object) -> Normalization:
    generator = np.random.default_rng(9)
    mean, deviation = generator.normal(0, 2, N), generator.uniform(0.5, 4, N)
    plain = Normalization(
        "energy-mean",
        tuple(mean.tolist()),
        tuple(deviation.tolist()),
        voice_prior_frames=200.0,
    )
    return replace(plain, **changes)


def voice_of(frames: int, seed: int = 1) -> Voice:
    return Voice(tuple(made(50, seed).mean(axis=0).tolist()), frames)


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=6).filter(
        lambda lengths: sum(lengths) <= MOST_FRAMES
    ),
    seed=seeds,
)
def test_up_to_a_minute_all_frames_count_alike(lengths: list[int], seed: int) -> None:
    heard = [made(length, seed + number) for number, length in enumerate(lengths)]
    voice = None
    for frames in heard:
        voice = learn(voice, frames)
    assert voice is not None
    np.testing.assert_allclose(voice.mean, np.concatenate(heard).mean(axis=0), atol=1e-9)
    assert voice.frames == sum(lengths)


@given(length=st.integers(1, 3000), times=st.integers(1, 6))
def test_after_a_minute_the_voice_before_is_forgotten_exponentially(
    length: int, times: int
) -> None:
    voice = Voice((1.0,) * N, MOST_FRAMES)
    for _ in range(times):
        voice = learn(voice, np.zeros((length, N)))
    left = (MOST_FRAMES / (MOST_FRAMES + length)) ** times
    np.testing.assert_allclose(voice.mean, left, rtol=1e-9)
    assert voice.frames == MOST_FRAMES


@given(before=knowledge, length=st.integers(1, 3000))
def test_a_voice_that_was_learnt_can_be_stored_and_read(before: int, length: int) -> None:
    voice = learn(voice_of(before), made(length))
    assert msgspec.json.decode(msgspec.json.encode(voice), type=Voice) == voice


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    seed=seeds,
    n_labels=st.integers(2, 8),
)
def test_the_bias_is_the_mean_of_all_frames_and_without_a_mean_of_its_own(
    lengths: list[int], seed: int, n_labels: int
) -> None:
    logs = np.random.default_rng(seed).normal(-3, 2, (len(lengths), n_labels))
    voice = None
    for length, each in zip(lengths, logs, strict=True):
        voice = learn(voice, made(length), each)
    assert voice is not None
    mean = np.average(logs, axis=0, weights=lengths)
    np.testing.assert_allclose(voice.bias, mean - mean.mean(), atol=1e-9)
    # the recordings on their own tell the same
    alone = [learn(None, made(n), each) for n, each in zip(lengths, logs, strict=True)]
    found = together(alone)
    assert found is not None
    np.testing.assert_allclose(found.bias, voice.bias, atol=1e-9)
    np.testing.assert_allclose(found.mean, voice.mean, atol=1e-9)
    assert found.frames == voice.frames
    assert together([]) is None


@given(frames=knowledge)
def test_the_better_a_voice_is_known_the_more_of_its_bias_is_subtracted(frames: int) -> None:
    labels = ("angry", "sad", "disgust")
    known = replace(voice_of(frames), bias=(2.0, -0.5, -1.5))
    share = frames / (frames + 200)
    # of anger against sadness, half of the bias; of disgust, which is neither, 0.3
    excited, quiet, neither = bias_of(known, normalization(), labels)
    assert excited - quiet == pytest.approx(0.5 * share * 2.5)
    assert excited + quiet == pytest.approx(0.3 * share * 1.5)
    assert neither == pytest.approx(0.3 * share * -1.5)
    for nothing in (
        bias_of(None, normalization(), labels),
        bias_of(voice_of(frames), normalization(), labels),
        bias_of(known, normalization(voice_prior_frames=0.0), labels),
    ):
        assert not nothing.any()


def test_without_labels_of_both_sides_all_of_the_bias_counts_alike() -> None:
    known = replace(voice_of(1000), bias=(2.0, -0.5, -1.5))
    found = bias_of(known, normalization(), ("angry", "happy", "disgust"))
    np.testing.assert_allclose(found, 0.3 * 1000 / 1200 * np.array(known.bias))


@pytest.mark.parametrize(
    "damage",
    [
        {"frames": 0},
        {"frames": MOST_FRAMES + 1},
        {"mean": ["1"] * N},
        {"mean": [1e9] * N},
        {"x": 1},
    ],
)
def test_a_stored_voice_that_cannot_be_is_refused(damage: dict[str, object]) -> None:
    stored = msgspec.to_builtins(voice_of(10)) | damage
    with pytest.raises(msgspec.ValidationError, match=next(iter(damage))):
        msgspec.convert(stored, Voice)


def test_nothing_is_subtracted_of_an_unknown_voice_or_by_a_bundle_that_knows_none() -> None:
    assert reference(None, normalization()) is None
    assert reference(voice_of(100), normalization(voice_prior_frames=0.0)) is None


@given(frames=knowledge)
def test_the_more_was_heard_the_less_counts_what_all_voices_have_in_common(frames: int) -> None:
    known = reference(voice_of(frames), normalization())
    more = reference(voice_of(min(frames + 10, MOST_FRAMES)), normalization())
    assert known is not None and more is not None
    assert 0 < known.share < 1
    assert more.share >= known.share
    half = reference(voice_of(200), normalization())
    assert half is not None and half.share == pytest.approx(0.5)
    # the voice's mean and the population's, weighted
    population = np.array(normalization().mean)
    mixed = (frames * np.array(voice_of(frames).mean) + 200 * population) / (frames + 200)
    np.testing.assert_allclose((known.offset + population)[1:], mixed[1:], atol=1e-9)


def test_a_voice_needs_its_level() -> None:
    with pytest.raises(ValueError, match="voice_prior_frames needs the level energy-mean"):
        normalization(level="none")


@given(kind=kinds, seed=seeds)
def test_a_voice_of_which_nothing_is_known_changes_nothing(
    kind: dict[str, object], seed: int
) -> None:
    config = normalization(**kind)
    windows = made(3 * 20, seed).reshape(3, 20, N)
    nothing = blended(made(3, seed + 1), np.zeros(3), np.array(config.mean), 200.0)
    expected = normalize(windows, config, CONFIG)
    np.testing.assert_array_equal(normalize(windows, config, CONFIG, nothing), expected)


@given(
    gain=st.floats(-8, 8, allow_subnormal=False),
    frames=knowledge,
    steady_noise=st.sampled_from(["kept", "subtracted"]),
)
def test_a_gain_that_was_always_there_changes_nothing(
    gain: float, frames: int, steady_noise: str
) -> None:
    """Of the window alone where nothing is known, of the window and the voice where it is."""
    config = normalization(steady_noise=steady_noise)
    window, voice = made(40), voice_of(frames)
    louder = np.eye(N)[0] * gain
    same = Voice(tuple((np.array(voice.mean) + louder).tolist()), frames)
    for before, after in ((None, None), (voice, same)):
        expected = network_input(window, SHAPE, config, CONFIG, reference(before, config))
        found = network_input(window + louder, SHAPE, config, CONFIG, reference(after, config))
        np.testing.assert_allclose(found, expected, atol=1e-6)


@given(gain=st.floats(-8, 8, allow_subnormal=False), frames=knowledge)
def test_the_better_a_voice_is_known_the_more_of_its_level_is_kept(
    gain: float, frames: int
) -> None:
    """A known voice that is louder than usual says something; of an unknown one it may be gain."""
    config, window = normalization(), made(40)
    known = reference(voice_of(frames), config)
    assert known is not None
    louder = window + np.eye(N)[0] * gain
    change = normalize(louder, config, CONFIG, known) - normalize(window, config, CONFIG, known)
    share = frames / (frames + 200)
    np.testing.assert_allclose(change[:, 0] * config.deviation[0], share * gain, atol=1e-9)
    np.testing.assert_allclose(change[:, 1:], 0, atol=1e-9)


def test_of_a_voice_that_is_known_well_remains_how_it_differs_from_itself() -> None:
    config = normalization(voice_prior_frames=1e-9, mean=(0.0, *normalization().mean[1:]))
    heard = made(300, seed=5)
    standard = normalize(heard, config, CONFIG, reference(learn(None, heard), config))
    expected = (heard - heard.mean(axis=0)) / np.array(config.deviation)
    np.testing.assert_allclose(standard, expected, atol=1e-6)


@given(frames=knowledge, seed=seeds)
def test_every_vocal_tract_changes_the_voice_as_it_changes_the_window(
    frames: int, seed: int
) -> None:
    """A colour that window and voice share is removed in each of them alike."""
    config, window = normalization(), made(30, seed)
    voice = voice_of(frames)
    known = reference(voice, config)
    assert known is not None
    colour = np.random.default_rng(seed).normal(0, 5, N) * (np.arange(N) > 0)
    coloured = Voice(tuple((np.array(voice.mean) + colour / float(known.share)).tolist()), frames)
    expected = network_input(window, SHAPE, config, CONFIG, known)
    found = network_input(window + colour, SHAPE, config, CONFIG, reference(coloured, config))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # and each copy is what one would get by changing both by hand
    for number, (copy, of_voice) in enumerate(
        zip(
            with_vocal_tracts(window, SHAPE.vocal_tracts, CONFIG),
            with_vocal_tracts(known.offset[np.newaxis], SHAPE.vocal_tracts, CONFIG),
            strict=True,
        )
    ):
        by_hand = normalize(copy, config, CONFIG, Reference(of_voice[0], known.share))
        np.testing.assert_allclose(found[number], by_hand, atol=1e-6)


@pytest.mark.parametrize("steady_noise", ["kept", "subtracted"])
def test_windows_together_are_what_they_are_one_by_one(steady_noise: str) -> None:
    config = normalization(steady_noise=steady_noise)
    windows = made(4 * 25).reshape(4, 25, N)
    known = reference(voice_of(300), config)
    together = network_input(windows, SHAPE, config, CONFIG, known)
    assert together.shape == (3 * 4, 25, N)
    alone = [network_input(window, SHAPE, config, CONFIG, known) for window in windows]
    np.testing.assert_allclose(together, np.stack(alone, axis=1).reshape(12, 25, N), atol=1e-9)
    voices = [voice_of(frames, seed) for seed, frames in enumerate((1, 50, 200, MOST_FRAMES))]
    each = blended(
        np.array([voice.mean for voice in voices]),
        np.array([float(voice.frames) for voice in voices]),
        np.array(config.mean),
        config.voice_prior_frames,
    )
    for found, window, voice in zip(
        normalize(windows, config, CONFIG, each), windows, voices, strict=True
    ):
        expected = normalize(window, config, CONFIG, reference(voice, config))
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.fixture(scope="module")
def knowing() -> Classifier:
    """A shipped network, as if it had been trained with knowledge of voices."""
    packaged = bundle.load("ravdess8-tiny")
    changed = replace(packaged.manifest.normalization, voice_prior_frames=200.0)
    manifest = replace(packaged.manifest, normalization=changed)
    return Classifier(dataclasses.replace(packaged, manifest=manifest))


def spoken(index: int) -> Samples:
    return np.concatenate([block.samples for block in read_blocks(clips()[index])])


def twice() -> Samples:
    """Two sentences, each with a pause after it."""
    pause = np.zeros(2 * SAMPLE_RATE_HZ, np.int16)
    return np.concatenate([spoken(4), pause, spoken(5), pause])


def test_a_bundle_that_knows_no_voices_is_given_one_in_vain() -> None:
    classifier = Classifier(bundle.load("ravdess8-tiny"))
    assert not classifier.knows_voices
    window = split_windows(Mfcc(CONFIG).compute(spoken(4)), classifier.manifest.window)[0]
    unknown = classifier.prepare(window)
    np.testing.assert_array_equal(classifier.prepare(window, voice_of(500)), unknown)


def test_a_voice_is_learnt_from_the_speech_in_a_stream_alone(knowing: Classifier) -> None:
    silence = Block(np.zeros(32_000, np.int16), 0.0)
    assert voice_in([silence], knowing) is None
    config = knowing.manifest.normalization
    assert config.steady_noise == "subtracted"
    one, other = segments([Block(twice(), 0.0)], knowing.gate())
    expected = learn(None, frames_for_voice(one.frames, config, CONFIG))
    expected = learn(expected, frames_for_voice(other.frames, config, CONFIG))
    found = voice_in([Block(twice(), 0.0)], knowing)
    assert found is not None
    assert replace(found, bias=()) == expected
    assert voice_in([silence], knowing, found) == found


def listened(pipeline: Pipeline, sound: Samples) -> list[dict[str, float]]:
    """The scores of each segment."""
    ended = [
        segment
        for start in range(0, len(sound), 1600)
        for segment in pipeline.process(Block(sound[start : start + 1600], start / 16_000))
    ]
    return [segment.verdict.scores for segment in [*ended, *pipeline.flush()]]


def test_a_segment_is_judged_by_what_was_known_before_it(knowing: Classifier) -> None:
    unknown = listened(Pipeline(knowing), twice())
    learning = Pipeline(knowing, learns=True)
    first, second = listened(learning, twice())
    assert len(unknown) == 2
    assert first == unknown[0]
    assert second != pytest.approx(unknown[1], abs=0.01)
    after_one = voice_in([Block(spoken(4), 0.0)], knowing)
    expected = classify([Block(twice()[len(spoken(4)) :], 0.0)], knowing, voice=after_one)
    assert second == pytest.approx(expected.segments[0].verdict.scores, abs=0.05)
    assert learning.voice is not None and after_one is not None
    assert learning.voice.frames > after_one.frames


def test_a_label_that_is_found_in_all_of_a_voice_counts_less(knowing: Classifier) -> None:
    labels = knowing.manifest.labels
    recording = [Block(spoken(4), 0.0)]
    plain = voice_in([Block(spoken(5), 0.0)], knowing)
    assert plain is not None
    without = classify(recording, knowing, voice=replace(plain, bias=())).overall
    assert without is not None and without.activation is not None
    for label, beside, less_excited in (("sad", "neutral", False), ("angry", "happy", True)):
        bias = np.where(np.array(labels) == label, 5.0, 0.0)
        biased = replace(plain, bias=tuple((bias - bias.mean()).tolist()))
        found = classify(recording, knowing, voice=biased).overall
        assert found is not None and found.activation is not None
        # against another label of as excited, or as quiet, a voice
        less = 0.3 * 5.0 * plain.frames / (plain.frames + 200)
        odds = [np.log(scores[label] / scores[beside]) for scores in (without.scores, found.scores)]
        assert odds[0] - odds[1] == pytest.approx(less, abs=1e-6)
        assert found.scores[label] < without.scores[label]
        assert (found.activation < without.activation) == less_excited


def test_what_was_subtracted_is_not_learnt_as_missing(knowing: Classifier) -> None:
    """The bias is that of the network, whatever was subtracted of it before."""
    recording = Block(np.concatenate([spoken(5), np.zeros(SAMPLE_RATE_HZ, np.int16)]), 0.0)
    first = voice_in([recording], knowing)
    assert first is not None
    n_labels = len(knowing.manifest.labels)
    biased = replace(first, bias=tuple(np.linspace(-3, 3, n_labels).tolist()))
    found = [voice_in([recording], knowing, voice) for voice in (biased, replace(first, bias=()))]
    share = 0.5  # as many frames as before
    learnt = np.subtract(*(each.bias for each in found if each))
    np.testing.assert_allclose(learnt, share * np.linspace(-3, 3, n_labels), atol=1e-6)


def test_nothing_is_learnt_unasked_nor_by_a_bundle_that_does_not_use_it(
    knowing: Classifier,
) -> None:
    for pipeline in (
        Pipeline(knowing),
        Pipeline(Classifier(bundle.load("ravdess8-tiny")), learns=True),
    ):
        listened(pipeline, twice())
        assert pipeline.voice is None
    given_one = voice_of(500)
    pipeline = Pipeline(knowing, voice=given_one)
    listened(pipeline, twice())
    assert pipeline.voice == given_one


def test_nothing_is_learnt_from_sound_that_lacks_a_part_of_the_band(knowing: Classifier) -> None:
    """A call on the telephone would spoil what is known of the voice in the room."""
    low = soxr.resample(twice() / 32768, SAMPLE_RATE_HZ, 8000)
    telephone = to_int16(soxr.resample(low, 8000, SAMPLE_RATE_HZ))
    pipeline = Pipeline(knowing, learns=True)
    assert listened(pipeline, telephone)
    assert pipeline.voice is None
