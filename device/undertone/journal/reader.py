"""Reads a journal event by event, also while it is being written."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from undertone.errors import JournalError
from undertone.events import Event, Started
from undertone.journal import summary_cache
from undertone.journal.by_source import UNNAMED, BySource, source_of
from undertone.journal.files import JournalFile, journal_files, read_lines, unreadable
from undertone.journal.format import parse_line
from undertone.journal.summary import Summary

_DAY_S = 86_400
_ZONES_S = _DAY_S
"""A day begins up to 14 hours earlier or 12 later than the one of UTC."""

_START = b'"start"'


class JournalReader:
    """The events of a journal, in the order in which they were written, in constant memory.

    Live listening and recordings are read separately, because their times are unrelated.  Reading
    raises JournalError if there is no journal or it can't be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        since_s: float | None = None,
        until_s: float | None = None,
        recordings: bool = False,
        source: str | None = None,
    ) -> None:
        """Read from ``since_s`` to before ``until_s`` (POSIX seconds).

        recordings: read what belongs to recordings, and not to live listening.
        source: read only what is about this microphone or stream; None for all.
        """
        self.folder = folder
        self.damaged = 0
        """Lines that were skipped so far because they are not events."""
        self._since_s = float("-inf") if since_s is None else since_s
        self._until_s = float("inf") if until_s is None else until_s
        self.is_unbounded = since_s is None and until_s is None
        """Whether events of any time are read."""
        self.recordings = recordings
        self._source = source
        self._latest: dict[Path, str] = {}

    def __iter__(self) -> Iterator[Event]:
        for file in self._files():
            yield from self._events(file)

    def last(self, count: int) -> list[Event]:
        """The newest ``count`` events, oldest first; older files are not read."""
        found: list[Event] = []
        for file in reversed(self._files()):
            newest = deque(self._events(file), maxlen=count - len(found))
            found = [*newest, *found]
            if len(found) >= count:
                break
        return found

    def summary(self) -> Summary:
        """The totals of all events; for a closed file, its stored summary is used."""
        if self._source is not None:
            return self.by_source().sources.get(self._source, Summary())
        total = Summary()
        for file in self._files():
            known = None
            if self._holds_all_of(file):
                known = summary_cache.load(file.path, self.recordings)
            total.follow(known or self._summary_of(file.path))
        return total

    def by_source(self) -> BySource:
        """The totals of live listening by source; for a closed file, the stored ones are used."""
        files = self._files()
        total = BySource(latest=self._source_before(files[0]) if files else UNNAMED)
        for file in files:
            known = summary_cache.load_with_sources(file.path) if self._holds_all_of(file) else None
            total.follow(known[1] if known else self._by_source_of(file.path))
        return total

    def _by_source_of(self, path: Path) -> BySource:
        found = BySource()
        for content in _lines(path):
            event = parse_line(content)
            if event and self._holds(event):
                found.add(event)
            elif isinstance(event, Started) and not event.recording:
                found.latest = event.source
        return found

    def _source_before(self, file: JournalFile) -> str:
        earlier = [each.path for each in journal_files(self.folder) if each < file]
        return source_after(earlier, self._latest)

    def _summary_of(self, path: Path) -> Summary:
        summary = Summary()
        for content in _lines(path):
            event = parse_line(content)
            if event is None or self._holds(event):
                summary.add(event)
        return summary

    def _files(self) -> list[JournalFile]:
        try:
            files = journal_files(self.folder)
        except FileNotFoundError:
            raise JournalError(
                f"There is no journal in {self.folder} yet: `undertone listen` writes one."
            ) from None
        except OSError as error:
            raise unreadable(self.folder, error) from error
        if self.recordings:  # their times are unrelated to the day in the name of the file
            return files
        return [
            file
            for file in files
            if _start_s(file.day) - _ZONES_S < self._until_s
            and _start_s(file.day) + _DAY_S + _ZONES_S > self._since_s
        ]

    def _holds_all_of(self, file: JournalFile) -> bool:
        return self.is_unbounded or (
            not self.recordings
            and self._since_s <= _start_s(file.day) - _ZONES_S
            and _start_s(file.day) + _DAY_S + _ZONES_S <= self._until_s
        )

    def _holds(self, event: Event) -> bool:
        if event.recording != self.recordings:
            return False
        return self.is_unbounded or self._since_s <= event.time.timestamp() < self._until_s

    def _events(self, file: JournalFile) -> Iterator[Event]:
        latest = UNNAMED if self._source is None else self._source_before(file)
        for line in _lines(file.path):
            event = parse_line(line)
            if event is None:
                self.damaged += 1
                continue
            if isinstance(event, Started) and not event.recording:
                latest = event.source
            if self._holds(event) and self._source in (None, source_of(event, latest)):
                yield event


def source_after(paths: Sequence[Path], known: dict[Path, str]) -> str:
    """The source of the last ``start`` in closed files, oldest first; ``known`` remembers it."""
    for path in reversed(paths):
        if path not in known:
            known[path] = _latest_source(path)
        if known[path]:
            return known[path]
    return UNNAMED


def _latest_source(path: Path) -> str:
    """The source of the last ``start`` in a file, or UNNAMED."""
    if known := summary_cache.load_with_sources(path):
        return known[1].latest
    latest = UNNAMED
    for line in _lines(path):
        if _START in line:
            event = parse_line(line)
            if isinstance(event, Started) and not event.recording:
                latest = event.source
    return latest


def _lines(path: Path) -> Iterator[bytes]:
    try:
        yield from read_lines(path)
    except FileNotFoundError:  # removed by retention meanwhile
        return
    except OSError as error:
        raise unreadable(path, error) from error


def _start_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
