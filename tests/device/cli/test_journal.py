import csv
import io
import json
import re
import sys
import time
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from undertone import cli
from undertone.emotions import colour
from undertone.errors import RuntimeMissingError
from undertone.events import Gap, SegmentEnded, Started, Stopped, Verdict, moment
from undertone.journal.plot import svg
from undertone.journal.reader import JournalReader
from undertone.journal.writer import JournalWriter
from undertone.support.installation import add_extra
from undertone.support.printable import printable

START_S = datetime(2026, 11, 20, 8, tzinfo=UTC).timestamp()
DAY_S = 86_400


def heard(verdict, time_s):
    scores = {"happy": 0.6, "calm": 0.4}
    given = Verdict(label="happy", verdict=verdict, confidence=0.6, scores=scores)
    return SegmentEnded.of(time_s, 2.0, -20.0, given, "m", "0")


def run(*args):
    return CliRunner().invoke(cli.undertone, ["journal", *map(str, args)], catch_exceptions=False)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("UNDERTONE_CONFIG", raising=False)


@pytest.fixture
def journal(tmp_path, monkeypatch):
    folder = tmp_path / "journal"
    monkeypatch.setenv("UNDERTONE_JOURNAL", str(folder))
    writer = JournalWriter(folder, zone=UTC)
    writer.write(Started(moment(START_S), "USB \x1b[2J", "m", "0", "1"))
    for number in range(30):
        writer.write(heard("happy" if number % 3 else "uncertain", START_S + number))
    writer.write(Gap(moment(START_S + DAY_S), 160, "overflow, twice"))
    writer.write(heard("happy", START_S + DAY_S))
    writer.write(Stopped(moment(START_S + DAY_S + 60), "interrupted", 7260.0, 31))
    writer.close()
    return folder


def test_show_gives_the_newest(journal):
    lines = run("show").stdout.splitlines()
    assert len(lines) == 20
    assert "stop" in lines[-1]
    assert len(run("show", "--last", 3).stdout.splitlines()) == 3


def test_show_says_why_a_segment_could_not_be_classified(tmp_path):
    writer = JournalWriter(tmp_path, zone=UTC)
    verdict = Verdict.of({"happy": 1.0}, reason="no sound above 4.8 kHz\x1b[2J")
    writer.write(SegmentEnded.of(START_S, 2.0, -20.0, verdict, "m", "0"))
    writer.close()
    shown = run("show", "--journal", tmp_path).stdout
    assert "no sound above 4.8 kHz" in shown
    assert "\x1b[2J" not in shown


def test_show_of_a_span_gives_all_of_it(journal):
    lines = run("show", "--until", "2026-11-20T23:00+00:00").stdout.splitlines()
    assert len(lines) == 31
    assert "happy" in lines[-1]
    assert "2026-11-20 08:00:31" in lines[-1]


def test_show_keeps_control_characters_off_the_terminal(journal):
    assert "\x1b" not in run("show", "--last", 1000).stdout


def test_show_json_is_what_the_files_hold(journal):
    shown = run("show", "--last", 1000, "--format", "json").stdout
    assert run("show", "--last", 1000, "--json").stdout == shown
    assert shown == "".join(path.read_text() for path in sorted(journal.glob("*.jsonl")))


def test_until_a_date_includes_it(journal):
    assert len(run("show", "--since", "2026-11-19", "--until", "2026-11-20").stdout) == len(
        run("show", "--since", "2026-11-19", "--until", "2026-11-21T00:00").stdout
    )


def test_since_an_age(tmp_path):
    now = time.time()
    folder = tmp_path / "journal"
    writer = JournalWriter(folder)
    writer.write(Gap(moment(now - 3 * 3600), 1, "old"))
    writer.write(Gap(moment(now - 3600), 2, "new"))
    writer.close()
    (line,) = run("show", "--journal", folder, "--since", "2h").stdout.splitlines()
    assert "new" in line


@pytest.mark.parametrize("when", ["yesterday", "2", "-2h", "99999999999999d", "2026-13-01"])
def test_a_time_that_is_none_is_wrong_usage(journal, when):
    result = run("show", "--since", when)
    assert result.exit_code == 2
    assert "2026-11-20" in result.stderr


