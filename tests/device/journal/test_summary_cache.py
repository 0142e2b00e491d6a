"""The stored summaries: used where they fit their file, and never trusted where they don't."""

import errno
import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from undertone.events import SegmentEnded, Verdict
from undertone.journal import summary_cache
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.writer import JournalWriter

START_S = datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()
DAY_S = 86_400
DAYS = 3
PATIENCE_S = 60.0


def heard(number):
    verdict = Verdict.of({"happy": 0.6, "sad": 0.4})
    return SegmentEnded.of(START_S + number * 3600, 1.0, -20.0, verdict, "m", "0")


@pytest.fixture
def journal(tmp_path):
    """Twelve segments on each of three days, of which the last is still open."""
    writer = JournalWriter(tmp_path, JournalLimits(), zone=UTC, report=print)
    for day in range(DAYS):
        for hour in range(12):
            writer.write(heard(24 * day + hour))
    writer.close()
    deadline_s = time.monotonic() + PATIENCE_S
    while len(list(tmp_path.glob(".*.summary"))) < DAYS - 1:  # they are made in the background
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    return tmp_path


@pytest.fixture
def closed(journal):
    """The file of the first day."""
    return journal / "2026-11-21.jsonl"


def hide(file):
    """Make every line of ``file`` unreadable, with its size and time of change as they were."""
    before = file.stat()
    file.write_bytes(b"x" * (before.st_size - 1) + b"\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def segments(journal, **span):
    return JournalReader(journal, **span).summary().segments


def test_a_closed_file_is_not_read_again(journal, closed):
    whole = JournalReader(journal).summary()
    hide(closed)
    assert JournalReader(journal).summary() == whole
    assert whole.segments == 12 * DAYS


def test_a_file_is_summed_up_while_the_journal_is_written(tmp_path, monkeypatch):
    done, summed = Event(), []
    store = summary_cache.store

    def slowly(file):
        done.wait(60)
        store(file)
        summed.append(file)

    monkeypatch.setattr(summary_cache, "store", slowly)
    writer = JournalWriter(tmp_path, zone=UTC, report=print)
    for day in range(DAYS):
        writer.write(heard(24 * day))
        writer.flush()
        assert segments(tmp_path) == day + 1
    writer.close()
    assert summed == []
    done.set()
    deadline_s = time.monotonic() + PATIENCE_S
    while not summed:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def test_it_says_the_same_as_the_lines(journal):
    stored = JournalReader(journal).summary()
    for path in journal.glob(".*.summary"):
        path.unlink()
    assert JournalReader(journal).summary() == stored


def test_its_owner_and_group_alone_may_read_it(closed):
    assert stat.S_IMODE(summary_cache.path_of(closed).stat().st_mode) == 0o640


def test_the_open_file_has_none(journal):
    assert [path.name for path in sorted(journal.glob(".*.summary"))] == [
        ".2026-11-21.jsonl.summary",
        ".2026-11-22.jsonl.summary",
    ]


def test_part_of_a_day_is_counted_line_by_line(journal):
    assert segments(journal, since_s=START_S + 6 * 3600) == 12 * DAYS - 6
    assert segments(journal, until_s=START_S + 2 * DAY_S + 3600) == 25


def test_of_a_file_that_has_grown_it_is_not_used(journal, closed):
    with closed.open("ab") as file:
        file.write(closed.read_bytes().splitlines(keepends=True)[0])
    assert segments(journal) == 12 * DAYS + 1


def test_of_a_file_that_was_changed_it_is_not_used(journal, closed):
    os.utime(closed, ns=(0, 0))
    hidden = closed.stat()
    hide(closed)
    assert closed.stat().st_mtime_ns == hidden.st_mtime_ns
    totals = JournalReader(journal).summary()
    assert (totals.segments, totals.damaged) == (12 * (DAYS - 1), 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: b"",
        lambda stored: stored[:-1],
        lambda stored: stored.replace(b"12", b"13", 1),
        lambda stored: stored.replace(b"2026-11-21T08", b"2026-11-21T99", 1),
        lambda stored: stored.replace(b"2026-11-21T08", b"tomorrow", 1),
        lambda stored: stored.replace(b'"version":5', b'"version":4'),
        lambda stored: stored.replace(b'"gaps":0', b'"gaps":-1'),
        lambda stored: stored.replace(b'"gaps":0', b'"gaps":"many"'),
        lambda stored: json.dumps(json.loads(stored) | {"new": 1}).encode(),
        lambda stored: b"[" * 100_000,
        lambda stored: b"\xff" * 100,
    ],
)
def test_one_that_is_damaged_is_not_used(journal, closed, change):
    path = summary_cache.path_of(closed)
    changed = change(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert summary_cache.load(closed) is None
    assert segments(journal) == 12 * DAYS


def test_a_folder_that_can_not_be_written_costs_only_time(journal, closed, monkeypatch):
    def refusing(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    summary_cache.path_of(closed).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refusing)
        summary_cache.store(closed)
    assert not any(path.name.endswith(".part") for path in journal.iterdir())
    assert summary_cache.load(closed) is None
    assert segments(journal) == 12 * DAYS
