"""Exports the journal as tables for other programs: one row per event, one column per key.

Each label has its own column, such as ``score_happy``; a journal with more labels than any model
has would make tables a thousand times its size, and gets one column ``scores`` instead.
"""

import csv
import importlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from undertone.emotions import EMOTIONS
from undertone.errors import RuntimeMissingError
from undertone.events import Event, SegmentEnded
from undertone.journal.format import to_line, values_of
from undertone.journal.reader import JournalReader
from undertone.support.installation import add_extra
from undertone.support.printable import printable

FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
"""The format of an export by the suffix of its file."""

_MOST_LABELS = 64
_ROWS_AT_ONCE = 10_000
_TEXT_AT_ONCE = 2**22
"""Characters per batch: a line of the journal can have 64 KB."""

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""First characters that make a cell a formula in a spreadsheet: OWASP, *CSV Injection*.  That list
also has the tab and the carriage return, which are not printable."""

_TIMES = ("time", "start")
_WHOLE = ("lost_samples", "lost_events", "segments")
_NUMBERS = (
    "confidence",
    "activation",
    "duration_s",
    "level_dbfs",
    "listened_s",
    "missed_s",
    "refused_s",
)


def write_csv(reader: JournalReader, output: TextIO) -> None:
    """Write all events of ``reader``, which is read twice: the header needs every column.

    Text is made safe to open: control characters become "�", and an apostrophe precedes what a
    spreadsheet would interpret as a formula.
    """
    columns = _columns(reader)
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    for row in _rows(reader, columns):
        writer.writerow(_cell(row.get(column)) for column in columns)


def write_json(events: Iterable[Event], output: TextIO) -> None:
    """Write all events as in the journal's files: one JSON object per line."""
    output.writelines(to_line(event) + "\n" for event in events)


def write_parquet(reader: JournalReader, output: Path | BinaryIO) -> None:
    """Write all events of ``reader`` in constant memory, times as UTC timestamps.

    Text is unchanged.  Raises RuntimeMissingError without pyarrow.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise RuntimeMissingError(
            f"pyarrow, which writes Parquet, is not installed: {add_extra('parquet')}."
        ) from None

    def type_of(column: str) -> Any:
        if column in _TIMES:
            return pyarrow.timestamp("ms", tz="UTC")
        if column in _WHOLE:
            return pyarrow.int64()
        if column in ("recording", "demonstration"):
            return pyarrow.bool_()
        number = column in _NUMBERS or column.startswith("score_")
        return pyarrow.float64() if number else pyarrow.string()

    columns = _columns(reader)
    schema = pyarrow.schema([(column, type_of(column)) for column in columns])
    with parquet.ParquetWriter(output, schema) as writer:
        for rows in _batches(_rows(reader, columns)):
            for row in rows:
                row |= {key: datetime.fromisoformat(row[key]) for key in _TIMES if key in row}
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def _columns(reader: JournalReader) -> list[str]:
    """Every key of the events, then a column per label, the emotions in their order.

    More than ``_MOST_LABELS`` labels share one column, ``scores``.
    """
    labels: set[str] = set()
    columns = ["time", "event"]
    for event in reader:
        if isinstance(event, SegmentEnded) and len(labels) <= _MOST_LABELS:
            labels.update(event.scores)
        columns += [key for key in values_of(event) if key not in columns]
    reader.damaged = 0
    if len(labels) > _MOST_LABELS:
        return columns
    known = [label for label in EMOTIONS if label in labels]
    scores = [f"score_{label}" for label in [*known, *sorted(labels.difference(known))]]
    return [*(column for column in columns if column != "scores"), *scores]


def _rows(events: Iterable[Event], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each event as values by column; ``scores`` as JSON if that is one of the columns."""
    for event in events:
        row = values_of(event)
        if scores := row.pop("scores", None):
            if "scores" in columns:
                row["scores"] = json.dumps(scores, ensure_ascii=False)
            else:
                row |= {f"score_{label}": share for label, share in scores.items()}
        yield row


def _cell(value: Any) -> Any:
    """``value`` made safe for a table that a person opens; numbers are unchanged."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    length = 0
    for row in rows:
        batch.append(row)
        length += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(batch) == _ROWS_AT_ONCE or length >= _TEXT_AT_ONCE:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
