"""What a journal's limits delete, and what they never do, whatever the clock says."""

import errno
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from undertone.events import DaysRemoved, Gap, moment
from undertone.journal.files import JournalFile
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.retention import RunningDays, StoredFile, clock_is_trusted, due
from undertone.journal.writer import JournalWriter

DAY_S = 86_400
MB = 2**20
START_S = datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()
TODAY = date(2026, 11, 21)


def removed(files, *, keep_days=400, keep_mb=1024.0, trusted=True, running_day=1000):
    removals = due(
        files,
        TODAY,
        running_day,
        keep_days=keep_days,
        keep_mb=keep_mb,
        clock_is_trusted=lambda: trusted,
    )
    return [file for removal in removals for file in removal.files]


stored_files = st.lists(
    st.builds(
        StoredFile,
        st.builds(JournalFile.at, st.just(Path()), st.dates(date(1970, 1, 1)), st.integers(0, 3)),
        st.integers(0, 10 * MB),
        st.integers(0, 1000),
    ),
    unique_by=lambda one: one.file,
    max_size=20,
)
limits = st.fixed_dictionaries(
    {"keep_days": st.integers(1, 900), "keep_mb": st.floats(0.001, 100), "trusted": st.booleans()}
)


@given(stored_files, limits)
def test_only_what_a_limit_names_goes_and_nothing_goes_early(files, limits):
    gone = removed(files, **limits)
    assert len(set(gone)) == len(gone)
    kept = [one for one in files if one.file not in gone]
    keep_bytes = limits["keep_mb"] * MB
    assert sum(one.size_bytes for one in kept) <= keep_bytes
    for one in files:
        by_age = limits["trusted"] and (
            1000 - one.written > limits["keep_days"]
            and abs(TODAY - one.file.day).days > limits["keep_days"]
        )
        if by_age:
            assert one.file in gone
        elif one.file in gone:  # with it and what was written later there was too much
            later = [
                other
                for other in files
                if other in kept or (other.written, other.file) >= (one.written, one.file)
            ]
            assert sum(other.size_bytes for other in later) > keep_bytes


@given(stored_files)
def test_what_was_written_lately_goes_by_no_date(files):
    gone = removed(files, keep_days=400, running_day=400)
    assert gone == []


def test_a_clock_is_only_asked_when_something_is_old():
    def asked():
        raise AssertionError

    assert due([], TODAY, 9, keep_days=1, keep_mb=1, clock_is_trusted=asked) == []


# a journal over many days


class World:
    """A clock on the wall that can be wrong, one that can't, and a journal."""

    def __init__(self, folder, **limits):
        self.folder = folder
        self.limits = JournalLimits(flush_s=0, **limits)
        self.steady_s = 0.0
        self.wall_s = START_S
        self.trusted = True
        self.number = 0
        self.begin()

    def begin(self):
        self.writer = JournalWriter(
            self.folder,
            self.limits,
            clock=lambda: self.steady_s,
            zone=UTC,
            wall_clock=lambda: self.wall_s,
            trusted=lambda: self.trusted,
        )

    def restart(self):
        self.writer.close()
        self.begin()

    def listen(self, days=1.0):
        """An event, and time goes by."""
        self.writer.write(Gap(moment(self.wall_s), self.number, "x" * 1000))
        self.writer.tick()
        self.number += 1
        self.wall_s += days * DAY_S
        self.steady_s += days * DAY_S

    def heard(self):
        return [
            record.lost_samples for record in JournalReader(self.folder) if isinstance(record, Gap)
        ]

    def said(self):
        return [
            (record.days, record.reason)
            for record in JournalReader(self.folder)
            if isinstance(record, DaysRemoved)
        ]

    def days(self):
        return sorted(path.name[:10] for path in self.folder.glob("*.jsonl"))


@pytest.fixture
def world(tmp_path):
    worlds = []

    def world(**limits):
        worlds.append(World(tmp_path / "journal", **limits))
        return worlds[-1]

    yield world
    for one in worlds:
        one.writer.close()


