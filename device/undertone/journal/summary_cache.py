"""Stores the summary of a closed file beside it, so that summarising months is fast.

The summary of ``2026-11-21.jsonl`` is ``.2026-11-21.jsonl.summary``, a few kilobytes of JSON.
Nothing depends on it: if it is missing, damaged or out of date, the file itself is read.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from undertone.journal.by_source import BySource
from undertone.journal.files import read_lines, replace_file
from undertone.journal.format import parse_line
from undertone.journal.summary import Summary
from undertone.support.regular_file import open_regular

_LARGEST_BYTES = 2**20


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stored content; a file of the same size and modification time has not changed."""

    version: Literal[5]
    size_bytes: int
    changed_ns: int
    heard: Summary
    recordings: Summary
    by_source: BySource
    """Of live listening."""


def path_of(file: Path) -> Path:
    """Where the summary of ``file`` is stored."""
    return file.with_name(f".{file.name}.summary")


def load(file: Path, recordings: bool = False) -> Summary | None:
    """The stored summary of ``file``, of live listening or of ``recordings``; None if unusable."""
    stored = _load(file)
    summary = stored and (stored.recordings if recordings else stored.heard)
    return summary if summary and summary.is_consistent else None


def load_with_sources(file: Path) -> tuple[Summary, BySource] | None:
    """The stored summary of live listening, in all and by source; None if unusable."""
    stored = _load(file)
    if stored and stored.heard.is_consistent and stored.by_source.is_consistent:
        return stored.heard, stored.by_source
    return None


def _load(file: Path) -> _Stored | None:
    try:
        with open_regular(path_of(file)) as content:
            stored = msgspec.json.decode(content.read(_LARGEST_BYTES), type=_Stored)
        now = file.stat()
    except (OSError, ValueError, RecursionError):
        return None
    same = (stored.size_bytes, stored.changed_ns) == (now.st_size, now.st_mtime_ns)
    return stored if same else None


def store(file: Path) -> None:
    """Summarise ``file`` and store the summary; if that fails, only time is lost."""
    with suppress(OSError):
        before = file.stat()
        heard, recordings, by_source = Summary(), Summary(), BySource()
        for content in read_lines(file):
            event = parse_line(content)
            for summary in (heard, recordings):
                if event is None or event.recording == (summary is recordings):
                    summary.add(event)
            if event and not event.recording:
                by_source.add(event)
        stored = _Stored(5, before.st_size, before.st_mtime_ns, heard, recordings, by_source)
        replace_file(path_of(file), msgspec.json.encode(stored))


def store_missing(files: Iterable[Path]) -> None:
    """:func:`store` for those of ``files`` that have no usable summary."""
    for file in files:
        if load(file) is None:
            store(file)
