"""The journal on disks that fail for real, and under processes that are killed."""

import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count

import pytest

from undertone.errors import JournalError
from undertone.events import DiskRefused, EventsLost, Gap, moment
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.writer import JournalWriter

START_S = datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp()
LINE_BYTES = 1000


def note(number):
    """An event that is identified by its number, in a line of a little over 1,000 bytes."""
    return Gap(moment(START_S + number), number, "x" * LINE_BYTES)


def numbers(folder):
    return [record.lost_samples for record in JournalReader(folder) if isinstance(record, Gap)]


class Journal:
    """A writer that tries at every tick, with what it reported."""

    def __init__(self, folder, **limits):
        self.reports = []
        self.writer = JournalWriter(
            folder,
            JournalLimits(flush_s=0, **limits),
            clock=count().__next__,
            zone=UTC,
            report=self.reports.append,
        )

    def write(self, *numbers):
        for number in numbers:
            self.writer.write(note(number))
            self.writer.tick()


EVENTS_A_SECOND = 20


def write_until_killed(folder, first, told, flush_s):
    """Write events forever, each a twentieth of a second of simulated time after the last."""
    number = first
    limits = JournalLimits(flush_s=flush_s, max_mb=0.01)
    writer = JournalWriter(folder, limits, clock=lambda: number / EVENTS_A_SECOND, zone=UTC)
    while True:
        writer.write(Gap(moment(START_S + number / EVENTS_A_SECOND), number, "x" * (number % 500)))
        writer.tick()
        os.write(told, b"%d\n" % number)
        number += 1


def killed_writer(folder, first, told_bytes, flush_s):
    """Let a child process write and kill it with -9; return the last event that it reported."""
    told, telling = os.pipe()
    child = os.fork()
    if not child:
        try:
            write_until_killed(folder, first, telling, flush_s)
        finally:
            os._exit(1)
    os.close(telling)
    with os.fdopen(told, "rb") as stream:
        progress = stream.read(told_bytes)
        os.kill(child, signal.SIGKILL)
        progress += stream.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    whole = progress[: progress.rfind(b"\n") + 1]
    return max(map(int, whole.split()), default=first - 1)


@pytest.mark.parametrize("journal", range(4))
@pytest.mark.parametrize("flush_s", [0.0, 5.0])
def test_killed_at_any_time_it_loses_no_more_than_its_bound_and_doubles_nothing(
    tmp_path, flush_s, journal
):
    chance = random.Random(f"{flush_s} {journal}")
    first = 0
    for _ in range(20):
        last = killed_writer(tmp_path, first, chance.randrange(400), flush_s)
        reader = JournalReader(tmp_path)
        kept = [record.lost_samples for record in reader]
        assert kept == list(range(len(kept)))
        assert reader.damaged == 0
        assert JournalReader(tmp_path).summary().gaps == len(kept)
        assert last - (len(kept) - 1) <= flush_s * EVENTS_A_SECOND
        first = len(kept)


FILE_LIMIT = """
import resource, sys
from pathlib import Path
from undertone.events import Gap, moment
from undertone.journal.limits import JournalLimits
from undertone.journal.reader import JournalReader
from undertone.journal.writer import JournalWriter

folder = Path(sys.argv[1])
writer = JournalWriter(folder, JournalLimits(flush_s=0), report=lambda told: print(told))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, most))
for number in range(10):
    writer.write(Gap(moment(1795248000.0), number, "x" * 1000))
    writer.tick()
    size = (folder / "2026-11-21.jsonl").stat().st_size
    assert size <= 2500, size
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
writer.tick()
writer.close()
"""


def test_a_write_that_is_cut_short_leaves_no_half_line(tmp_path):
    """The file may not grow beyond the middle of its third line, then it may."""
    told = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(tmp_path)],
        env=os.environ | {"TZ": "UTC"},
        capture_output=True,
        text=True,
    )
    assert told.stderr == ""
    assert len(told.stdout.splitlines()) == 2  # begun, ended
    reader = JournalReader(tmp_path)
    assert numbers(tmp_path) == list(range(10))
    assert [record.kind for record in reader].count("disk-refused") == 1
    assert reader.damaged == 0


@pytest.fixture
def card(tmp_path):
    """A file system of 64 KiB."""
    path = tmp_path / "card"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield path
    subprocess.run(["umount", path], check=True)


@contextmanager
def full(card):
    filler = card / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(card)
        file.write(b"x" * (free.f_bavail * free.f_bsize))
    yield
    filler.unlink()


@contextmanager
def read_only(card):
    subprocess.run(["mount", "-o", "remount,ro", card], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", card], check=True)


@pytest.mark.parametrize(
    ("trouble", "reason"), [(full, "No space left"), (read_only, "Read-only file system")]
)
class TestACardThatRefuses:
    def test_is_reported_once_and_nothing_is_lost(self, card, trouble, reason):
        journal = Journal(card / "journal")
        journal.write(0, 1)
        with trouble(card):
            journal.write(*range(2, 10))
            assert reason in journal.writer.problem
            assert numbers(card / "journal") == list(range(len(numbers(card / "journal"))))
        journal.write(10)
        assert journal.writer.problem is None
        begun, ended = journal.reports
        assert reason in begun
        assert "again" in ended
        journal.writer.close()
        assert numbers(card / "journal") == list(range(11))
        records = list(JournalReader(card / "journal"))
        (refused,) = [event for event in records if isinstance(event, DiskRefused)]
        waited = records[records.index(refused) + 1]
        assert refused.time.timestamp() == waited.time.timestamp()
        assert waited.lost_samples >= 2
        assert reason in refused.reason

    def test_what_is_too_much_to_keep_is_counted(self, card, trouble, reason):
        journal = Journal(card / "journal", pending_events=5)
        journal.write(0)
        with trouble(card):
            journal.write(*range(1, 20))
        journal.write(20)
        journal.writer.close()
        kept = numbers(card / "journal")
        (lost,) = [
            record for record in JournalReader(card / "journal") if isinstance(record, EventsLost)
        ]
        assert len(kept) + lost.lost_events == 21
        assert kept[-5:] == [16, 17, 18, 19, 20]
        assert lost.time.timestamp() == START_S + 15
        assert reason in lost.reason

    def test_at_start_it_listens_and_writes_later(self, card, trouble, reason):
        with trouble(card):
            journal = Journal(card / "journal")
            journal.write(0, 1)
            assert reason in journal.writer.problem
        journal.write(2)
        journal.writer.close()
        assert numbers(card / "journal") == [0, 1, 2]

    def test_at_the_end_the_loss_is_reported(self, card, trouble, reason):
        journal = Journal(card / "journal")
        journal.write(0)
        with trouble(card):
            journal.write(*range(1, 5))
            left = 5 - len(numbers(card / "journal"))
            with pytest.raises(JournalError, match=rf"{reason}.*last {left} events"):
                journal.writer.close()
        after = Journal(card / "journal")
        after.write(9)
        after.writer.close()
        assert numbers(card / "journal") == [*range(5 - left), 9]

    def test_a_partial_line_on_it_is_removed_later(self, card, trouble, reason):
        journal = Journal(card / "journal")
        journal.write(0, 1)
        journal.writer.close()
        path = card / "journal" / "2026-11-21.jsonl"
        os.truncate(path, path.stat().st_size - 10)
        with trouble(card):
            journal = Journal(card / "journal")
            journal.write(2)
        journal.write(3)
        journal.writer.close()
        assert numbers(card / "journal") == [0, 2, 3]