@pytest.mark.parametrize("restarts", [False, True])
def test_old_days_are_removed_one_by_one_and_recorded(world, restarts):
    a = world(keep_days=3)
    for _ in range(10):
        a.listen()
        if restarts:
            a.restart()
    assert a.days() == [f"2026-11-{day}" for day in (27, 28, 29, 30)]
    assert a.heard() == [6, 7, 8, 9]
    assert a.said() == [
        (f"2026-11-{day}", "older than journal_keep_days (3)") for day in (23, 24, 25, 26)
    ]


def test_a_clock_that_is_years_ahead_over_two_dates_removes_nothing(world):
    a = world(keep_days=3)
    for _ in range(4):
        a.listen()
    right_s = a.wall_s
    a.wall_s = datetime(2045, 1, 1, 23, 59, 45, tzinfo=UTC).timestamp()
    a.listen(30 / DAY_S)
    a.listen(30 / DAY_S)
    assert a.days()[-2:] == ["2045-01-01", "2045-01-02"]
    a.wall_s = right_s
    a.listen()
    a.listen()
    assert a.heard() == [2, 3, 6, 7, 4, 5]  # two were old enough by both clocks
    assert {days for days, _ in a.said()} == {"2026-11-21", "2026-11-22"}
    for _ in range(5):
        a.listen()
    assert not any(day.startswith("2045") for day in a.days())  # as old as their neighbours
    assert a.heard() == [9, 10, 11, 12]


def test_events_dated_long_ago_stay_as_long_as_others(world):
    a = world(keep_days=3)
    a.wall_s, right_s = 0.0, a.wall_s  # the clock is not set yet
    a.listen(60 / DAY_S)
    a.wall_s = right_s
    for _ in range(4):
        a.listen()
    assert a.heard() == [0, 1, 2, 3, 4]
    a.listen()
    assert "1970-01-01" not in a.days()


def test_a_clock_that_is_not_synchronised_takes_nothing(world):
    a = world(keep_days=3)
    a.trusted = False
    for _ in range(10):
        a.listen()
    assert a.heard() == list(range(10))
    a.trusted = True
    a.listen()
    assert a.heard() == [7, 8, 9, 10]
    assert a.said() == [
        (", ".join(f"2026-11-{day}" for day in range(21, 28)), "older than journal_keep_days (3)")
    ]


def test_restarts_on_one_date_count_for_nothing(world):
    a = world(keep_days=2)
    a.listen()
    for _ in range(5):
        a.listen(0.01)
        a.restart()
    a.wall_s += 100 * DAY_S  # switched off
    a.listen()
    assert a.heard() == list(range(7))


def test_a_count_that_is_lost_deletes_nothing_early(world):
    a = world(keep_days=3)
    for content in (b"", b"{", b"[" * 100_000, b'{"running_day":"many"}', None):
        for _ in range(3):
            a.listen()
        a.writer.close()
        (a.folder / ".running-days").unlink()
        if content is not None:
            (a.folder / ".running-days").write_bytes(content)
        a.begin()
    assert a.heard() == list(range(15))
    for _ in range(6):
        a.listen()
    assert a.heard() == [17, 18, 19, 20]


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("listen"), st.floats(0.01, 3)),
            st.tuples(st.just("clock"), st.floats(-9000, 9000, allow_subnormal=False)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        min_size=5,
        max_size=40,
    ),
    st.integers(1, 4),
)
def test_no_clock_takes_what_was_written_within_the_last_days_of_running(
    tmp_path_factory, steps, keep_days
):
    """A restart counts as a day at most, and nothing else does but a day."""
    a = World(tmp_path_factory.mktemp("journal"), keep_days=keep_days)
    written = []  # running days so far, when each event was written
    restarts = 0
    for step, amount in steps:
        if step == "listen":
            written.append(a.steady_s / DAY_S + restarts)
            a.listen(amount)
        elif step == "clock":
            a.wall_s = max(0.0, a.wall_s + amount * DAY_S)
        else:
            a.restart()
            restarts += 1
        now = a.steady_s / DAY_S + restarts
        lately = {number for number, day in enumerate(written) if now - day <= keep_days}
        assert lately <= {*a.heard()}
    a.writer.close()


