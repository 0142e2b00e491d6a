"""Recordings that are listened to: at their own times, and separate from live listening."""

import csv
import io
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from undertone import cli
from undertone.audio.realtime import Recording
from undertone.events import Gap, SegmentEnded, Started, Stopped, Verdict, moment
from undertone.journal import summary_cache
from undertone.journal.days import Days, together
from undertone.journal.format import parse_line, placed, to_line
from undertone.journal.reader import JournalReader
from undertone.journal.writer import SUMMARY_THREAD, JournalWriter
from undertone.samples import clips, demonstration

BEGAN = datetime(2026, 3, 1, 18, tzinfo=UTC)


def heard(time_s, label="happy"):
    verdict = Verdict.of({label: 0.6, "calm": 0.4})
    return SegmentEnded.of(time_s, 2.0, -20.0, verdict, "m", "0")


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A recording of about 40 s, which takes a second to hear."""
    path = tmp_path_factory.mktemp("sound") / "talk.wav"
    soundfile.write(path, np.concatenate([block.samples for block in demonstration()]), 16_000)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("UNDERTONE_JOURNAL", str(tmp_path / "journal"))
    return tmp_path / "journal"


def run(*args, status=0):
    result = CliRunner().invoke(cli.undertone, list(map(str, args)), catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result


def lines(folder):
    written = "".join(path.read_text() for path in sorted(folder.glob("*.jsonl")))
    return [json.loads(line) for line in written.splitlines()]


def times(events):
    return [datetime.fromisoformat(event["time"]) for event in events]


def test_a_recording_is_never_in_the_future_nor_among_live_events(folder, talk):
    writer = JournalWriter(folder)
    writer.write(heard(time.time() - 10, "sad"))
    writer.close()
    told = run("listen", "--source", talk, "--fast").stdout
    assert "undertone journal show --recordings" in told.splitlines()[-1]
    after = time.time()
    writer = JournalWriter(folder)
    writer.write(heard(after - 1, "angry"))
    writer.close()

    _, *recording, _ = lines(folder)
    assert [line["event"] for line in recording] == ["start", *["segment"] * 8, "stop"]
    assert all(line["recording"] is True for line in recording)
    assert times(recording) == sorted(times(recording))
    assert times(recording)[-1].timestamp() <= after
    length = times(recording)[-1] - times(recording)[0]
    assert length.total_seconds() == pytest.approx(soundfile.info(talk).duration, abs=0.01)

    for since in ([], ["--since", "2h"], ["--last", 100]):
        shown = run("journal", "show", *since).stdout.splitlines()
        assert [line.split()[2] for line in shown] == ["sad", "angry"]
    assert "2 segments of speech" in run("journal", "summary").stdout
    assert "8 segments of speech" in run("journal", "summary", "--recordings").stdout
    shown = run("journal", "show", "--recordings", "--format", "json").stdout.splitlines()
    assert [json.loads(line) for line in shown] == recording
    assert len(list(csv.reader(io.StringIO(run("journal", "export").stdout)))) == 3
    exported = list(csv.DictReader(io.StringIO(run("journal", "export", "--recordings").stdout)))
    assert [row["recording"] for row in exported] == ["True"] * 10
    assert run("journal", "plot").stdout != run("journal", "plot", "--recordings").stdout


def test_a_recording_has_the_beginning_that_is_stated(folder):
    run("listen", "--source", clips()[0], "--fast", "--began", BEGAN.isoformat())
    start, segment, stop = lines(folder)
    assert times([start]) == [BEGAN]
    length = timedelta(seconds=soundfile.info(clips()[0]).duration)
    assert abs(times([stop])[0] - BEGAN - length) < timedelta(milliseconds=2)
    assert BEGAN <= datetime.fromisoformat(segment["start"]) < times([segment])[0] <= BEGAN + length


def test_a_recording_is_played_at_its_own_pace_whatever_its_time():
    passed_s = [7.0]
    recording = Recording(
        demonstration(), 1e9, lambda s: passed_s.append(passed_s[-1] + s), lambda: passed_s[-1]
    )
    assert recording.now() == 1e9
    for block in recording:
        assert block.time_s - 1e9 == pytest.approx(passed_s[-1] - 7, abs=1e-6)
        assert recording.now() == pytest.approx(block.time_s + block.duration_s)
    assert recording.now() - 1e9 > 40


def test_a_pipe_is_a_recording_where_its_beginning_is_stated(folder, tmp_path):
    samples, _ = soundfile.read(clips()[0], dtype="int16")
    command = [sys.executable, "-m", "undertone.cli", "listen", "--source", "-"]
    for began in ([], ["--began", BEGAN.isoformat()]):
        subprocess.run([*command, *began], input=samples.tobytes(), check=True, timeout=60)
    assert [line["event"] for line in lines(folder)] == ["start", "segment", "stop"] * 2
    assert [line.get("recording") for line in lines(folder)] == [None] * 3 + [True] * 3
    assert times(lines(folder))[3] == BEGAN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", clips()[0], "--began", "2100-01-01"], "in the future"),
        (["--source", clips()[0], "--began", "1s"], "in the future"),
        (["--source", clips()[0], "--began", "at noon"], "'at noon' is not a time; write 30m"),
        (["--source", clips()[0], "--began", "1877-11-21"], "1900"),
        (["--source", "mic", "--began", "2h"], "--source"),
        (["--began", "2h"], "--source"),
    ],
)
def test_a_beginning_that_can_not_be_is_wrong_usage(folder, arguments, words, capsys):
    assert cli.run(cli.undertone, "undertone", ["listen", *map(str, arguments)]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not folder.exists()


def test_a_pipe_cannot_have_begun_in_the_future(folder):
    command = [
        sys.executable,
        "-m",
        "undertone",
        "listen",
        "--source",
        "-",
        "--began",
        "2100-01-01",
    ]
    done = subprocess.run(command, input=b"", capture_output=True, text=False, timeout=60)
    assert done.returncode == 2
    assert b"in the future" in done.stderr.splitlines()[-1]
    assert not folder.exists()


def test_a_file_that_is_not_there_leaves_no_trace(folder, capsys):
    assert cli.run(cli.undertone, "undertone", ["listen", "--source", "no.wav", "--fast"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not folder.exists()


def test_a_file_that_does_not_say_how_long_it_is_is_counted(folder, tmp_path):
    flac = bytearray(clips()[4].read_bytes())
    flac[21] &= 0xF0  # the number of samples, in 36 bits of STREAMINFO: unknown
    flac[22:26] = bytes(4)
    path = tmp_path / "streamed.flac"
    path.write_bytes(flac)
    assert soundfile.info(path).frames > 2**60
    run("listen", "--source", path, "--fast")
    start, *_, stop = times(lines(folder))
    assert 2 < (stop - start).total_seconds() < 10
    assert stop.timestamp() <= time.time()


def test_a_line_without_the_key_is_live():
    assert parse_line(to_line(heard(0))).recording is False
    line = to_line(placed(heard(0), UTC, recording=True))
    assert parse_line(line).recording is True
    assert to_line(parse_line(line)) == line
    assert list(json.loads(line))[:3] == ["event", "time", "recording"]
    assert parse_line(line.replace("true", '"yes"')) is None


def written(folder):
    """Live events on two days, a recording in between on each, and a damaged line."""
    for day in (21, 22):
        time_s = datetime(2026, 11, day, 8, tzinfo=UTC).timestamp()
        for number, recording in enumerate((False, True, False)):
            if recording:
                writer = JournalWriter(folder, zone=UTC, recording_day=date(2026, 11, day))
                long_ago_s = BEGAN.timestamp()
                writer.write(Started(moment(long_ago_s), "a", "m", "0", "1"))
                writer.write(heard(long_ago_s, "sad"))
                writer.write(Stopped(moment(long_ago_s + 60), "end of source", 60.0, 1))
            else:
                writer = JournalWriter(folder, zone=UTC)
                writer.write(Started(moment(time_s + number), "a", "m", "0", "1"))
                writer.write(heard(time_s + number, "happy"))
                writer.write(Gap(moment(time_s + 10 + number), 160, "full"))
            writer.close()


def test_a_demonstration_is_shown_with_the_recordings_and_counted_nowhere(tmp_path):
    """Neither in a file that is read nor in the stored summary of a closed one."""
    recorded_s = BEGAN.timestamp()
    day = date(2026, 11, 21)
    for marked in (True, False):
        writer = JournalWriter(tmp_path, zone=UTC, recording_day=day, demonstration=marked)
        writer.write(Started(moment(recorded_s), "a", "m", "0", "1"))
        writer.write(heard(recorded_s, "sad" if marked else "happy"))
        writer.write(Stopped(moment(recorded_s + 60), "end of source", 60.0, 1))
        writer.close()
    assert [line.get("demonstration") for line in lines(tmp_path)] == [True] * 3 + [None] * 3
    reader = JournalReader(tmp_path, recordings=True)
    assert [event.demonstration for event in reader] == [True] * 3 + [False] * 3
    file = tmp_path / f"{day}.jsonl"
    read = reader.summary()
    summary_cache.store(file)
    for summary in (read, summary_cache.load(file, recordings=True)):
        assert set(summary.verdicts) == {"happy"}
        assert (summary.segments, summary.listened_s) == (1, 60)


@pytest.mark.parametrize("recordings", [False, True])
def test_stored_summaries_know_the_difference(tmp_path, recordings):
    written(tmp_path)
    reader = JournalReader(tmp_path, recordings=recordings)
    closed = tmp_path / "2026-11-21.jsonl"
    for thread in threading.enumerate():
        if thread.name == SUMMARY_THREAD:
            thread.join()
    assert summary_cache.path_of(closed).exists()
    stored = reader.summary()
    summary_cache.path_of(closed).unlink()
    assert reader.summary() == stored
    assert set(stored.verdicts) == {"sad" if recordings else "happy"}
    assert (stored.segments, stored.gaps) == ((2, 0) if recordings else (4, 4))
    assert stored.listened_s == (120 if recordings else pytest.approx(2 * 11 + 2 * 1, abs=20))


def test_a_recording_is_in_the_file_of_the_day_on_which_it_was_listened_to(tmp_path):
    """An old one must neither be removed for its age nor begin a file of its own."""
    written(tmp_path)
    names = [f"2026-11-{day}.jsonl" for day in (21, 22)]
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == names


def test_a_recording_is_found_by_its_own_time(tmp_path):
    written(tmp_path)
    began_s = BEGAN.timestamp()

    def found(since_s, until_s):
        reader = JournalReader(tmp_path, since_s=since_s, until_s=until_s, recordings=True)
        assert reader.summary().segments == sum(r.kind == "segment" for r in reader)
        return reader.summary().segments

    assert found(began_s, began_s + 60) == 2
    assert found(began_s + 60, None) == 0
    assert found(None, began_s) == 0


def test_the_last_ones_are_those_of_one_kind(tmp_path):
    written(tmp_path)
    kinds = [record.kind for record in JournalReader(tmp_path).last(4)]
    assert kinds == ["gap", "start", "segment", "gap"]
    recorded = JournalReader(tmp_path, recordings=True).last(100)
    assert [record.kind for record in recorded] == ["start", "segment", "stop"] * 2


def test_the_days_of_the_page_are_those_of_live_events(tmp_path):
    days = Days(tmp_path, 100)
    written(tmp_path)
    total = together(days.read(date.min).values())
    assert (total.heard.segments, total.heard.gaps, len(days.newest())) == (4, 4, 4)
