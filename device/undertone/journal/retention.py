"""Which files of a journal have to go, and how old they are whatever the clock says.

A file goes by its age only when two clocks agree.  The calendar alone is not believed: a machine
whose clock is years ahead for a minute would lose everything.  So the journal also counts the
days on which it ran, which no wrong clock can hasten.
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
    """One file, its size, and the running day on which something of its day was last written."""

    file: JournalFile
    size_bytes: int
    written: int


@dataclass(frozen=True, slots=True)
class Removal:
    """Files that have to go, and why."""

    files: Sequence[JournalFile]
    reason: str

    @property
    def dates(self) -> str:
        """Their days, each once, with commas between them."""
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
    """What of the closed ``files`` has to go.

    By age: each whose day the calendar and the count of running days both put further back than
    ``keep_days``, and each as far ahead, which a wrong clock has written; none where ``today``
    itself is not to be trusted, which is asked only then.  By size: those that were written
    longest ago, until the others have ``keep_mb`` at most.
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
    """What is stored: the running day, the date on which it began, and when days were written."""

    running_day: int = 0
    began: date | None = None
    written: dict[date, int] = {}


class RunningDays:
    """Counts the days on which a journal is written, and remembers when each date last was.

    A day of running is a running day, however the date changes meanwhile; so is a run that begins
    on another date than the running day before it.  A date that the count doesn't know, because
    its file is lost or older than the count, is as young as the count itself.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Kept in ``path``; ``clock`` gives seconds that never jump."""
        self._path = path
        self._clock = clock
        self._counted_s: float | None = None  # when the running day began, in this run
        self._count = _Count()

    def load(self, dates: Iterable[date]) -> None:
        """Go on with what is stored; the journal has files of ``dates``."""
        self._counted_s, self._count = None, _Count()
        with suppress(OSError, ValueError, RecursionError), self._path.open("rb") as stored:
            self._count = msgspec.json.decode(stored.read(_LARGEST_BYTES), type=_Count)
        self.keep(dates)

    @property
    def today(self) -> int:
        """The running day."""
        return self._count.running_day

    def written(self, day: date) -> int:
        """The running day on which something of the date ``day`` was last written."""
        return self._count.written.get(day, self.today)

    def keep(self, dates: Iterable[date]) -> None:
        """Forget all dates but these."""
        self._count.written = {day: self.written(day) for day in dates}

    def note(self, day: date) -> None:
        """Something of the date ``day`` has just been written."""
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
            with suppress(OSError):  # then what is kept is kept for longer
                replace_file(self._path, msgspec.json.encode(self._count))


def clock_is_trusted() -> bool:
    """Whether ``timedatectl`` doesn't call the clock unsynchronised; also where there is none."""
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