@pytest.mark.parametrize("keep_mb", [0.02, 0.021, 0.03])
def test_a_whole_that_may_be_no_larger_than_one_file_keeps_what_fits(world, keep_mb):
    a = world(max_mb=0.02, keep_mb=keep_mb)  # a day has a third of that
    for _ in range(10):
        for _ in range(6):
            a.listen(0.01)
        a.wall_s += 0.94 * DAY_S
        size = sum(path.stat().st_size for path in a.folder.glob("*.jsonl"))
        assert size <= (keep_mb + 0.02) * MB
    assert len(a.days()) >= 4  # all but today's fit
    heard = a.heard()
    assert heard == list(range(heard[0], 60))
    assert all(reason == f"beyond journal_keep_mb ({keep_mb:g})" for _, reason in a.said())


def test_a_file_is_no_larger_than_the_whole_may_be(world):
    a = world(max_mb=50, keep_mb=0.01)
    for _ in range(100):
        a.listen(0.001)
        sizes = [path.stat().st_size for path in a.folder.glob("*.jsonl")]
        assert max(sizes) <= 0.01 * MB
        assert sum(sizes) <= 2 * 0.01 * MB
    heard = a.heard()
    assert heard == list(range(heard[0], 100))
    assert len(heard) >= 9


def test_a_removal_is_recorded_before_it_happens(world, monkeypatch):
    a = world(keep_days=1)
    said = []
    unlink = os.unlink

    def watched(path, **others):
        if str(path).endswith(".jsonl"):
            said.append((str(path)[:10], a.said()[-1][0]))
        unlink(path, **others)

    monkeypatch.setattr(os, "unlink", watched)
    for _ in range(5):
        a.listen()
    assert said == [(f"2026-11-{day}",) * 2 for day in (21, 22, 23)]


def test_the_note_of_a_removal_belongs_to_no_recording_and_counts_as_no_listening(tmp_path):
    for day in range(3):
        writer = JournalWriter(
            tmp_path,
            JournalLimits(keep_days=1),
            zone=UTC,
            recording_day=TODAY + timedelta(day),
            wall_clock=lambda day=day: START_S + day * DAY_S,
            trusted=lambda: True,
        )
        writer.write(Gap(moment(0.0), day, "a recording"))
        writer.close()
    (record,) = JournalReader(tmp_path)
    assert (record.days, record.time.date()) == (str(TODAY), TODAY + timedelta(2))
    assert JournalReader(tmp_path).summary().first is None
    recorded = [record.lost_samples for record in JournalReader(tmp_path, recordings=True)]
    assert recorded == [1, 2]


def test_what_can_not_be_recorded_is_not_removed(world, monkeypatch):
    a = world(keep_days=1)
    for _ in range(2):
        a.listen()
    write = os.write

    def refusing(descriptor, data):
        if b"days-removed" in bytes(data):
            write(descriptor, data[:20])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refusing)
        for _ in range(2):
            a.listen()
        assert a.heard() == [0, 1, 2, 3]
        assert a.said() == []
    a.listen()
    assert a.heard() == [3, 4]
    assert a.said() == [("2026-11-21, 2026-11-22, 2026-11-23", "older than journal_keep_days (1)")]
    assert JournalReader(a.folder).summary().damaged == 0


# the clock


@pytest.mark.parametrize(
    ("script", "trusted"),
    [
        ("echo yes", True),
        ("echo no", False),
        ("echo 'System has not been booted with systemd' >&2; exit 1", True),
        ("exec sleep 60", False),
        (None, True),
    ],
)
def test_a_clock_is_trusted_unless_timedatectl_calls_it_unsynchronised(
    tmp_path, monkeypatch, script, trusted
):
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        program = tmp_path / "timedatectl"
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        program.chmod(0o755)
    assert clock_is_trusted() is trusted


def test_running_days_are_kept_by_the_day(tmp_path):
    now_s = 0.0
    days = RunningDays(tmp_path / "days", lambda: now_s)
    days.note(TODAY)
    assert days.today == 1
    now_s = 2.5 * DAY_S
    days.note(TODAY)
    assert days.today == 3
    days.note(TODAY + timedelta(1))
    again = RunningDays(tmp_path / "days", lambda: now_s)
    again.load([TODAY, TODAY + timedelta(1)])
    assert (again.today, again.written(TODAY + timedelta(1))) == (3, 3)
