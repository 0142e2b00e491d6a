"""Activation: how excited a voice is, from the probabilities of the labels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.audio.files import read_blocks
from undertone.emotions import EMOTIONS, HIGH_ACTIVATION, LOW_ACTIVATION
from undertone.recognition import bundle
from undertone.recognition.bundle import Activation
from undertone.recognition.classifier import Classifier
from undertone.recognition.decision import activation_of, decide, log_odds, log_softmax
from undertone.recognition.pipeline import classify
from undertone.samples import clips

UNCHANGED = Activation()
rows = st.lists(
    st.floats(-30, 30, allow_subnormal=False), min_size=len(EMOTIONS), max_size=len(EMOTIONS)
).map(np.array)
scales = st.builds(Activation, st.floats(1e-6, 1e6), st.floats(-1e6, 1e6, allow_subnormal=False))


def test_the_odds_are_those_of_the_excited_emotions_against_the_quiet_ones() -> None:
    labels = ("neutral", "happy", "disgust", "sad", "angry")
    logs = np.log([0.1, 0.2, 0.3, 0.05, 0.35])
    assert log_odds(logs, labels) == pytest.approx(math.log(0.55 / 0.15))
    assert activation_of(logs, labels, UNCHANGED) == pytest.approx(0.55 / 0.7)


def test_no_emotion_is_both_excited_and_quiet() -> None:
    assert not set(HIGH_ACTIVATION) & set(LOW_ACTIVATION)
    assert {*HIGH_ACTIVATION, *LOW_ACTIVATION, "disgust"} == set(EMOTIONS)


@given(row=rows, scale=scales, temperature=st.floats(1e-6, 1e6))
def test_activation_is_a_share_whatever_the_bundle_says(
    row: np.ndarray, scale: Activation, temperature: float
) -> None:
    found = activation_of(log_softmax(row, temperature), EMOTIONS, scale)
    assert found is not None
    assert 0 <= found <= 1


@given(
    row=rows,
    label=st.sampled_from(EMOTIONS),
    more=st.floats(0.1, 10),
    scale=st.builds(Activation, st.floats(0.01, 10), st.floats(-5, 5, allow_subnormal=False)),
)
def test_activation_rises_with_the_excited_emotions_and_falls_with_the_quiet_ones(
    row: np.ndarray, label: str, more: float, scale: Activation
) -> None:
    before = activation_of(log_softmax(row), EMOTIONS, scale)
    changed = row + more * (np.array(EMOTIONS) == label)
    after = activation_of(log_softmax(changed), EMOTIONS, scale)
    odds_before = log_odds(log_softmax(row), EMOTIONS)
    odds_after = log_odds(log_softmax(changed), EMOTIONS)
    assert None not in (before, after, odds_before, odds_after)
    if label == "disgust":
        assert after == pytest.approx(before, abs=1e-9)
        assert odds_after == pytest.approx(odds_before, abs=1e-9)
    elif label in HIGH_ACTIVATION:
        assert after >= before - 1e-12
        assert odds_after >= odds_before - 1e-12
    else:
        assert after <= before + 1e-12
        assert odds_after <= odds_before + 1e-12


def test_the_difference_is_more_than_rounding() -> None:
    even = np.zeros(len(EMOTIONS))
    for label in EMOTIONS:
        excited = activation_of(
            log_softmax(even + 2 * (np.array(EMOTIONS) == label)), EMOTIONS, UNCHANGED
        )
        unmoved = activation_of(log_softmax(even), EMOTIONS, UNCHANGED)
        assert excited is not None and unmoved is not None
        change = excited - unmoved
        assert np.sign(round(change, 3)) == (label in HIGH_ACTIVATION) - (label in LOW_ACTIVATION)


@pytest.mark.parametrize(
    "labels",
    [("happy", "angry"), ("neutral", "disgust"), ("disgust", "other"), ("bored", "excited")],
)
def test_labels_of_one_side_only_tell_nothing_of_activation(labels: tuple[str, ...]) -> None:
    logs = log_softmax(np.array([1.0, 2.0]))
    assert log_odds(logs, labels) is None
    assert activation_of(logs, labels, UNCHANGED) is None
    assert decide([logs], labels, 0.5).activation is None


@given(
    odds=st.floats(-8, 8, allow_subnormal=False),
    scale=st.floats(0.05, 4),
    offset=st.floats(-4, 4, allow_subnormal=False),
)
def test_scale_and_offset_are_those_of_a_logistic_regression(
    odds: float, scale: float, offset: float
) -> None:
    logs = log_softmax(np.array([0.0, odds]))
    found = activation_of(logs, ("sad", "angry"), Activation(scale, offset))
    assert found == pytest.approx(1 / (1 + math.exp(-(scale * odds + offset))), abs=1e-9)


def test_a_verdict_has_the_activation_of_all_its_windows() -> None:
    labels = ("neutral", "happy")
    windows = [log_softmax(np.array([0.0, odds])) for odds in (3.0, -1.0)]
    scale = Activation(2.0, -0.5)
    verdict = decide(windows, labels, 0.5, scale=scale)
    # the geometric mean of the windows has the mean of their odds
    assert verdict.activation == pytest.approx(1 / (1 + math.exp(-(2 * 1.0 - 0.5))))
    plain = decide(windows, labels, 0.5)
    assert plain.activation == pytest.approx(plain.scores["happy"])
    assert (verdict.scores, verdict.label) == (plain.scores, plain.label)
    assert decide(windows, labels, 0.5, "no sound", scale).activation == verdict.activation


def test_a_clip_has_the_activation_of_its_scores() -> None:
    classifier = Classifier(bundle.load())
    manifest = classifier.manifest
    found = {}
    for number in (1, 4):  # calm and angry
        overall = classify(read_blocks(clips()[number]), classifier).overall
        assert overall is not None
        logs = np.log([overall.scores[label] for label in manifest.labels])
        expected = activation_of(logs, manifest.labels, manifest.activation)
        assert overall.activation == pytest.approx(expected)
        found[number] = overall.activation
    assert found[1] < 0.3 < 0.7 < found[4]
