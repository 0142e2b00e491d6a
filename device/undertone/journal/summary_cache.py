"""The summary of a closed file, kept beside it, so that months are summed up in a moment.

``2026-11-21.jsonl`` has ``.2026-11-21.jsonl.summary``, a few kilobytes of JSON.  Nothing depends
on it: one that is missing, damaged, or of another state of its file is not used, and the file
itself is read.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from undertone.journal.files import read_lines, replace_file
from undertone.journal.format import read_line
from undertone.journal.summary import Summary
from undertone.support.regular_file import open_regular

_LARGEST_BYTES = 2**20


class _Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is stored; a file of the same size and time of change is the same file."""

    version: Literal[2]
    size_bytes: int
    changed_ns: int
    heard: Summary
    recordings: Summary


def path_of(file: Path) -> Path:
    """Where the summary of the journal's ``file`` is kept."""
    return file.with_name(f".{file.name}.summary")


def load(file: Path, recordings: bool = False) -> Summary | None:
    """The stored summary of ``file``, or None where there is none that can be used.

    It is that of what was heard, or of the ``recordings``.
    """
    try:
        with open_regular(path_of(file)) as stored:
            index = msgspec.json.decode(stored.read(_LARGEST_BYTES), type=_Index)
        now = file.stat()
    except (OSError, ValueError, RecursionError):
        return None
    same = (index.size_bytes, index.changed_ns) == (now.st_size, now.st_mtime_ns)
    summary = index.recordings if recordings else index.heard
    return summary if same and summary.is_consistent else None


def store(file: Path) -> None:
    """Sum ``file`` up and keep that beside it; a disk that refuses it costs only time later."""
    with suppress(OSError):
        before = file.stat()
        heard, recordings = Summary(), Summary()
        for content in read_lines(file):
            line = read_line(content)
            for summary in (heard, recordings):
                if line is None or line.recording == (summary is recordings):
                    summary.add(line)
        index = _Index(2, before.st_size, before.st_mtime_ns, heard, recordings)
        replace_file(path_of(file), msgspec.json.encode(index))


def store_missing(files: Iterable[Path]) -> None:
    """:func:`store` for those of ``files`` that have no summary which can be used."""
    for file in files:
        if load(file) is None:
            store(file)
