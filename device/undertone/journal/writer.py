"""Writes a journal in batches, under a lock, and keeps going while the disk refuses to write."""

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import islice
from pathlib import Path
from threading import Thread

from undertone.errors import JournalError
from undertone.events import DaysRemoved, DiskRefused, Event, EventsLost, moment
from undertone.journal import summary_cache
from undertone.journal.files import JournalFile, journal_files, last_line_end
from undertone.journal.format import placed, to_line
from undertone.journal.limits import JournalLimits
from undertone.journal.lock import acquire, is_held
from undertone.journal.retention import RunningDays, StoredFile, clock_is_trusted, due
from undertone.support.regular_file import open_regular, regular_descriptor

_log = logging.getLogger(__name__)

SUMMARY_THREAD = "journal summaries"
"""The name of the thread that sums up a closed file."""

_MB = 2**20
_BATCH_BYTES = 64 * 1024
"""Bytes per write: a nearly full disk may accept in parts what it refuses as a whole."""

_RETRY_S = 1.0
"""The least time between a refused write and the next attempt."""

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""Errors of the disk, which may pass; any other error at the start is a mistake of the user's."""


@dataclass(frozen=True, slots=True)
class _Line:
    time: datetime
    day: date
    data: bytes


class JournalWriter:
    """Appends events to the files in ``folder``, to which no other process may write meanwhile.

    A full or read-only disk raises no error: events wait in memory, the oldest are dropped and
    counted if there are too many, and writing resumes as soon as possible.
    """

    def __init__(
        self,
        folder: Path,
        limits: JournalLimits | None = None,
        *,
        recording_day: date | None = None,
        demonstration: bool = False,
        clock: Callable[[], float] = time.monotonic,
        zone: tzinfo | None = None,
        report: Callable[[str], None] = _log.warning,
        wall_clock: Callable[[], float] = time.time,
        trusted: Callable[[], bool] = clock_is_trusted,
    ) -> None:
        """``clock`` gives seconds that never go back; ``zone`` None is the local one.

        recording_day: the events belong to a recording that is listened to on this day; every
        line is marked so and goes to the files of this day, whatever its own time is.
        demonstration: that recording is the packaged sample, and every line is marked so too.
        ``report`` gets one sentence when the disk begins to refuse events and one when it accepts
        them again.  ``wall_clock`` gives POSIX seconds, and ``trusted`` says whether they are
        known to be wrong; both are called before old days are removed.

        Raises JournalError if the folder can't be created or another process writes to it.
        """
        self.folder = folder
        self.limits = limits or JournalLimits()
        self.problem: str | None = None
        """Why nothing can be written at the moment."""
        self._recording_day = recording_day
        self._demonstration = demonstration
        self._clock = clock
        self._zone = zone
        self._report = report
        self._wall_clock = wall_clock
        self._trusted = trusted
        self._lock: int | None = None  # a descriptor of the folder
        self._repaired = False
        self._running_days = RunningDays(folder / ".running-days", clock)
        self._pending: deque[_Line] = deque()
        self._lost = 0
        self._lost_at = moment(0)
        self._refused_since_s: float | None = None  # by the clock
        self._due: float | None = None  # when the next writing is due, by the clock
        self._unfinished: tuple[str, int] | None = None  # file, and its end before an attempt
        self._begun: JournalFile | None = None  # a new file: others may have to go
        self._summing = Thread()
        try:
            self._open()
        except OSError as error:
            if error.errno not in _PASSING:
                self._release()
                raise JournalError(
                    f"Can't write a journal in {error.filename or folder}: {error.strerror}; "
                    "choose another folder with --journal."
                ) from error
            self._fail(error)

    @property
    def wait_s(self) -> float | None:
        """Seconds until :meth:`tick` has something to do; None if no event is waiting."""
        return None if self._due is None else max(0.0, self._due - self._clock())

    def write(self, event: Event) -> None:
        """Queue one event; :meth:`tick` writes it to the disk."""
        day = self._recording_day or event.time.astimezone(self._zone).date()
        data = self._encoded(event)
        if len(self._pending) >= self.limits.pending_events:
            self._lost += 1
            self._lost_at = self._pending.popleft().time
        self._pending.append(_Line(event.time, day, data))
        if self._due is None:
            self._due = self._clock() + self.limits.flush_s

    def tick(self) -> None:
        """Write what has waited long enough; call it after :attr:`wait_s` at the latest."""
        if self._due is not None and self._clock() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write all waiting events to the disk; what it refuses is kept and tried again."""
        time.tzset()  # the device may have been carried to another time zone
        try:
            self._roll_back()
            self._open()
            while self._pending:
                self._write_batch()
            if self._begun:
                self._keep_limits(self._begun)
                self._begun = None
        except (OSError, JournalError) as error:
            with suppress(OSError):  # else a follower reads now what will be written again
                self._roll_back()
            self._fail(error)
            return
        self._due = self._refused_since_s = None
        if self.problem is not None:
            self.problem = None
            self._report(f"the journal in {self.folder} is being written again")

    def close(self) -> None:
        """Write all waiting events and release the lock; raises JournalError if any are lost."""
        try:
            if self._pending:
                self.flush()
            if self._pending:
                count = len(self._pending) + self._lost
                events = "event is" if count == 1 else f"{count} events are"
                raise JournalError(f"{self.problem}: the last {events} lost.")
        finally:
            self._release()

    def _open(self) -> None:
        """Create the folder, lock it and truncate partial lines, unless that is already done.

        The folder may have been deleted, or replaced by another, which has to be locked again.
        """
        if self._lock is not None and not is_held(self._lock, self.folder):
            self._release()
        if self._lock is None:
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = acquire(self.folder)
        if not self._repaired:
            files = journal_files(self.folder)
            for file in files:
                if cut := cut_partial_line(file.path):
                    _log.warning(
                        "%s: removed a partial line of %d bytes at the end", file.path, cut
                    )
            self._running_days.load(file.day for file in files)
            self._repaired = True

    def _release(self) -> None:
        self._repaired = False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _fail(self, error: Exception) -> None:
        reason = (isinstance(error, OSError) and error.strerror) or str(error).rstrip(".")
        if self.problem is None:
            self._report(
                f"can't write the journal in {self.folder}: {reason}; "
                "listening goes on, and events wait in memory"
            )
        self.problem = f"can't write the journal in {self.folder}: {reason}"
        now_s = self._clock()
        self._due = now_s + max(self.limits.flush_s, _RETRY_S)
        if self._refused_since_s is None:
            self._refused_since_s = now_s

    def _write_batch(self) -> None:
        """Write the oldest lines of one day, as many as fit into one batch."""
        day = self._pending[0].day
        batch = self._notes()
        size = sum(map(len, batch))
        batch_bytes = min(_BATCH_BYTES, self._file_bytes)
        count = 0
        for line in self._pending:
            if count and (line.day != day or size + len(line.data) > batch_bytes):
                break
            batch.append(line.data)
            size += len(line.data)
            count += 1
        file, is_new = self._file_for(day, size)
        self._append(file.path.name, b"".join(batch))
        if is_new:
            self._begun = file
        rest = deque(islice(self._pending, count, None))
        # In one statement: a signal's exception in between would lose events or repeat them.
        self._pending, self._unfinished = rest, None
        self._lost = 0
        self._refused_since_s = None
        self._running_days.note(day)

    @property
    def _file_bytes(self) -> int:
        return int(min(self.limits.max_mb, self.limits.keep_mb) * _MB)

    def _notes(self) -> list[bytes]:
        """Lines about what was lost or refused since the last batch that the disk accepted."""
        notes = []
        if self._lost:
            reason = self.problem or "more events than the memory kept for them"
            notes.append(self._encoded(EventsLost(self._lost_at, self._lost, reason)))
        if self.problem and self._refused_since_s is not None:
            refused_s = self._clock() - self._refused_since_s
            note = DiskRefused(self._pending[0].time, refused_s, self.problem)
            notes.append(self._encoded(note))
        return notes

    def _encoded(self, event: Event) -> bytes:
        of_source = not isinstance(event, DaysRemoved)
        of_recording = of_source and self._recording_day is not None
        of_demonstration = of_source and self._demonstration
        line = to_line(placed(event, self._zone, of_recording, of_demonstration))
        return line.encode() + b"\n"

    def _append(self, name: str, data: bytes) -> None:
        """Write ``data`` to the disk; until it has left the queue, :meth:`_roll_back` undoes it.

        The file is opened for each batch, in the locked folder: the file may have been removed, or
        the folder replaced.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        descriptor = regular_descriptor(name, flags, 0o640, dir_fd=self._lock)
        try:
            end = os.fstat(descriptor).st_size
            self._unfinished = (name, end)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not end and self._lock is not None:
            os.fsync(self._lock)  # a new file's name is on the disk only once its folder is

    def _roll_back(self) -> None:
        """Remove what a failed attempt left, so that no line is incomplete or repeated."""
        if self._unfinished:
            name, end = self._unfinished
            with suppress(FileNotFoundError):
                descriptor = regular_descriptor(
                    name, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=self._lock
                )
                try:
                    if os.fstat(descriptor).st_size > end:
                        os.ftruncate(descriptor, end)
                finally:
                    os.close(descriptor)
            self._unfinished = None

    def _file_for(self, day: date, size: int) -> tuple[JournalFile, bool]:
        """The newest file of ``day``, or a new one if that has no room for ``size`` bytes."""
        files = [file for file in journal_files(self.folder) if file.day == day]
        if files and files[-1].path.stat().st_size + size <= self._file_bytes:
            return files[-1], False
        return JournalFile.at(self.folder, day, files[-1].index + 1 if files else 0), True

    def _keep_limits(self, begun: JournalFile) -> None:
        """Remove what exceeds the limits now that ``begun`` exists, and summarise the rest.

        The removal is recorded in the journal first.
        """
        now = moment(self._wall_clock())
        days = self._running_days
        closed = [file for file in journal_files(self.folder) if file != begun]
        removals = due(
            [StoredFile(one, one.path.stat().st_size, days.written(one.day)) for one in closed],
            now.astimezone(self._zone).date(),
            days.today,
            keep_days=self.limits.keep_days,
            keep_mb=self.limits.keep_mb,
            clock_is_trusted=self._trusted,
        )
        notes = [
            self._encoded(DaysRemoved(now, removal.dates, removal.reason)) for removal in removals
        ]
        if notes:
            self._append(begun.path.name, b"".join(notes))
            self._unfinished = None
        gone = [file for removal in removals for file in removal.files]
        for file in gone:
            for path in (file.path, summary_cache.path_of(file.path)):
                with suppress(FileNotFoundError):
                    os.unlink(path.name, dir_fd=self._lock)
        kept = [file for file in closed if file not in gone]
        days.keep({begun.day, *(file.day for file in kept)})
        if not self._summing.is_alive():
            paths = [file.path for file in kept]
            self._summing = Thread(
                target=summary_cache.store_missing, name=SUMMARY_THREAD, args=(paths,), daemon=True
            )
            self._summing.start()


def cut_partial_line(path: Path) -> int:
    """Truncate a partial last line of ``path``; return its length in bytes."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        end = last_line_end(file, size)
    if end < size:
        os.truncate(path, end)
    return size - end
