"""The journal's files: ``2026-11-21.jsonl``, then ``2026-11-21.1.jsonl`` and on."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

from undertone.errors import JournalError
from undertone.support.regular_file import open_regular

_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.([1-9][0-9]{0,5}))?\.jsonl")

_LONGEST_LINE = 64 * 1024
"""Bytes: a hundred times the line that the writer makes for a segment."""

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, order=True, slots=True)
class JournalFile:
    """One file; sorting puts files in the order in which they were begun."""

    day: date
    index: int
    path: Path

    @classmethod
    def at(cls, folder: Path, day: date, index: int) -> "JournalFile":
        """File number ``index`` of ``day``, whether it exists or not."""
        number = f".{index}" if index else ""
        return cls(day, index, folder / f"{day.isoformat()}{number}.jsonl")


def journal_files(folder: Path) -> list[JournalFile]:
    """The journal's files in ``folder``, oldest first; other files are ignored.

    Raises OSError if the folder can't be listed.
    """
    files = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            try:
                day = date.fromisoformat(match[1])
            except ValueError:  # not a date, such as 2026-02-31
                continue
            files.append(JournalFile(day, int(match[2] or 0), path))
    return sorted(files)


def read_lines(path: Path) -> Iterator[bytes]:
    """The complete lines of a journal file; a line that is too long becomes empty.

    A last line without a newline is still being written and is left out.  Raises OSError.
    """
    with open_regular(path) as file:
        yield from lines_from(file)


def lines_from(file: BinaryIO) -> Iterator[bytes]:
    """As :func:`read_lines`, from where ``file`` is; after each line it is at that line's end."""
    while line := file.readline(_LONGEST_LINE):
        if line.endswith(b"\n"):
            yield line
        elif len(line) == _LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(_LONGEST_LINE)
            if line:
                yield b""


def last_line_end(file: BinaryIO, offset: int) -> int:
    """The end of the last complete line that ends at or before ``offset``; 0 for none."""
    end = min(offset, file.seek(0, os.SEEK_END))
    while end:
        start = max(0, end - _CHUNK_BYTES)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def replace_file(path: Path, content: bytes) -> None:
    """Replace a small file beside the journal's by ``content``; raises OSError.

    After a power cut the file has either the old content or the new.
    """
    part = path.with_name(f"{path.name}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(part, flags, 0o640), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def unreadable(path: Path, error: OSError) -> JournalError:
    """What to say of a journal that ``error`` keeps from being read."""
    return JournalError(
        f"Can't read the journal {path}: {error.strerror}; "
        "its owner and group alone may read it (see `ls -l`)."
    )
