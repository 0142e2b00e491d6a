"""Results of files as JSON and CSV, with and without an activation."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from undertone.events import Verdict
from undertone.files.batch import FileResult
from undertone.files.results import to_line, write_csv
from undertone.recognition.pipeline import ClassifiedSegment, FileVerdict

LABELS = ("happy", "sad")


def result(activation: float | None) -> FileResult:
    verdict = Verdict.of({"happy": 0.75, "sad": 0.25}, activation=activation)
    segment = ClassifiedSegment(1.0, 2.0, -20.0, verdict, (np.log([0.75, 0.25]),))
    return FileResult(Path("a.wav"), FileVerdict("happy", verdict, (segment,)))


SILENT = FileResult(Path("b.wav"), FileVerdict("no-speech", None, ()))
FAILED = FileResult(Path("c.wav"), None, "c.wav is no sound.")


def test_json_has_the_activation_of_the_file_and_of_each_segment() -> None:
    found = json.loads(to_line(result(0.123456)))
    assert found["activation"] == found["segments"][0]["activation"] == 0.123


@pytest.mark.parametrize("other", [result(None), SILENT, FAILED])
def test_json_has_no_such_key_where_there_is_none(other: FileResult) -> None:
    assert "activation" not in to_line(other)


def test_csv_has_it_in_the_last_column() -> None:
    output = io.StringIO()
    write_csv([result(0.5), result(None), SILENT, FAILED], LABELS, output)
    rows = list(csv.DictReader(io.StringIO(output.getvalue())))
    assert list(rows[0]) == [
        "path", "label", "verdict", "confidence", *LABELS, "segments", "error", "reason",
        "activation",
    ]  # fmt: skip
    assert [row["activation"] for row in rows] == ["0.5", "", "", ""]
    assert rows[3]["error"] == "c.wav is no sound."
