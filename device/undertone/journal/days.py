"""The days of a journal for a page that shows them again and again: each line is read once."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from undertone.events import SegmentEnded
from undertone.journal import summary_cache
from undertone.journal.by_source import UNNAMED, BySource, source_of
from undertone.journal.files import JournalFile, journal_files, lines_from, unreadable
from undertone.journal.format import parse_line
from undertone.journal.reader import source_after
from undertone.journal.summary import Summary
from undertone.support.regular_file import open_regular

_READ_DAYS = 2
"""How many of the newest days are read for their segments; stored totals do for the others."""


@dataclass(frozen=True, slots=True)
class Day:
    """The totals of live listening on one day or on several, in all and by source."""

    heard: Summary = field(default_factory=Summary)
    by_source: BySource = field(default_factory=BySource)

    def of(self, source: str | None) -> Summary:
        """The totals of one source; None for all."""
        return self.heard if source is None else self.by_source.sources.get(source, Summary())

    def follow(self, later: "Day") -> None:
        """Add the totals of what comes next."""
        self.heard.follow(later.heard)
        self.by_source.follow(later.by_source)


def together(days: Iterable[Day]) -> Day:
    """The totals of several days, in order."""
    total = Day()
    for day in days:
        total.follow(day)
    return total


@dataclass(slots=True)
class _Read:
    """What is known of a file: the totals of its first ``position`` bytes."""

    inode: int
    position: int = 0
    day: Day = field(default_factory=Day)


class Days:
    """Keeps the totals of each file and the newest segments in memory."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Nothing is read yet, and the journal need not exist yet; ``keep``: segments."""
        self.folder = folder
        self._files: dict[Path, _Read] = {}
        self._latest: dict[Path, str] = {}
        self._segments: deque[tuple[str, SegmentEnded]] = deque(maxlen=keep)

    def read(self, since: date) -> dict[date, Day]:
        """The days of the journal from ``since`` on, oldest first.

        Raises JournalError if the journal exists and can't be read.
        """
        try:
            files = journal_files(self.folder)
            gone = self._files.keys() - {file.path for file in files}
            if gone or any(self._is_another(file.path) for file in files):
                self._forget()
            return self._days(files, since)
        except FileNotFoundError:  # does not exist yet, or was removed
            self._forget()
            return {}
        except OSError as error:
            raise unreadable(self.folder, error) from error

    def newest(self, source: str | None = None) -> list[SegmentEnded]:
        """The newest segments of one source or all, oldest first, as of the last reading."""
        return [segment for name, segment in self._segments if source in (None, name)]

    def _forget(self) -> None:
        self._files.clear()
        self._segments.clear()

    def _is_another(self, path: Path) -> bool:
        """Whether a file has taken the place of the one that was read."""
        known, now = self._files.get(path), path.stat()
        return known is not None and (known.inode != now.st_ino or now.st_size < known.position)

    def _days(self, files: list[JournalFile], since: date) -> dict[date, Day]:
        newest = {file.day for file in files if file.day >= since}
        newest = set(sorted(newest)[-_READ_DAYS:])
        latest = source_after([file.path for file in files if file.day < since], self._latest)
        days: dict[date, Day] = {}
        for file in files:
            if file.day >= since:
                read = self._read_on(file.path, latest, whole=file.day in newest)
                day = days.setdefault(file.day, Day(by_source=BySource(latest=latest)))
                day.follow(read)
                latest = day.by_source.latest
        return days

    def _read_on(self, path: Path, latest: str, whole: bool) -> Day:
        """The totals of a file, of which only new lines are read.

        latest: the source before it.  whole: its segments are wanted, not only its totals.
        """
        read = self._files.get(path)
        if read is None:
            now = path.stat()
            read = self._files[path] = _Read(now.st_ino)
            if not whole and (known := summary_cache.load_with_sources(path)):
                read.day, read.position = Day(*known), now.st_size
        if path.stat().st_size == read.position:
            return read.day
        with open_regular(path) as content:
            content.seek(read.position)
            for line in lines_from(content):
                self._add(read.day, line, latest)
                read.position = content.tell()
        return read.day

    def _add(self, day: Day, line: bytes, latest: str) -> None:
        event = parse_line(line)
        if event is None:
            day.heard.add(None)
        elif not event.recording:
            day.heard.add(event)
            day.by_source.add(event)
            if isinstance(event, SegmentEnded):
                name = source_of(event, day.by_source.latest or latest)
                self._segments.append((name or UNNAMED, event))
