"""Figures: golden values worked out by hand, and what must hold for any predictions."""

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from undertone_training.metrics import (
    Figures,
    Predictions,
    agreement,
    choose_threshold,
    coverage_curve,
    expected_calibration_error,
    figures,
    fit_confidence,
    fit_temperature,
    mean_and_deviation,
    reliability,
)

LABELS = ("calm", "happy", "sad")


def certain(
    truth: list[int], predicted: list[int], speakers: list[str] | None = None
) -> Predictions:
    """Predictions with probability 1 for what was predicted."""
    return Predictions(
        clip_ids=tuple(f"clip{i}" for i in range(len(truth))),
        speakers=tuple(speakers or ["01"] * len(truth)),
        truth=np.array(truth),
        probabilities=np.eye(len(LABELS))[predicted],
        labels=LABELS,
    )


def two_classes(confidence: list[float], correct: list[bool]) -> Predictions:
    """Verdicts for the first of two labels, of given confidence (at least 0.5) and rightness."""
    top = np.array(confidence)
    return Predictions(
        clip_ids=tuple(f"clip{i}" for i in range(len(top))),
        speakers=("01",) * len(top),
        truth=np.array([0 if right else 1 for right in correct]),
        probabilities=np.stack([top, 1 - top], axis=1),
        labels=("a", "b"),
    )


def take(predictions: Predictions, order: NDArray[np.int64]) -> Predictions:
    """These clips, in this order; a clip taken twice gets another name."""
    return dataclasses.replace(
        predictions,
        clip_ids=tuple(f"{predictions.clip_ids[i]}.{n}" for n, i in enumerate(order)),
        speakers=tuple(predictions.speakers[i] for i in order),
        truth=predictions.truth[order],
        probabilities=predictions.probabilities[order],
    )


