"""Figures of each speaker, sex and intensity."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from example_report import BY_FORM, CLIPS
from msgspec.structs import replace
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from undertone_training.report.breakdown import breakdown


def test_the_breakdown_has_the_figures_of_each_speaker_and_kind(
    report: tuple[Path, dict[str, Any]],
) -> None:
    rows = list(csv.DictReader(io.StringIO((report[0] / "breakdown.csv").read_text("utf-8"))))
    int8 = BY_FORM["int8"]

    assert [(row["kind"], row["value"]) for row in rows] == [
        *(("speaker", name) for name in ("01", "02", "03", "04")),
        ("sex", "female"), ("sex", "male"), ("intensity", "normal"), ("intensity", "strong"),
    ]  # fmt: skip
    members = {
        ("speaker", "02"): [each.speaker == "02" for each in CLIPS],
        ("sex", "female"): [each.sex == "female" for each in CLIPS],
        ("intensity", "strong"): [each.intensity == "strong" for each in CLIPS],
    }
    for row in rows:
        if (chosen := members.get((row["kind"], row["value"]))) is None:
            continue
        truth, predicted = int8.truth[chosen], int8.predicted[chosen]
        assert int(row["clips"]) == sum(chosen)
        assert float(row["accuracy"]) == accuracy_score(truth, predicted)
        assert float(row["uar"]) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_a_kind_that_no_clip_or_all_clips_have_is_no_part() -> None:
    spoken = {each.clip_id: replace(each, intensity=None) for each in CLIPS if each.sex == "male"}
    assert {*breakdown(BY_FORM["int8"], spoken)["kind"]} == {"speaker"}
    assert {*breakdown(BY_FORM["int8"], {})["kind"]} == {"speaker"}
