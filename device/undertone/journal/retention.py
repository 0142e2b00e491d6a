"""Decides which files of a journal to remove; a wrong clock makes none of them old.

A file is removed for its age only if two clocks agree.  The calendar alone is not trusted: a
machine whose clock is years ahead for a minute would lose everything.  So the journal also counts
the days on which it ran, which no wrong clock can speed up.
"""

import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from undertone.journal.files import JournalFile, replace_file

_DAY_S = 86_400
_MB = 2**20
_LARGEST_BYTES = 2**20
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, its size, and the running day on which an event of its date was last written."""

    file: JournalFile
    size_bytes: int
    written: int


@dataclass(frozen=True, slots=True)
class Removal:
    """Files to remove, and the reason."""

    files: Sequence[JournalFile]
    reason: str

    @property
    def dates(self) -> str:
        """Their dates, each once, separated by commas."""
        return ", ".join(dict.fromkeys(str(file.day) for file in self.files))


def due(
    files: Iterable[StoredFile],
    today: date,
    running_day: int,
    *,
    keep_days: int,
    keep_mb: float,
    clock_is_trusted: Callable[[], bool],
) -> list[Removal]:
    """Which of the closed ``files`` to remove.

    By age: each that is more than ``keep_days`` old both by the calendar and by the count of
    running days, and each as far in the future, which a wrong clock has written; none if the clock
    is not trusted, which is checked only if there are such files.  By size: those that were written
    longest ago, until the others have at most ``keep_mb``.
    """
    kept = sorted(files, key=lambda one: (one.written, one.file))
    old = {
        one
        for one in kept
        if running_day - one.written > keep_days and abs(today - one.file.day).days > keep_days
    }
    if old and not clock_is_trusted():
        old = set()
    aged = [one.file for one in kept if one in old]
    kept = [one for one in kept if one not in old]
    excess = sum(one.size_bytes for one in kept) - keep_mb * _MB
    large = []
    for one in kept:
        if excess <= 0:
            break
        large.append(one.file)
        excess -= one.size_bytes
    removals = (
        Removal(aged, f"older than journal_keep_days ({keep_days})"),
        Removal(large, f"beyond journal_keep_mb ({keep_mb:g})"),
    )
    return [removal for removal in removals if removal.files]


class _Count(msgspec.Struct):
    """What is stored: the running day, the date on which it began, and when dates were written."""

    running_day: int = 0
    began: date | None = None
    written: dict[date, int] = {}


class RunningDays:
    """Counts the days on which a journal is written, and records when each date last was.

    24 hours of running are a running day, even if the date changes meanwhile; so is a run that
    begins on another date than the previous running day.  A date that is not in the count, because
    the count was lost or is newer than the file, is taken for the current one.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Store the count in ``path``; ``clock`` gives seconds that never jump."""
        self._path = path
        self._clock = clock
        self._counted_s: float | None = None  # when the running day began, in this run
        self._count = _Count()

    def load(self, dates: Iterable[date]) -> None:
        """Continue from the stored count; the journal has files of ``dates``."""
        self._counted_s, self._count = None, _Count()
        with suppress(OSError, ValueError, RecursionError), self._path.open("rb") as stored:
            self._count = msgspec.json.decode(stored.read(_LARGEST_BYTES), type=_Count)
        self.keep(dates)

    @property
    def today(self) -> int:
        """The current running day."""
        return self._count.running_day

    def written(self, day: date) -> int:
        """The running day on which an event of the date ``day`` was last written."""
        return self._count.written.get(day, self.today)

    def keep(self, dates: Iterable[date]) -> None:
        """Forget all dates but these."""
        self._count.written = {day: self.written(day) for day in dates}

    def note(self, day: date) -> None:
        """Record that an event of the date ``day`` has just been written."""
        now_s = self._clock()
        if self._counted_s is None:
            self._counted_s = now_s
            passed = int(day != self._count.began)
        else:
            passed = int((now_s - self._counted_s) // _DAY_S)
            self._counted_s += passed * _DAY_S
        if passed:
            self._count.running_day += passed
            self._count.began = day
        if self._count.written.get(day) != self.today:
            self._count.written[day] = self.today
            with suppress(OSError):  # then files are only kept for longer
                replace_file(self._path, msgspec.json.encode(self._count))


def clock_is_trusted() -> bool:
    """Whether ``timedatectl`` does not report an unsynchronised clock; True if it is missing."""
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        answer = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE_S, start_new_session=True
        )
    except FileNotFoundError:
        return True
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() != b"no"
