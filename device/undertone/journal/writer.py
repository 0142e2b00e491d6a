"""The one writer of a journal: batched, locked, and patient with a card that fails."""

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import islice
from pathlib import Path

from undertone.errors import JournalError
from undertone.journal import summary_cache
from undertone.journal.files import JournalFile, journal_files
from undertone.journal.format import DiskRefused, EventsLost, JournalEvent, time_of, to_line
from undertone.journal.lock import acquire
from undertone.support.regular_file import open_regular, regular_descriptor

_log = logging.getLogger(__name__)

_MB = 2**20
_BATCH_BYTES = 64 * 1024
"""Written at a time: what a nearly full disk refuses as a whole it may take in parts."""

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""Troubles of the disk, which may pass; any other at start is a mistake of the user's."""


@dataclass(frozen=True)
class JournalLimits:
    """What a journal may take and lose.

    flush_s: oldest event that a power cut may take; pending_events: events kept in memory
    while the disk refuses them; the others bound one file and the whole folder.
    """

    flush_s: float = 5.0
    max_mb: float = 50.0
    keep_days: int = 400
    keep_mb: float = 1024.0
    pending_events: int = 10_000


@dataclass(frozen=True, slots=True)
class _Line:
    time_s: float
    day: date
    data: bytes


class JournalWriter:
    """Appends events to the files of ``folder``, which no other process may write meanwhile.

    A disk that is full or read-only raises nothing: events wait in memory, the oldest are
    dropped and counted when they become too many, and writing resumes when it can.
    """

    def __init__(
        self,
        folder: Path,
        limits: JournalLimits | None = None,
        *,
        recording_day: date | None = None,
        clock: Callable[[], float] = time.monotonic,
        zone: tzinfo | None = None,
        report: Callable[[str], None] = _log.warning,
    ) -> None:
        """``clock`` gives seconds that never go back; ``zone`` None is the local one.

        recording_day: what is written is a recording that is listened to on this day; every line
        says that it is one, and is in the files of this day, whatever its own time is.
        ``report`` is told in one sentence when the disk begins to refuse events and when it
        takes them again.  Raises JournalError where the folder can't be made or is being
        written by another process.
        """
        self.folder = folder
        self.limits = limits or JournalLimits()
        self.problem: str | None = None
        """Why nothing can be written at the moment."""
        self.mended_bytes = 0
        """Length of the half-written lines that a crash had left."""
        self._recording_day = recording_day
        self._clock = clock
        self._zone = zone
        self._report = report
        self._lock: int | None = None
        self._mended = False
        self._pending: deque[_Line] = deque()
        self._lost = 0
        self._lost_at_s = 0.0
        self._refused_since_s: float | None = None  # by the clock
        self._due: float | None = None  # when the next writing is due, by the clock
        self._unfinished: tuple[Path, int] | None = None  # file, and its end before an attempt
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

    def write(self, event: JournalEvent) -> None:
        """Take one event; :meth:`tick` brings it to the disk."""
        when = time_of(event, self._zone)
        data = self._encoded(event)
        if len(self._pending) >= self.limits.pending_events:
            self._lost += 1
            self._lost_at_s = self._pending.popleft().time_s
        self._pending.append(_Line(when.timestamp(), self._recording_day or when.date(), data))
        if self._due is None:
            self._due = self._clock() + self.limits.flush_s

    def tick(self) -> None:
        """Write what has waited for long enough; call it several times a second."""
        if self._due is not None and self._clock() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, down to the disk; what it refuses is kept and tried again."""
        time.tzset()  # the device may have been carried to another time zone
        try:
            self._open()
            self._roll_back()
            while self._pending:
                self._write_batch()
        except (OSError, JournalError) as error:
            self._fail(error)
            return
        self._due = None
        if self.problem is not None:
            self.problem = None
            self._report(f"the journal in {self.folder} is being written again")

    def close(self) -> None:
        """Write all that waits and let others write; JournalError where events stay unwritten."""
        try:
            if self._pending:
                self.flush()
            if self._pending:
                count = len(self._pending) + self._lost
                raise JournalError(f"{self.problem}: the last {count} events are lost.")
        finally:
            self._release()

    def _open(self) -> None:
        """Make the folder, lock it and cut half-written lines off, as far as not yet done."""
        if self._lock is None:
            self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = acquire(self.folder)
        if not self._mended:
            for file in journal_files(self.folder):
                if cut := cut_partial_line(file.path):
                    self.mended_bytes += cut
                    _log.warning("%s: cut a half-written line of %d bytes off", file.path, cut)
            self._mended = True

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _fail(self, error: Exception) -> None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if self.problem is None:
            self._report(
                f"can't write the journal in {self.folder}: {reason}; "
                "listening goes on, and events wait in memory"
            )
        self.problem = f"can't write the journal in {self.folder}: {reason}"
        now_s = self._clock()
        self._due = now_s + self.limits.flush_s
        if self._refused_since_s is None:
            self._refused_since_s = now_s

    def _write_batch(self) -> None:
        """Write the oldest lines of one day, as many as go into one batch."""
        day = self._pending[0].day
        batch = self._notes()
        size = sum(map(len, batch))
        count = 0
        for line in self._pending:
            if count and (line.day != day or size + len(line.data) > self._batch_bytes):
                break
            batch.append(line.data)
            size += len(line.data)
            count += 1
        self._append(self._file_for(day, size).path, b"".join(batch))
        rest = deque(islice(self._pending, count, None))
        # Together: a signal's exception in between would lose events or write them twice.
        self._pending, self._unfinished = rest, None
        self._lost = 0
        self._refused_since_s = None

    @property
    def _batch_bytes(self) -> int:
        return min(_BATCH_BYTES, int(self.limits.max_mb * _MB))

    def _notes(self) -> list[bytes]:
        """What the disk has cost since the last batch that it took, as lines."""
        notes: list[JournalEvent] = []
        if self._lost:
            reason = self.problem or "more events than the memory kept for them"
            notes.append(EventsLost(self._lost_at_s, self._lost, reason))
        if self.problem and self._refused_since_s is not None:
            refused_s = self._clock() - self._refused_since_s
            notes.append(DiskRefused(self._pending[0].time_s, refused_s, self.problem))
        return list(map(self._encoded, notes))

    def _encoded(self, event: JournalEvent) -> bytes:
        is_recording = self._recording_day is not None
        return to_line(event, self._zone, is_recording).encode() + b"\n"

    def _append(self, path: Path, data: bytes) -> None:
        """Bring ``data`` to the disk; until it is taken off the list, :meth:`_roll_back` undoes it.

        The file is opened for each batch: it may have been removed or its card remounted.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        descriptor = regular_descriptor(path, flags, 0o640)
        try:
            end = os.fstat(descriptor).st_size
            self._unfinished = (path, end)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not end:
            _fsync_folder(self.folder)

    def _roll_back(self) -> None:
        """Cut off what a failed attempt left, so that no line is halved or doubled."""
        if self._unfinished:
            path, end = self._unfinished
            if path.exists() and path.stat().st_size > end:
                os.truncate(path, end)
            self._unfinished = None

    def _file_for(self, day: date, size: int) -> JournalFile:
        """The newest file of ``day``, or a new one where it has no room for ``size`` bytes."""
        today = [file for file in journal_files(self.folder) if file.day == day]
        if not today:
            self._begin(day)
            return JournalFile.at(self.folder, day, 0)
        newest = today[-1]
        if newest.path.stat().st_size + size <= self.limits.max_mb * _MB:
            return newest
        self._begin(day)
        return JournalFile.at(self.folder, day, newest.index + 1)

    def _begin(self, today: date) -> None:
        """Before a new file: sum up the one before it, and remove those that are too many.

        The oldest go, until what stays and one full new file keep the limits.  The age is that
        on the last day but one of the journal: a clock that jumps ahead for an hour must not
        take years with it.
        """
        files = journal_files(self.folder)
        if files:
            summary_cache.store(files[-1].path)
        days = sorted({today, *(file.day for file in files)})
        today = days[-2] if len(days) > 1 else today
        sizes = [file.path.stat().st_size for file in files]
        excess = sum(sizes) - (self.limits.keep_mb - self.limits.max_mb) * _MB
        for file, size in zip(files, sizes, strict=True):
            if excess <= 0 and (today - file.day).days <= self.limits.keep_days:
                break
            file.path.unlink(missing_ok=True)
            summary_cache.path_of(file.path).unlink(missing_ok=True)
            excess -= size


def cut_partial_line(path: Path) -> int:
    """Cut a half-written last line off ``path``; return its length in bytes."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - _BATCH_BYTES)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
    if end < size:
        os.truncate(path, end)
    return size - end


def _fsync_folder(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
