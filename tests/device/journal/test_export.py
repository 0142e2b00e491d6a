"""A journal from elsewhere, exported: nothing in it moves a terminal, runs in a spreadsheet or
fills the memory."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from undertone import cli
from undertone.journal.format import parse_line, to_line

SEGMENT = {
    "event": "segment",
    "time": "2026-11-21T08:15:30.123+01:00",
    "label": "happy",
    "verdict": "happy",
    "confidence": 0.7,
    "scores": {"happy": 0.7},
    "start": "2026-11-21T08:15:28.000+01:00",
    "duration_s": 2.123,
    "level_dbfs": -20.5,
    "model": "m",
    "model_sha256": "0",
}
GAP = {"event": "gap", "time": "2026-11-21T08:16:00.000+01:00", "lost_samples": 160}
EXPORT_AND_TELL_PEAK = """
import resource, sys
from undertone import cli
assert cli.run(cli.undertone, "undertone", sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
HOSTILE = ["\x1b[2J", "\x9b2J", "\x7f", "\u202egnp.exe", "\b" * 3, "\r\n", "a\tb", "\U000e0041"]


@pytest.fixture
def foreign(tmp_path, monkeypatch, capsys):
    """Writes lines as another program may have, and runs a command of the journal on them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    folder = tmp_path / "foreign"
    folder.mkdir()

    def run(*arguments, lines=(SEGMENT,), status=0):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / "2026-11-21.jsonl").write_text(text)
        command = ["journal", *map(str, arguments), "--journal", str(folder)]
        assert cli.run(cli.undertone, "undertone", command) == status
        return capsys.readouterr()

    return run


def labelled(name):
    return SEGMENT | {"label": name, "verdict": name, "scores": {name: 0.7}, "model": name}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["show", "--format", "json"],
        ["summary"],
        ["summary", "--format", "json"],
        ["plot"],
        ["export"],
        ["export", "--format", "json"],
    ],
)
def test_what_is_printed_moves_no_terminal(foreign, command, name):
    out = foreign(*command, lines=[labelled(name), GAP | {"reason": name}]).out
    assert out
    assert all(character.isprintable() or character == "\n" for character in out)


@pytest.mark.parametrize("name", HOSTILE)
def test_json_loses_nothing_of_it(foreign, name):
    for command in (["show", "--format", "json"], ["export", "--format", "json"]):
        (line,) = foreign(*command, lines=[labelled(name)]).out.splitlines()
        assert json.loads(line) == labelled(name)
    line = to_line(parse_line(json.dumps(labelled(name))))
    assert line.isprintable()


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", '=HYPERLINK("http://x")']
)
def test_no_cell_is_a_formula_and_numbers_are_numbers(foreign, text):
    out = foreign("export", lines=[labelled(text), GAP | {"reason": text}]).out
    header, segment, gap = csv.reader(io.StringIO(out))
    for cell in (*header, *segment, *gap):
        assert not cell.startswith(("=", "+", "@", "\t", "\r", "\uff1d")), cell
        assert not cell.startswith("-") or float(cell) == -20.5
    row = dict(zip(header, segment, strict=True))
    assert float(row["level_dbfs"]) == -20.5
    if text.isprintable():
        assert row["label"] == f"'{text}"


def test_parquet_keeps_text_as_it_was(foreign, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    foreign("export", "--output", tmp_path / "x.parquet", lines=[labelled("=\x1b[2J")])
    assert parquet.read_table(tmp_path / "x.parquet")["label"].to_pylist() == ["=\x1b[2J"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_many_labels_is_in_proportion_to_its_journal(foreign, tmp_path, suffix):
    """With a column a label, this 1 MB made 16 MB of CSV, and Parquet took 270 MB of memory."""
    pytest.importorskip("pyarrow")
    foreign("show", lines=[labelled(f"label {number}") for number in range(4000)])
    size_mb = (tmp_path / "foreign/2026-11-21.jsonl").stat().st_size / 2**20

    def peak_mb(*span):
        command = [sys.executable, "-c", EXPORT_AND_TELL_PEAK, "journal", "export", *span]
        command += ["--journal", tmp_path / "foreign", "--output", tmp_path / f"x.{suffix}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return int(done.stdout)

    of_nothing_mb = peak_mb("--until", "2000-01-01")
    assert peak_mb() - of_nothing_mb < 40 * size_mb
    assert (tmp_path / f"x.{suffix}").stat().st_size < size_mb * 2**20


def test_many_labels_are_one_column(foreign, tmp_path):
    lines = [labelled(f"label {number}") for number in range(65)]
    rows = list(csv.DictReader(io.StringIO(foreign("export", lines=lines).out)))
    assert not [key for key in rows[0] if key.startswith("score_")]
    assert [json.loads(row["scores"]) for row in rows] == [line["scores"] for line in lines]
    rows = list(csv.DictReader(io.StringIO(foreign("export", lines=lines[1:]).out)))
    assert len([key for key in rows[0] if key.startswith("score_")]) == 64
    assert "scores" not in rows[0]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--output", "x.parquet"], "parquet"),
        (["--output", "X.PARQUET", "--format", "parquet"], "parquet"),
        (["--output", "x.jsonl"], "json"),
        (["--output", "x.json"], "json"),
        (["--output", "x.csv"], "csv"),
        (["--output", "x.txt"], "csv"),
        (["--output", "x", "--format", "json"], "json"),
        (["--output", "x", "--format", "parquet"], "parquet"),
    ],
)
def test_the_ending_of_the_file_says_its_format(foreign, tmp_path, monkeypatch, arguments, kind):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    foreign("export", *arguments)
    content = Path(arguments[1]).read_bytes()
    found = "parquet" if content[:4] == b"PAR1" else "json" if content[:1] == b"{" else "csv"
    assert found == kind


@pytest.mark.parametrize(
    ("form", "name"), [("csv", "x.parquet"), ("parquet", "x.csv"), ("json", "x.csv")]
)
def test_an_ending_that_says_another_format_is_refused(foreign, tmp_path, form, name):
    told = foreign("export", "--format", form, "--output", tmp_path / name, status=2).err
    assert f"{name} would not be {form}" in told
    assert not (tmp_path / name).exists()
