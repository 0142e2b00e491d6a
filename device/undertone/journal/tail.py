"""The lines of a journal that were not handled yet, across restarts, files and days.

The cursor is a position in every file, not one position in the whole journal: a clock that jumps
makes the writer return to a day that was finished, or begin one that lies ahead.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta

from undertone.events import Event
from undertone.journal.files import (
    JournalFile,
    journal_files,
    last_line_end,
    lines_from,
    unreadable,
)
from undertone.journal.format import parse_line
from undertone.support.regular_file import open_regular

_LOOK_AT_ALL_S = 60.0
"""How often every file is checked, for a line added to a day that was finished long ago."""

_BATCH = 500
"""Lines in memory at a time."""

_START = b'"event": "start"'


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a file has been handled: its first ``offset`` bytes.

    head: a digest of the file's first line, by which another file of the same name is recognised.
    """

    offset: Annotated[int, Meta(ge=0)]
    head: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal.

    id: where it is; no other line has it, even in another file of the same name.
    position: that of ``file`` once this line is handled.
    event: None for a damaged line or one about a recording, which is not live.
    """

    id: str
    file: str
    position: Position
    event: Event | None


class JournalTail:
    """Reads what is new in a journal; the caller says what of it has been handled.

    ``positions`` is the cursor: store it, and give it to the next tail.
    """

    def __init__(
        self,
        folder: Path,
        positions: Mapping[str, Position],
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The journal need not exist yet; a file without a position is read from its beginning."""
        self.folder = folder
        self.positions = dict(positions)
        self._clock = steady_clock
        self._finished: dict[str, tuple[int, ...]] = {}  # each file as it was without a new line
        self._unchanged: tuple[object, ...] = ()
        self._active = folder  # the file that grows, as far as is known
        self._looked_s = float("-inf")

    def read(self, most: int) -> list[Entry]:
        """At most ``most`` of the lines that are not handled yet, oldest file first.

        The same lines again, until :meth:`done`.  Raises JournalError if the journal exists and
        can't be read.
        """
        if self._looks_unchanged():
            return []
        try:
            self._unchanged = ()
            before = self._signature()
            entries = list(islice(chain.from_iterable(map(self._of_file, self._files())), most))
        except FileNotFoundError:  # does not exist yet, or was removed
            return []
        except OSError as error:
            raise unreadable(self.folder, error) from error
        if entries:
            self._active = self.folder / entries[-1].file
        else:
            self._unchanged, self._looked_s = before, self._clock()
        return entries

    def done(self, entry: Entry) -> None:
        """``entry``, and every one that :meth:`read` gave before it, has been handled."""
        self.positions[entry.file] = entry.position

    def catch_up(self) -> Iterator[Entry]:
        """Every line since the last start of the listening that is not handled yet.

        Each counts as handled when the next is asked for, and what was written before that start
        at once.  Raises JournalError as :meth:`read` does.
        """
        self.skip_history()
        while entries := self.read(_BATCH):
            for entry in entries:
                yield entry
                self.done(entry)

    def skip_history(self) -> None:
        """Count as handled what was written before the last start of the listening.

        More exactly, every file before the one in which that start is: what follows in it is
        needed to know the present state.
        """
        self._skip(_before_last_start)

    def skip_all(self) -> None:
        """Count as handled everything that was written so far."""
        self._skip(lambda paths: paths)

    def _skip(self, which: Callable[[list[Path]], Iterable[Path]]) -> None:
        """Count the files that ``which`` selects as handled."""
        try:
            for path in which([file.path for file in journal_files(self.folder)]):
                if position := _end(path):
                    self.positions[path.name] = position
        except FileNotFoundError:
            return
        except OSError as error:
            raise unreadable(self.folder, error) from error

    def _looks_unchanged(self) -> bool:
        """Whether neither the folder nor the file that grew last changed since nothing was new."""
        if not self._unchanged or self._clock() - self._looked_s >= _LOOK_AT_ALL_S:
            return False
        try:
            return self._signature() == self._unchanged
        except OSError:
            return False

    def _signature(self) -> tuple[object, ...]:
        return _signature(self.folder), _signature(self._active)

    def _files(self) -> list[JournalFile]:
        """All files, with those forgotten that retention has removed."""
        files = journal_files(self.folder)
        if files:
            if self._active not in (file.path for file in files):
                self._active = files[-1].path
            oldest = files[0].day.isoformat()
            for known in (self.positions, self._finished):
                for name in [name for name in known if name < oldest]:
                    del known[name]
        return files

    def _of_file(self, file: JournalFile) -> Iterator[Entry]:
        name = file.path.name
        try:
            now = _signature(file.path)
            if self._finished.get(name) == now:
                return
            with open_regular(file.path) as content:
                head = _head(content)
                if head is None:
                    return
                known = self.positions.get(name)
                offset = 0
                if known and known.head == head:
                    # a power cut or a full disk may have cut off lines that were handled
                    offset = last_line_end(content, known.offset)
                    self.positions[name] = Position(offset, head)
                content.seek(offset)
                for line in lines_from(content):
                    position = Position(content.tell(), head)
                    yield Entry(f"{name}:{offset}:{head}", name, position, _live(line))
                    offset = position.offset
        except FileNotFoundError:  # removed by retention meanwhile
            return
        if self.positions.get(name) == Position(offset, head):
            self._finished[name] = now


def _live(line: bytes) -> Event | None:
    event = parse_line(line)
    return None if event is None or event.recording else event


def _signature(path: Path) -> tuple[int, ...]:
    """What changes with ``path``; nothing if it does not exist (any more)."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return ()
    return now.st_ino, now.st_size, now.st_mtime_ns


def _head(content: BinaryIO) -> str | None:
    line = next(lines_from(content), None)
    return None if line is None else blake2b(line, digest_size=6).hexdigest()


def _end(path: Path) -> Position | None:
    """The position at which every whole line of ``path`` has been handled; None for no line."""
    with suppress(FileNotFoundError), open_regular(path) as content:  # removed by retention
        if head := _head(content):
            return Position(last_line_end(content, content.seek(0, os.SEEK_END)), head)
    return None


def _before_last_start(paths: list[Path]) -> Iterator[Path]:
    """The files before the one with the last start, or before the last if there is no start."""
    first = next(filter(_has_start, reversed(paths)), paths[-1] if paths else None)
    return takewhile(lambda path: path != first, paths)


def _has_start(path: Path) -> bool:
    with open_regular(path) as content:
        return any(_START in line and _live(line) for line in lines_from(content))
