"""Activation in lines, totals, pictures and tables; and journals from before it existed."""

import csv
import io
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from undertone import cli
from undertone.events import SegmentEnded, Verdict
from undertone.journal import summary_cache
from undertone.journal.format import parse_line, to_line
from undertone.journal.plot import activation_over_time, svg
from undertone.journal.reader import JournalReader
from undertone.journal.summary import Summary

NOON_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
HOUR_S, DAY_S = 3600, 86_400


def segment(activation: float | None, after_s: float = 0.0) -> SegmentEnded:
    verdict = Verdict.of({"happy": 0.75, "sad": 0.25}, activation=activation)
    return SegmentEnded.of(NOON_S + after_s, 2.0, -20.0, verdict, "m", "0" * 64)


def totals(*segments: SegmentEnded) -> Summary:
    summary = Summary()
    for each in segments:
        summary.add(each)
    return summary


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Two segments with an activation in one hour, one on the next day, and one without."""
    found = [segment(0.5), segment(0.75, 10), segment(None, 20), segment(0.25, DAY_S)]
    for number, day in enumerate(("2026-11-21", "2026-11-22")):
        some = found[3:] if number else found[:3]
        (tmp_path / f"{day}.jsonl").write_text("".join(to_line(each) + "\n" for each in some))
    return tmp_path


def run(*arguments: str, journal: Path) -> str:
    command = ["journal", *arguments, "--journal", str(journal)]
    result = CliRunner().invoke(cli.undertone, command, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_line_has_three_digits_of_it_or_no_key() -> None:
    assert json.loads(to_line(segment(0.123456)))["activation"] == 0.123
    assert "activation" not in json.loads(to_line(segment(None)))
    read = parse_line(to_line(segment(None)))
    assert isinstance(read, SegmentEnded)
    assert read.activation is None


@pytest.mark.parametrize("wrong", ["-0.1", "1.1", '"high"', "NaN"])
def test_a_line_with_another_value_is_damaged(wrong: str) -> None:
    line = to_line(segment(0.5))
    assert parse_line(line.replace('"activation": 0.5', f'"activation": {wrong}')) is None


def test_means_are_of_the_segments_that_have_one(journal: Path) -> None:
    summary = JournalReader(journal).summary()
    assert summary.activation == pytest.approx(0.5)
    assert summary.activation_by_hour == {12: pytest.approx(0.5)}
    assert summary.activation_by_day == {
        date(2026, 11, 21): pytest.approx(0.625),
        date(2026, 11, 22): pytest.approx(0.25),
    }
    assert summary.segments == 4


def test_a_part_that_follows_is_added_and_its_own_totals_stay() -> None:
    first, later = totals(segment(0.5), segment(0.75, HOUR_S)), totals(segment(0.25, HOUR_S + 1))
    whole = totals(segment(0.5), segment(0.75, HOUR_S), segment(0.25, HOUR_S + 1))
    first.follow(later)
    assert first == whole
    assert later == totals(segment(0.25, HOUR_S + 1))


def test_stored_totals_say_the_same(journal: Path) -> None:
    read = JournalReader(journal).summary()
    for file in journal.glob("*.jsonl"):
        summary_cache.store(file)
        assert summary_cache.load(file)
    assert JournalReader(journal).summary() == read


def test_stored_totals_of_more_segments_than_there_are_are_not_used(journal: Path) -> None:
    file = journal / "2026-11-22.jsonl"
    summary_cache.store(file)
    path = summary_cache.path_of(file)
    path.write_bytes(path.read_bytes().replace(b'"total":0.25', b'"total":2.0'))
    assert summary_cache.load(file) is None


def test_show_prints_it_where_there_is_one(journal: Path) -> None:
    shown = run("show", journal=journal).splitlines()
    assert ["activation" in line for line in shown] == [True, True, False, True]
    assert "activation  50%" in shown[0]


def test_summary_prints_the_means(journal: Path) -> None:
    lines = run("summary", journal=journal).splitlines()
    assert "mean activation 50%" in lines
    rows = [line.split()[:3] for line in lines]
    assert ["2026-11-21", "3", "62%"] in rows
    assert ["12:00", "4", "50%"] in rows
    told = json.loads(run("summary", "--format", "json", journal=journal))
    assert told["activation"] == 0.5
    assert told["activations"] == {"2026-11-21T12": 0.625, "2026-11-22T12": 0.25}


def test_the_picture_has_a_point_for_each_hour_with_a_mean(journal: Path) -> None:
    summary = JournalReader(journal).summary()
    means = activation_over_time(summary)
    assert means["2026-11-21T12"] == pytest.approx(0.625)
    assert means["2026-11-21T13"] is None
    assert svg(summary).count("<circle") == 2
    assert "2026-11-22T12: activation 25%" in svg(summary)


def test_csv_has_a_column_for_it(journal: Path) -> None:
    rows = csv.DictReader(io.StringIO(run("export", journal=journal)))
    assert [row["activation"] for row in rows] == ["0.5", "0.75", "", "0.25"]


def test_parquet_has_numbers(journal: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run("export", "--output", str(tmp_path / "x.parquet"), journal=journal)
    column = parquet.read_table(tmp_path / "x.parquet")["activation"]
    assert column.to_pylist() == [0.5, 0.75, None, 0.25]
    assert str(column.type) == "double"


def test_nothing_is_said_of_it_in_a_journal_without_it(tmp_path: Path) -> None:
    (tmp_path / "2026-11-21.jsonl").write_text(to_line(segment(None)) + "\n")
    for command in ("show", "summary", "plot", "export"):
        assert "activation" not in run(command, journal=tmp_path)
    told = json.loads(run("summary", "--format", "json", journal=tmp_path))
    assert (told["activation"], told["activations"]) == (None, {})
