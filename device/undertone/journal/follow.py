"""The newest events of live listening, read while the journal is being written."""

import os
from collections import deque
from pathlib import Path

from undertone.events import Event
from undertone.journal.files import journal_files, unreadable
from undertone.journal.format import parse_line
from undertone.support.regular_file import open_regular

_LONGEST_STEP_BYTES = 2**18
"""Read at a time: a page that nobody opened for days begins with the newest events."""


class Follower:
    """Keeps the newest events of a journal; each line is read once, however long the files are.

    Recordings are left out: they are not live.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._newest: deque[Event] = deque(maxlen=keep)
        self._path: Path | None = None
        self._position = 0

    def poll(self) -> list[Event]:
        """The newest events, oldest first, including those written since the last call.

        Raises JournalError if the journal exists and can't be read.
        """
        try:
            self._poll([file.path for file in journal_files(self.folder)])
        except FileNotFoundError:  # does not exist yet, or was removed
            pass
        except OSError as error:
            raise unreadable(self.folder, error) from error
        return list(self._newest)

    def _poll(self, files: list[Path]) -> None:
        if self._path not in files:  # the first look, or its day was deleted
            self._newest.clear()
            self._path, self._position = (files[-2] if len(files) > 1 else None), 0
        for path in files[files.index(self._path) if self._path else 0 :]:
            if path != self._path:
                self._path, self._position = path, 0
            self._read_on(path)

    def _read_on(self, path: Path) -> None:
        """Read the complete lines from the position on; the last may still be being written."""
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            if size < self._position:  # another file in place of the one that was read
                self._newest.clear()
                self._position = 0
            start = max(self._position, size - _LONGEST_STEP_BYTES)
            file.seek(start)
            lines = file.read(size - start).split(b"\n")
        if start > self._position:
            lines[0] = b""  # its beginning was skipped
        self._position = size - len(lines[-1])
        events = map(parse_line, filter(None, lines[:-1]))
        self._newest.extend(event for event in events if event and not event.recording)
