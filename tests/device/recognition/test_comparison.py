"""The comparison of a segment with what is usual for its voice, and its share in a verdict."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.comparison import Comparison, statistics
from undertone.recognition.decision import log_softmax
from undertone.recognition.pipeline import Pipeline, classify, voice_in
from undertone.recognition.voice import MOST_FRAMES, Voice, learn
from undertone.samples import clips

PRIOR = 200.0


def made(seed: int = 0) -> Comparison:
    """One for the forty coefficients and the labels of ``ravdess8-tiny``."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(0, 0.1, (8, 79)).tolist()
    return Comparison(
        tuple(generator.normal(0, 3, 79).tolist()),
        tuple(tuple(row) for row in rows),
        tuple(generator.normal(0, 1, 8).tolist()),
    )


def comparing(comparison: Comparison | None) -> Classifier:
    """A shipped network, as if it had been trained with knowledge of voices."""
    packaged = bundle.load("ravdess8-tiny")
    changed = replace(
        packaged.manifest.normalization, voice_prior_frames=PRIOR, steady_noise="kept"
    )
    manifest = replace(packaged.manifest, normalization=changed, comparison=comparison)
    return Classifier(dataclasses.replace(packaged, manifest=manifest))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return comparing(made())


def frames(seed: int, length: int = 60, deviation: float = 3.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal([14.0] + [0.0] * 39, deviation, (length, 40))


def logs(seed: int, windows: int = 2) -> list[np.ndarray]:
    return list(log_softmax(np.random.default_rng(seed).normal(0, 2, (windows, 8))))


@given(seed=st.integers(0, 100), known=st.integers(1, MOST_FRAMES))
def test_it_counts_as_far_as_the_voice_is_known(
    classifier: Classifier, seed: int, known: int
) -> None:
    voice = replace(learn(None, frames(seed + 1)), frames=known)
    segment, windows = frames(seed), logs(seed)
    share = known / (known + PRIOR)
    comparison = classifier.manifest.comparison
    assert comparison is not None
    usual = statistics(np.array(voice.mean), np.array(voice.deviation)) * share
    usual += np.array(comparison.usual) * (1 - share)
    found = np.concatenate([segment.mean(axis=0)[1:], segment.std(axis=0)])
    second = np.array(comparison.weights) @ (found - usual) + comparison.offsets
    second *= 0.4 * share / classifier.manifest.temperature
    for before, after in zip(windows, classifier.compared(windows, segment, voice), strict=True):
        np.testing.assert_allclose(after, log_softmax(before + second), atol=1e-9)


def test_the_level_is_not_compared(classifier: Classifier) -> None:
    voice, windows, segment = learn(None, frames(1)), logs(2), frames(3)
    louder = segment + np.array([5.0] + [0.0] * 39)
    np.testing.assert_allclose(
        classifier.compared(windows, louder, voice), classifier.compared(windows, segment, voice)
    )


def test_nothing_known_changes_nothing(classifier: Classifier) -> None:
    windows, segment = logs(2), frames(3)
    voice = learn(None, frames(1))
    assert classifier.compared(windows, segment, None) is windows
    assert classifier.compared(windows, segment, replace(voice, deviation=())) is windows
    assert comparing(None).compared(windows, segment, voice) is windows


def test_a_livelier_segment_than_usual_is_found_by_its_deviation() -> None:
    """Weights on the deviations alone: what is lively for one voice is usual for another."""
    rows = np.zeros((8, 79))
    rows[3, 39:] = 0.1
    classifier = comparing(
        Comparison((0.0,) * 79, tuple(tuple(row) for row in rows.tolist()), (0.0,) * 8)
    )
    windows = [np.full(8, -np.log(8))]
    calm, lively = (
        replace(learn(None, frames(1, 500, deviation)), frames=MOST_FRAMES)
        for deviation in (1.0, 4.0)
    )
    segment = frames(2, 500, 4.0)
    (for_calm,), (for_lively,) = (
        classifier.compared(windows, segment, voice) for voice in (calm, lively)
    )
    assert for_calm.argmax() == 3
    assert for_calm[3] > for_lively[3] + 0.1


def test_a_verdict_depends_on_it_only_when_the_voice_is_known(classifier: Classifier) -> None:
    plain = comparing(None)
    recording = [Block(np.concatenate([block.samples for block in read_blocks(clips()[4])]), 0.0)]
    other = list(read_blocks(clips()[5]))
    voice = voice_in(other, classifier)
    assert voice == voice_in(other, plain)  # what is learnt is of the network alone
    assert voice is not None and len(voice.deviation) == 40
    for known, same in ((None, True), (voice, False)):
        with_it, without = (
            classify(recording, each, voice=known).overall for each in (classifier, plain)
        )
        assert with_it is not None and without is not None
        assert (with_it.scores == pytest.approx(without.scores, abs=1e-6)) == same


def test_a_provisional_verdict_has_it_too(classifier: Classifier) -> None:
    sound = np.concatenate([block.samples for block in read_blocks(clips()[4])])
    voice = voice_in(list(read_blocks(clips()[5])), classifier)

    def provisional(each: Classifier) -> list[dict[str, float]]:
        pipeline = Pipeline(each, voice=voice)
        found = []
        for start in range(0, len(sound), SAMPLE_RATE_HZ // 10):
            pipeline.process(Block(sound[start : start + SAMPLE_RATE_HZ // 10], start / 16_000))
            verdict = pipeline.provisional()
            found += [verdict.scores] if verdict else []
        return found

    with_it, without = provisional(classifier), provisional(comparing(None))
    assert len(with_it) == len(without) > 3
    assert all(
        one != pytest.approx(other, abs=1e-3) for one, other in zip(with_it, without, strict=True)
    )


def test_the_deviation_of_a_voice_is_the_mean_of_those_of_its_segments() -> None:
    voice: Voice | None = None
    for seed, length in enumerate((100, 300)):
        voice = learn(voice, frames(seed, length, deviation=1.0 + seed))
    assert voice is not None
    one, other = (
        frames(seed, length, 1.0 + seed).std(axis=0) for seed, length in enumerate((100, 300))
    )
    np.testing.assert_allclose(voice.deviation, 0.25 * one + 0.75 * other)


@pytest.mark.parametrize("field", ["usual", "weights", "offsets"])
def test_a_manifest_with_a_comparison_of_another_size_is_refused(
    classifier: Classifier, field: str
) -> None:
    comparison = classifier.manifest.comparison
    assert comparison is not None
    shorter = replace(comparison, **{field: getattr(comparison, field)[1:]})
    with pytest.raises(ValueError, match="comparison must have 79"):
        replace(classifier.manifest, comparison=shorter)