def test_summary_counts_by_emotion_hour_and_day(journal):
    printed = run("summary").stdout
    rows = [line.split() for line in printed.splitlines() if line]
    assert "31 segments of speech" in printed
    assert "listened for 2 h 1 min" in printed
    assert "lost 160 samples of sound in 1 gap" in printed
    assert ["happy", "21", "68%", "42"] in [row[:4] for row in rows]
    assert ["uncertain", "10", "32%", "20"] in [row[:4] for row in rows]
    assert ["08:00", "31"] in [row[:2] for row in rows]
    assert ["2026-11-20", "30"] in [row[:2] for row in rows]


def test_summary_as_json_has_the_same_counts(journal):
    told = json.loads(run("summary", "--format", "json").stdout)
    assert told["segments"] == 31
    assert told["listened_s"] == 7260.0
    assert told["first"] == "2026-11-20T08:00:00Z"
    assert told["verdicts"]["happy"] == {"segments": 21, "speech_s": 42.0}
    assert told["hours"]["2026-11-20T08"] == {"uncertain": 10, "happy": 20}
    assert (told["gaps"], told["lost_samples"]) == (1, 160)


def test_export_csv_has_a_column_for_each_score(journal):
    rows = list(csv.DictReader(io.StringIO(run("export").stdout)))
    assert len(rows) == 34
    assert [key for key in rows[0] if key.startswith("score_")] == ["score_calm", "score_happy"]
    assert rows[1]["verdict"] == "uncertain"
    assert rows[1]["score_happy"] == "0.6"
    assert rows[-3]["reason"] == "overflow, twice"
    assert rows[-1]["listened_s"] == "7260.0"


def test_export_json_to_a_file(journal, tmp_path):
    output = tmp_path / "out.json"
    assert run("export", "--format", "json", "--output", output).stdout == ""
    events = [json.loads(line)["event"] for line in output.read_text().splitlines()]
    assert len(events) == 34
    assert events[0] == "start"


@pytest.mark.parametrize("output", ["/nowhere/at/all", "/dev/full"])
def test_export_that_can_not_be_written(journal, capsys, output):
    assert cli.run(cli.undertone, "undertone", ["journal", "export", "--output", output]) == 1
    told = capsys.readouterr().err
    assert output in told
    assert "Traceback" not in told


@pytest.mark.parametrize("name", ["show", "summary", "plot", "export"])
def test_no_journal_yet(tmp_path, capsys, name):
    args = ["journal", name, "--journal", str(tmp_path / "none")]
    assert cli.run(cli.undertone, "undertone", args) == 1
    assert "undertone listen" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["show", "summary"])
def test_an_empty_journal(tmp_path, name):
    result = run(name, "--journal", tmp_path)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no such events" in result.stderr


@pytest.mark.parametrize("name", ["show", "summary", "plot", "export"])
def test_damage_is_reported_and_the_rest_is_read(journal, name):
    with next(journal.glob("*.jsonl")).open("ab") as file:
        file.write(b"\xff\0{\n")
    result = run(name, *(["--last", 1000] if name == "show" else []))
    assert result.exit_code == 0
    assert result.stdout
    assert "skipped 1 damaged line" in result.stderr


