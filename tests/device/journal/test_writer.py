import json
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone
from threading import Event

import pytest

from undertone.errors import JournalError
from undertone.events import Gap, moment
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.sink import JournalSink
from undertone.journal.writer import JournalWriter

DAY_S = 86_400
PATIENCE_S = 60.0
START_S = datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()
LINE_MB = 100 / 2**20  # a little more than the line of one note(n)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def note(number, time_s=START_S):
    """An event that is identified by its number."""
    return Gap(moment(time_s), number, "test")


def numbers(folder):
    return [record.lost_samples for record in JournalReader(folder)]


def names(folder):
    return sorted(path.name for path in folder.glob("*.jsonl"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "journal"


@pytest.fixture
def open_writer(folder):
    writers = []

    def open_writer(clock=None, **limits):
        writer = JournalWriter(
            folder, JournalLimits(**limits), clock=clock or Clock(), zone=UTC, report=print
        )
        writers.append(writer)
        return writer

    yield open_writer
    for writer in writers:
        writer.close()


def test_events_wait_for_their_bound_and_no_longer(open_writer, folder):
    clock = Clock()
    writer = open_writer(clock, flush_s=5)
    writer.write(note(1))
    clock.now = 4.9
    writer.write(note(2))
    writer.tick()
    assert numbers(folder) == []
    clock.now = 5.0
    writer.tick()
    assert numbers(folder) == [1, 2]
    writer.write(note(3))
    clock.now = 9.9
    writer.tick()
    assert numbers(folder) == [1, 2]
    clock.now = 10.0
    writer.tick()
    assert numbers(folder) == [1, 2, 3]


def test_close_writes_everything_and_frees_the_folder(open_writer, folder):
    writer = open_writer()
    writer.write(note(1))
    writer.close()
    assert numbers(folder) == [1]
    open_writer().close()


def test_its_owner_and_group_alone_may_read_it(open_writer, folder):
    writer = open_writer()
    writer.write(note(1))
    writer.flush()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o137 == 0 for path in folder.iterdir())


def test_each_day_and_each_full_file_begins_a_new_one(open_writer, folder):
    writer = open_writer(max_mb=2 * LINE_MB)
    for number in range(5):
        writer.write(note(number))
    writer.write(note(5, START_S + DAY_S))
    writer.close()
    assert names(folder) == [
        "2026-11-21.1.jsonl",
        "2026-11-21.2.jsonl",
        "2026-11-21.jsonl",
        "2026-11-22.jsonl",
    ]
    assert numbers(folder) == list(range(6))
    assert all(path.stat().st_size <= 200 for path in folder.glob("*.jsonl"))


def test_a_tenth_file_comes_after_the_ninth(open_writer, folder):
    writer = open_writer(max_mb=LINE_MB)
    for number in range(12):
        writer.write(note(number))
    writer.close()
    assert numbers(folder) == list(range(12))


def test_the_day_is_the_one_of_the_place(folder):
    writer = JournalWriter(folder, zone=timezone(timedelta(hours=-9)))
    writer.write(note(1))
    writer.close()
    assert names(folder) == ["2026-11-20.jsonl"]


def test_another_time_zone_is_noticed_while_running(folder, monkeypatch):
    writer = JournalWriter(folder)
    for number, zone in enumerate(["UTC", "XXX-9"]):
        monkeypatch.setenv("TZ", zone)
        writer.flush()
        writer.write(note(number))
    writer.close()
    monkeypatch.undo()
    time.tzset()
    assert [record.time.utcoffset() for record in JournalReader(folder)] == [
        timedelta(0),
        timedelta(hours=9),
    ]


def test_a_clock_set_back_loses_nothing(open_writer, folder):
    writer = open_writer()
    for number, time_s in enumerate([START_S, START_S - DAY_S, START_S - 5, 0.0]):
        writer.write(note(number, time_s))
        writer.flush()
    assert sorted(numbers(folder)) == [0, 1, 2, 3]


def test_files_of_others_stay(open_writer, folder):
    folder.mkdir(parents=True)
    others = ["notes.txt", "1999-01-01.txt", "1999-99-99.jsonl", "1999-01-01.jsonl.gz"]
    for name in others:
        (folder / name).write_text("mine")
    for old in ("1999-01-01.jsonl", "1999-01-02.jsonl"):
        (folder / old).write_text("old\n")
    clock = Clock()
    writer = open_writer(clock, keep_days=1)
    for day in range(3):
        clock.now = day * DAY_S
        writer.write(note(day, START_S + day * DAY_S))
        writer.flush()
    writer.close()
    assert {path.name for path in folder.iterdir() if ".summary" not in path.name} == {
        *(*others, ".lock", ".running-days"),
        *("2026-11-22.jsonl", "2026-11-23.jsonl"),
    }


@pytest.mark.parametrize("moment", ["write", "fsync", "close"])
def test_a_signal_in_the_middle_of_writing_loses_and_doubles_nothing(
    open_writer, folder, monkeypatch, moment
):
    writer = open_writer(flush_s=0)
    writer.write(note(0))
    writer.flush()
    real = getattr(os, moment)

    def interrupted(*arguments):
        monkeypatch.setattr(os, moment, real)
        real(*arguments)
        raise KeyboardInterrupt

    writer.write(note(1))
    writer.write(note(2))
    monkeypatch.setattr(os, moment, interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.flush()
    writer.write(note(3))
    writer.close()
    assert numbers(folder) == [0, 1, 2, 3]


def test_a_disk_that_hangs_holds_up_nobody(folder, monkeypatch):
    let_go, fsync = Event(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (let_go.wait(60), fsync(descriptor)))
    sink = JournalSink(JournalWriter(folder, JournalLimits(flush_s=0), zone=UTC))
    for number in range(100):
        sink.handle(note(number))
    assert not let_go.is_set()
    let_go.set()
    sink.close()
    assert numbers(folder) == list(range(100))


def test_an_event_is_written_in_time_although_no_other_comes(folder):
    sink = JournalSink(JournalWriter(folder, JournalLimits(flush_s=0.01), zone=UTC))
    sink.handle(note(1))
    deadline_s = time.monotonic() + PATIENCE_S
    while numbers(folder) != [1]:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    sink.close()


def test_an_event_that_can_not_be_written_costs_no_other(folder, caplog):
    sink = JournalSink(JournalWriter(folder, zone=UTC))
    for event in (note(1), Gap(moment(START_S), object(), "no number"), note(3)):
        sink.handle(event)
    with pytest.raises(TypeError):
        sink.close()
    assert numbers(folder) == [1, 3]
    assert "could not be written to the journal" in caplog.text


def test_a_half_written_line_is_cut_off_at_start(open_writer, folder, caplog):
    writer = open_writer()
    for number in range(3):
        writer.write(note(number))
    writer.close()
    path = folder / "2026-11-21.jsonl"
    whole = path.read_bytes()
    last_line = len(whole) // 3
    for cut in range(1, last_line + 1):
        path.write_bytes(whole[:-cut])
        writer = open_writer()
        assert f"line of {last_line - cut} bytes" in caplog.text or cut == last_line
        caplog.clear()
        writer.write(note(9))
        writer.close()
        assert numbers(folder) == [0, 1, 9]


def test_what_a_power_cut_leaves_without_any_newline_is_cut_off(open_writer, folder, caplog):
    folder.mkdir(parents=True)
    (folder / "2026-11-20.jsonl").write_bytes(b"\0" * 200_000)
    writer = open_writer()
    assert "line of 200000 bytes" in caplog.text
    writer.write(note(1))
    writer.close()
    assert numbers(folder) == [1]


def test_a_removed_file_or_folder_is_made_again(open_writer, folder):
    writer = open_writer()
    writer.write(note(1))
    writer.flush()
    (folder / "2026-11-21.jsonl").unlink()
    writer.write(note(2))
    writer.flush()
    assert numbers(folder) == [2]


def test_a_second_process_is_told_who_holds_the_journal(open_writer, folder):
    open_writer()
    code = f"""
import os, pathlib
from undertone.errors import JournalError
from undertone.journal.writer import JournalWriter
try:
    JournalWriter(pathlib.Path({str(folder)!r}))
except JournalError as error:
    print(error, end="")
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    holder = (folder / ".lock").read_text().strip()
    assert f"process {holder}" in told.stdout
    assert str(folder) in told.stdout
    assert "--journal" in told.stdout


def test_a_folder_that_can_not_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="--journal"):
        JournalWriter(tmp_path / "file" / "journal")


def test_each_line_is_one_object(open_writer, folder):
    writer = open_writer()
    writer.write(Gap(moment(START_S), 1, "two\nlines"))
    writer.close()
    (line,) = (folder / "2026-11-21.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "two\nlines"
