"""Figures of groups of labels, and the report of a protocol with several conditions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.emotions import EMOTIONS
from undertone.recognition.bundle import Activation
from undertone.recognition.decision import activation_of
from undertone_training.evaluation.conditions import (
    ACTIVATION,
    FOUR_EMOTIONS,
    ConditionPredictions,
    ConditionsReport,
    figures_of,
    grouped,
    joined,
    load_reports,
)
from undertone_training.metrics import Predictions, missed


def predicted(
    truth: list[str], said: list[str | None], speakers: str = "", share: float = 0.5
) -> ConditionPredictions:
    """Clips of these emotions and the label that the model finds most probable; None: no speech."""
    rows = []
    for true, label in zip(truth, said, strict=True):
        row = np.full(len(EMOTIONS), (1 - share) / (len(EMOTIONS) - 1))
        if label is None:
            row = missed(EMOTIONS.index(true), len(EMOTIONS))
        else:
            row[EMOTIONS.index(label)] = share
        rows.append(row)
    predictions = Predictions(
        clip_ids=tuple(map(str, range(len(truth)))),
        speakers=tuple(speakers or "a" * len(truth)),
        truth=np.array([EMOTIONS.index(label) for label in truth]),
        probabilities=np.array(rows),
        labels=EMOTIONS,
    )
    logs = np.log(np.maximum(predictions.probabilities, 1e-12))
    heard = np.array([label is not None for label in said])
    return ConditionPredictions(
        "x",
        "zero-shot",
        predictions,
        heard,
        heard,
        np.array([activation_of(row, EMOTIONS, Activation()) for row in logs], dtype=float),
    )


ALL_FOUR = ["angry", "happy", "sad", "neutral"]


def test_neutral_and_calm_are_one_of_the_four_emotions() -> None:
    found = figures_of(predicted([*ALL_FOUR, "calm"], ["angry", "happy", "sad", "calm", "neutral"]))
    assert found.four_emotions is not None
    assert (found.four_emotions.uar, found.four_emotions.n_clips) == (1.0, 5)
    assert found.shared_labels is not None
    assert found.shared_labels.uar == pytest.approx(3 / 5)
    assert (found.verdicts, found.right) == (5, 3)


def test_labels_that_the_corpus_lacks_are_left_out() -> None:
    """Where all labels compete, disgust wins; among the four, the second best counts."""
    one = predicted(ALL_FOUR, ["disgust"] * 4, share=0.4)
    rows = one.predictions.probabilities
    for row, label in zip(rows, ALL_FOUR, strict=True):
        row[EMOTIONS.index(label)] += 0.1
    rows /= rows.sum(axis=1, keepdims=True)
    found = figures_of(replace(one, predictions=replace(one.predictions, probabilities=rows)))
    assert found.shared_labels is not None
    assert found.shared_labels.uar == 1
    assert found.four_emotions is not None
    assert found.four_emotions.uar == 1
    assert found.right == 0


@given(
    data=st.lists(
        st.tuples(st.sampled_from(EMOTIONS), st.sampled_from([None, *EMOTIONS])), min_size=1
    )
)
def test_a_clip_without_speech_is_wrong_in_every_group(
    data: list[tuple[str, str | None]],
) -> None:
    truth, said = (list(column) for column in zip(*data, strict=True))
    one = predicted(truth, said)
    for group_of in (FOUR_EMOTIONS, ACTIVATION, {label: label for label in set(truth)}):
        part = grouped(one.predictions, group_of)
        wanted = set(group_of.values())
        if {group_of[label] for label in truth if label in group_of} != wanted or len(wanted) < 2:
            assert part is None
            continue
        assert part is not None
        silent = {str(index) for index, label in enumerate(said) if label is None}
        for clip_id, correct in zip(part.clip_ids, part.correct, strict=True):
            if clip_id in silent:
                assert not correct
            elif group_of.get(said[int(clip_id)] or "") == group_of[truth[int(clip_id)]]:
                assert correct
    assert figures_of(one).missed == said.count(None)


def test_the_uar_of_activation_is_that_of_what_the_device_reports() -> None:
    """Not the sums of the labels' probabilities, which a bundle's scale and offset correct."""
    one = predicted(["angry", "sad", "disgust", "neutral"], ["sad", "sad", "angry", None])
    assert one.predictions.probabilities[0, EMOTIONS.index("sad")] == 0.5
    found = figures_of(replace(one, activation=np.array([0.5001, 0.4999, 0.9, np.nan]))).activation
    assert found is not None
    assert (found.uar, found.n_clips) == (pytest.approx((1 + 1 / 2) / 2), 3)


def test_what_a_corpus_can_not_show_is_missing() -> None:
    found = figures_of(predicted(["happy", "happy"], ["happy", "sad"]))
    assert found.shared_labels is found.four_emotions is found.activation is None
    found = figures_of(predicted(["angry", "sad"], ["angry", "sad"], "ab"))
    assert found.four_emotions is None
    assert found.activation is not None
    assert found.activation.uar_interval95 == (1, 1)
    assert figures_of(predicted(["angry", "sad"], ["angry", "sad"])).activation is not None


def test_a_corpus_with_one_speaker_has_no_interval() -> None:
    found = figures_of(predicted(ALL_FOUR, ["angry", "sad", None, "neutral"]))
    assert found.four_emotions is not None
    assert found.four_emotions.uar_interval95 is None
    assert (found.n_speakers, found.missed, found.verdicts) == (1, 1, 3)


def test_the_accuracy_at_tenths_is_that_of_the_most_confident_clips() -> None:
    """Of five clips, the third most confident is wrong and the fourth gets no verdict."""
    parts = [
        predicted(["happy"], [label], share=confidence)
        for label, confidence in zip(
            ["sad", "happy", "happy", "angry", "happy"], [0.5, 0.9, 0.3, 0.4, 0.8], strict=True
        )
    ]
    rows = np.concatenate([each.predictions.probabilities for each in parts])
    one = predicted(["happy"] * 5, ["happy"] * 5)
    one = replace(
        one,
        predictions=replace(one.predictions, probabilities=rows),
        possible=np.array([True, True, True, False, True]),
    )
    found = figures_of(one).accuracy_at_tenths
    assert found == pytest.approx((1, 1, 1, 1, 2 / 3, 2 / 3, 3 / 4, 3 / 4))


def test_the_report_of_other_weights_is_not_shown(tmp_path: Path) -> None:
    figures = (figures_of(predicted(ALL_FOUR, list(ALL_FOUR), "aabb")),)
    report = ConditionsReport("degraded", "0" * 64, figures, ("a note",))
    assert report.save(tmp_path) == tmp_path / "degraded.json"
    assert load_reports(tmp_path, "0" * 64) == {"degraded": report}
    assert load_reports(tmp_path, "1" * 64) == {}


def test_folds_are_joined() -> None:
    one = predicted(ALL_FOUR, list(ALL_FOUR))
    ids = tuple(f"other {name}" for name in one.predictions.clip_ids)
    both = joined([one, replace(one, predictions=replace(one.predictions, clip_ids=ids))])
    assert figures_of(both).n_clips == 8
    assert both.condition == "zero-shot"