def test_export_parquet_has_typed_columns(journal, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "heard.parquet"
    assert run("export", "--format", "parquet", "--output", output).exit_code == 0
    table = parquet.read_table(output)
    rows = list(JournalReader(journal))
    assert table["time"].to_pylist() == [row.time for row in rows]
    assert table["event"].to_pylist() == [row.kind for row in rows]
    assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"
    assert str(table.schema.field("lost_samples").type) == "int64"
    assert str(table.schema.field("score_happy").type) == "double"


def test_export_parquet_without_a_file_or_pyarrow_says_what_to_do(journal, tmp_path, monkeypatch):
    done = run("export", "--format", "parquet")
    assert done.exit_code == 2
    assert "--output" in done.stderr
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RuntimeMissingError, match=re.escape(add_extra("parquet"))):
        run("export", "--format", "parquet", "--output", tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def drawn(summary):
    """Kind and text of everything in the picture of ``summary``, its counts and its colours."""
    root = ElementTree.fromstring(svg(summary))
    found = {
        kind: list(root.iter(f"{{http://www.w3.org/2000/svg}}{kind}"))
        for kind in ("svg", "title", "rect", "text")
    }
    assert len(found["svg"]) == 1
    return found


def test_plot_draws_every_segment_in_both_charts(journal):
    done = run("plot")
    summary = JournalReader(journal).summary()
    assert done.stdout == svg(summary)
    found = drawn(summary)
    told = " ".join(title.text for title in found["title"])
    for verdict, tally in summary.verdicts.items():
        counts = [int(count) for count in re.findall(rf"{verdict} (\d+)", told)]
        assert sum(counts) == 2 * tally.segments
        assert colour(verdict) in {bar.get("fill") for bar in found["rect"]}
        assert verdict in [text.text for text in found["text"]]


def test_a_bar_is_as_high_as_its_segments_are_many(tmp_path):
    writer = JournalWriter(tmp_path, zone=UTC)
    for hour, verdicts in ((0, ["happy"] * 3 + ["calm"]), (2, ["calm"] * 8)):
        for number, verdict in enumerate(verdicts):
            writer.write(heard(verdict, START_S + 3600 * hour + number))
    writer.close()
    root = ElementTree.fromstring(svg(JournalReader(tmp_path).summary()))
    values = {}  # at the left of the upper chart
    for text in root.findall(".//{*}text"):
        if text.get("text-anchor") == "end" and float(text.get("y")) < 300:
            values[int(text.text)] = float(text.get("y")) - 4
    assert values.keys() == {0, 4, 8}
    per_segment = (values[0] - values[8]) / 8
    assert values[0] - values[4] == pytest.approx(4 * per_segment, abs=0.2)

    groups = {
        group.find("{*}title").text: group.findall("{*}rect") for group in root.findall(".//{*}g")
    }
    (calm, happy), (more,) = (
        groups[name] for name in ("2026-11-20T08: calm 1, happy 3", "2026-11-20T10: calm 8")
    )
    for bar, verdict, count, below in (
        (calm, "calm", 1, 0),
        (happy, "happy", 3, 1),
        (more, "calm", 8, 0),
    ):
        assert bar.get("fill") == colour(verdict)
        assert float(bar.get("height")) == pytest.approx(count * per_segment, abs=0.1)
        bottom = float(bar.get("y")) + float(bar.get("height"))
        assert bottom == pytest.approx(values[0] - below * per_segment, abs=0.1)
    assert groups["2026-11-20T09: nothing"] == []
    names = {text.text: float(text.get("x")) for text in root.findall(".//{*}text")}
    for bar, name in ((happy, "20. 08h"), (more, "20. 10h")):
        middle = float(bar.get("x")) + float(bar.get("width")) / 2
        assert names[name] == pytest.approx(middle, abs=0.1)
    *_, first, first_name, second, second_name = root  # the legend
    assert (first.get("fill"), first_name.text) == (colour("calm"), "calm")
    assert (second.get("fill"), second_name.text) == (colour("happy"), "happy")


def test_plot_shows_the_hours_in_which_nobody_spoke(journal):
    told = [title.text for title in drawn(JournalReader(journal).summary())["title"]]
    assert "2026-11-20T09: nothing" in told
    assert len(told) == 25 + 24  # from 8 to 8 on the next day, and a day


def test_plot_of_a_long_time_has_a_bar_a_day(tmp_path):
    writer = JournalWriter(tmp_path, zone=UTC)
    for day in range(0, 40, 2):
        writer.write(heard("happy", START_S + day * DAY_S))
    writer.close()
    told = [title.text for title in drawn(JournalReader(tmp_path).summary())["title"]]
    assert told[:3] == ["2026-11-20: happy 1", "2026-11-21: nothing", "2026-11-22: happy 1"]
    assert len(told) == 39 + 24


@pytest.mark.parametrize("name", ["<script>", "a\x00b", "\x1b[2J", "'\"&"])
def test_plot_takes_any_name_of_a_verdict(tmp_path, name):
    writer = JournalWriter(tmp_path, zone=UTC)
    writer.write(heard(name, START_S))
    writer.close()
    found = drawn(JournalReader(tmp_path).summary())
    assert f"2026-11-20T08: {printable(name)} 1" in [title.text for title in found["title"]]
    assert printable(name) in [text.text for text in found["text"]]


def test_plot_of_a_clock_set_back_shows_all(tmp_path):
    writer = JournalWriter(tmp_path, zone=UTC)
    for day in (0, 1, -10, -9):
        writer.write(heard("happy", START_S + day * DAY_S))
        writer.flush()
    writer.close()
    told = " ".join(t.text for t in drawn(JournalReader(tmp_path).summary())["title"])
    assert told.count("happy 1") == 4