@st.composite
def any_predictions(draw: st.DrawFn) -> Predictions:
    """Random clips of three labels and up to five speakers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(2, 60))
    return Predictions(
        clip_ids=tuple(f"clip{i}" for i in range(n)),
        speakers=tuple(rng.choice(["01", "02", "03", "04", "05"], n).tolist()),
        truth=rng.integers(0, 3, n),
        probabilities=rng.dirichlet(np.ones(3), n),
        labels=LABELS,
    )


def test_figures_worked_out_by_hand() -> None:
    # calm 3 of 4 (one taken for happy), happy 1 of 2 (one as sad), sad 0 of 1 (as calm)
    result = figures(certain([0, 0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 2, 0]))

    assert (result.n_clips, result.n_speakers) == (7, 1)
    assert result.accuracy == pytest.approx(4 / 7)
    assert result.uar == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    # F1: calm P 3/4 R 3/4, happy P 1/2 R 1/2, sad nothing right
    assert result.macro_f1 == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert result.confusion == ((3, 1, 0), (0, 1, 1), (1, 0, 0))
    calm = result.per_class[0]
    assert (calm.label, calm.precision, calm.recall, calm.f1, calm.support) == (
        "calm", 0.75, 0.75, 0.75, 4,
    )  # fmt: skip
    assert result.ece == pytest.approx(3 / 7)  # all certain, 4 of 7 right
    assert result.absent == ()
    assert result.labels == LABELS


def test_a_class_without_clips_is_left_out_and_named() -> None:
    result = figures(certain([0, 0, 1, 1], [0, 2, 1, 1]))

    assert result.absent == ("sad",)
    assert result.uar == pytest.approx((1 / 2 + 1) / 2)
    assert result.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    sad = result.per_class[2]
    assert (sad.precision, sad.recall, sad.f1, sad.support) == (None, None, None, 0)


def test_the_interval_is_drawn_over_speakers() -> None:
    truth, speakers = [0, 1, 2] * 20, ["01"] * 30 + ["02"] * 30
    always_right_for_one = figures(certain(truth, truth[:30] + [1, 2, 0] * 10, speakers))

    # of two speakers a draw has 0, 1 or 2 good ones: clips alone would give about 0.37 to 0.63
    assert always_right_for_one.uar == pytest.approx(0.5)
    assert always_right_for_one.uar_interval95 == (0, 1)
    assert always_right_for_one.accuracy_interval95 == (0, 1)


def test_one_speaker_has_no_interval() -> None:
    result = figures(certain([0, 1], [0, 1]))

    assert result.uar_interval95 is None
    assert result.accuracy_interval95 is None


def test_equal_speakers_have_no_spread() -> None:
    result = figures(certain([0, 1, 2] * 4, [0, 1, 0] * 4, ["01"] * 6 + ["02"] * 6))

    assert result.uar_interval95 == pytest.approx((2 / 3, 2 / 3))


def test_the_interval_mostly_holds_the_estimate_and_the_truth() -> None:
    rng = np.random.default_rng(1)
    holds_estimate = holds_truth = 0
    for _ in range(40):
        skill = np.clip(rng.normal(0.6, 0.1, 20), 0, 1)  # of each of 20 speakers, 0.6 in the mean
        truth = np.tile([0, 1, 2], 200)
        right = rng.random(600) < np.repeat(skill, 30)
        predicted = np.where(right, truth, (truth + 1) % 3)
        speakers = [f"{i // 30:02}" for i in range(600)]
        result = figures(certain(truth.tolist(), predicted.tolist(), speakers), resamples=300)
        assert result.uar_interval95 is not None
        low, high = result.uar_interval95
        holds_estimate += low <= result.uar <= high
        holds_truth += low <= 0.6 <= high

    assert holds_estimate == 40
    assert 33 <= holds_truth <= 40  # 38 expected of a 95 % interval


@given(any_predictions(), st.integers(0, 2), st.integers(2, 4))
def test_uar_does_not_change_when_a_class_gets_more_clips(
    predictions: Predictions, label: int, times: int
) -> None:
    repeats = np.where(predictions.truth == label, times, 1)
    more = take(predictions, np.repeat(np.arange(len(repeats)), repeats))

    assert figures(more, resamples=10).uar == pytest.approx(figures(predictions, resamples=10).uar)


@given(any_predictions(), st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(predictions: Predictions, random: object) -> None:
    order = np.arange(len(predictions.truth))
    random.shuffle(order)  # type: ignore[attr-defined]
    one = figures(predictions, resamples=50).to_dict()
    other = figures(take(predictions, order), resamples=50).to_dict()

    assert one.pop("ece") == pytest.approx(other.pop("ece"))
    assert one == other


@given(any_predictions())
def test_figures_are_in_range_and_survive_json(predictions: Predictions) -> None:
    result = figures(predictions, resamples=20)

    for value in (result.uar, result.accuracy, result.macro_f1, result.ece):
        assert 0 <= value <= 1
    assert sum(map(sum, result.confusion)) == result.n_clips
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert msgspec.convert(json.loads(text), Figures) == result


def test_ece_is_zero_where_confidence_is_accuracy() -> None:
    # 0.75 right 3 of 4 times, 0.6 right 3 of 5 times
    predictions = two_classes(
        [0.75] * 4 + [0.6] * 5, [True] * 3 + [False] + [True] * 3 + [False] * 2
    )

    assert expected_calibration_error(predictions) == pytest.approx(0)


def test_ece_weighs_the_bins_by_their_clips() -> None:
    # one clip at 0.55 that is wrong, three at 0.95 that are right
    predictions = two_classes([0.55, 0.95, 0.95, 0.95], [False, True, True, True])

    assert expected_calibration_error(predictions) == pytest.approx((0.55 + 3 * 0.05) / 4)


def test_reliability_counts_every_clip_once_and_keeps_upper_edges_in_the_bin() -> None:
    bins = reliability(two_classes([0.5, 0.6, 0.61, 1.0], [True] * 4))

    assert bins.count.sum() == 4
    # 0.6 is the upper edge of the ninth of fifteen bins
    assert (bins.count[7], bins.count[8], bins.count[9], bins.count[14]) == (1, 1, 1, 1)


def test_coverage_curve_by_hand() -> None:
    curve = coverage_curve(two_classes([0.9, 0.6, 0.8, 0.6], [True, False, True, True]))

    assert curve.threshold.tolist() == [0.6, 0.8, 0.9]
    assert curve.coverage.tolist() == [1, 0.5, 0.25]
    assert curve.accuracy.tolist() == [0.75, 1, 1]


@given(any_predictions())
def test_coverage_starts_whole_and_falls(predictions: Predictions) -> None:
    curve = coverage_curve(predictions)

    assert curve.coverage[0] == 1
    assert curve.accuracy[0] == pytest.approx(predictions.correct.mean())
    assert (np.diff(curve.coverage) < 0).all()


def test_the_threshold_leaves_enough_verdicts_and_is_the_lowest_of_equals() -> None:
    predictions = two_classes([0.6, 0.7, 0.8, 0.9, 0.95], [False, False, True, True, True])

    assert choose_threshold(predictions, least_coverage=0.6) == 0.8
    assert choose_threshold(predictions, least_coverage=0.8) == 0.7
    assert choose_threshold(predictions, least_coverage=0.0) == 0.8
    assert choose_threshold(predictions, least_coverage=1.0) == 0.6


@given(any_predictions(), st.floats(0, 1))
def test_any_chosen_threshold_keeps_its_promise(predictions: Predictions, least: float) -> None:
    threshold = choose_threshold(predictions, least)

    assert 0 <= threshold <= 1
    assert (predictions.confidence >= threshold).mean() >= least


def test_a_label_that_one_corpus_lacks_gets_no_verdict() -> None:
    def corpus(name: str, rows: list[tuple[list[float], int]]) -> Predictions:
        return Predictions(
            clip_ids=tuple(f"{name}{index}" for index in range(len(rows))),
            speakers=(name,) * len(rows),
            truth=np.array([truth for _, truth in rows]),
            probabilities=np.array([row for row, _ in rows]),
            labels=("happy", "sad", "disgust"),
        )

    first = corpus(
        "a",
        [([0.5, 0.3, 0.2], 0), ([0.3, 0.4, 0.3], 1), ([0.1, 0.1, 0.8], 2), ([0.8, 0.1, 0.1], 1)],
    )
    second = corpus("b", [([0.1, 0.2, 0.7], 1), ([0.6, 0.2, 0.2], 0), ([0.2, 0.5, 0.3], 1)])
    both = Predictions.concatenate([first, second])

    assert fit_confidence([both]).without_verdict == ()  # one corpus, which has all
    found = fit_confidence([first, second], least_coverage=1.0)
    assert found.without_verdict == ("disgust",)
    # five of the seven can have a verdict, and all of them do
    given = both.at_temperature(found.temperature).with_verdict(
        found.threshold, found.without_verdict
    )
    assert given.tolist() == [True, True, False, True, False, True, True]
    curve = coverage_curve(both, without_verdict=found.without_verdict)
    assert curve.coverage.tolist() == pytest.approx([5 / 7, 4 / 7, 2 / 7, 1 / 7])
    assert curve.accuracy.tolist() == pytest.approx([4 / 5, 3 / 4, 1 / 2, 0])


def test_a_corpus_counts_alike_whatever_its_size() -> None:
    def corpus(name: str, confidences: list[float], correct: list[bool], times: int) -> Predictions:
        part = two_classes(confidences * times, correct * times)
        return dataclasses.replace(
            part,
            clip_ids=tuple(f"{name}{number}" for number in range(len(part.truth))),
            labels=("angry", "sad"),
        )

    sure = ([0.95, 0.9, 0.9, 0.7, 0.6], [True, True, False, True, True])
    unsure = ([0.9, 0.8, 0.6, 0.55], [False, True, False, True])
    small = fit_confidence([corpus("a", *sure, 1), corpus("b", *unsure, 1)], 0.5)
    large = fit_confidence([corpus("a", *sure, 7), corpus("b", *unsure, 1)], 0.5)

    assert large.temperature == pytest.approx(small.temperature, rel=1e-4)
    assert large.threshold == pytest.approx(small.threshold, rel=1e-4)
    assert large.activation.scale == pytest.approx(small.activation.scale, rel=1e-3)
    assert large.activation.offset == pytest.approx(small.activation.offset, abs=1e-3)
    # else the larger one would decide
    alone = fit_confidence([corpus("a", *sure, 7)], 0.5)
    assert abs(alone.temperature / small.temperature - 1) > 0.1


def test_no_label_is_left_out_if_nothing_else_is_predicted() -> None:
    parts = [two_classes([0.9, 0.8], [True, True]) for _ in "ab"]
    parts = [dataclasses.replace(part, clip_ids=(f"{n}0", f"{n}1")) for n, part in enumerate(parts)]
    lacking = [dataclasses.replace(part, truth=1 - part.predicted) for part in parts]

    assert fit_confidence(lacking).without_verdict == ()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_coverage_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="least_coverage"):
        choose_threshold(two_classes([0.9], [True]), share)


@pytest.mark.parametrize("k", [0.4, 1.0, 3.0])
def test_a_temperature_undoes_a_scaling_of_calibrated_logits(k: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 8))
    # Gumbel's trick: the argmax is a draw from the softmax, so that these logits are calibrated
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)

    assert fit_temperature(k * logits, truth) == pytest.approx(k, rel=0.06)


def test_a_temperature_does_not_care_for_a_shift_of_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(0, 2, (200, 4)), rng.integers(0, 4, 200)
    shift = rng.normal(0, 5, (200, 1))

    assert fit_temperature(logits + shift, truth) == pytest.approx(fit_temperature(logits, truth))


def test_a_temperature_stays_within_its_bounds() -> None:
    always_right, always_wrong = np.eye(3), np.eye(3)[[1, 2, 0]]

    assert fit_temperature(always_right, np.arange(3)) == pytest.approx(0.05, rel=0.5)
    assert fit_temperature(always_wrong, np.arange(3)) == pytest.approx(20, rel=0.01)


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_temperature(np.array([[0, np.nan]]), np.array([0]))


def test_agreement_by_hand() -> None:
    a, b = certain([0, 0, 1, 2], [0, 1, 1, 2]), certain([0, 0, 1, 2], [0, 2, 1, 2])

    assert agreement(a, b) == 0.75
    assert agreement(a, a) == 1


def test_agreement_wants_the_same_clips() -> None:
    with pytest.raises(ValueError, match="same clips"):
        agreement(certain([0, 1], [0, 1]), certain([0], [0]))


def test_mean_and_deviation_over_seeds() -> None:
    one, two = figures(certain([0, 1], [0, 1])), figures(certain([0, 1], [0, 0]))
    spread = mean_and_deviation([one, two])

    assert spread["uar"].mean == pytest.approx(0.75)
    assert spread["uar"].deviation == pytest.approx(np.sqrt(0.125))  # (1 - 0.5) / sqrt(2)
    assert mean_and_deviation([one])["accuracy"].deviation is None
    with pytest.raises(ValueError, match="no figures"):
        mean_and_deviation([])


@given(any_predictions())
def test_folds_put_together_are_the_whole(predictions: Predictions) -> None:
    half = len(predictions.truth) // 2
    order = np.arange(len(predictions.truth))
    whole = take(predictions, order)
    parts = [
        dataclasses.replace(
            whole,
            clip_ids=whole.clip_ids[part],
            speakers=whole.speakers[part],
            truth=whole.truth[part],
            probabilities=whole.probabilities[part],
        )
        for part in (slice(0, half), slice(half, None))
    ]

    assert figures(Predictions.concatenate(parts), resamples=20) == figures(whole, resamples=20)


def test_folds_whose_trainings_lacked_different_emotions_are_combined() -> None:
    one = certain([0, 2], [0, 1])
    fewer = two_classes([0.9, 0.6], [True, False])
    fewer = dataclasses.replace(fewer, labels=("sad", "angry"), clip_ids=("a", "b"))
    both = Predictions.concatenate([fewer, one])

    assert both.labels == ("calm", "happy", "sad", "angry")
    assert both.truth.tolist() == [2, 3, 0, 2]
    assert both.predicted.tolist() == [2, 2, 0, 1]
    assert both.probabilities[:2] == pytest.approx(np.array([[0, 0, 0.9, 0.1], [0, 0, 0.6, 0.4]]))
    found = fit_confidence([fewer, dataclasses.replace(one, probabilities=np.full((2, 3), 1 / 3))])
    assert set(found.without_verdict) == {"calm", "happy", "angry"}  # only sad is in both


def test_folds_with_a_clip_twice_are_refused() -> None:
    one = certain([0, 1], [0, 1])

    with pytest.raises(ValueError, match="one prediction per clip"):
        Predictions.concatenate([one, one])
    with pytest.raises(ValueError, match="no predictions"):
        Predictions.concatenate([])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("speakers", ("01",), "one entry"),
        ("truth", np.array([0, 3]), "from 0 to 2"),
        ("truth", np.array([0, -1]), "from 0 to 2"),
        ("clip_ids", ("x", "x"), "one prediction per clip"),
        ("clip_ids", (), "no predictions"),
        ("probabilities", np.eye(3), "shape"),
        ("probabilities", np.full((2, 3), np.nan), "sum to 1"),
        ("probabilities", np.full((2, 3), 0.5), "sum to 1"),
        ("probabilities", np.array([[2.0, -1.0, 0.0]] * 2), "from 0 to 1"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(certain([0, 1], [0, 1]), **{field: value})
