"""The journal as tables for other programs: one row an event, one column a key."""

import csv
import importlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from undertone.emotions import EMOTIONS
from undertone.errors import RuntimeMissingError
from undertone.events import SegmentHeard
from undertone.journal.format import Record, to_line
from undertone.journal.reader import JournalReader

_ROWS_AT_ONCE = 10_000
_TIMES = ("time", "start")
_WHOLE = ("lost_samples", "lost_events", "segments")
_NUMBERS = ("confidence", "duration_s", "level_dbfs", "listened_s", "missed_s", "refused_s")


def write_csv(reader: JournalReader, output: TextIO) -> None:
    """All records of ``reader``, which is read twice: the header must know every column."""
    columns = _columns(reader)
    writer = csv.DictWriter(output, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(reader))


def write_json(records: Iterable[Record], output: TextIO) -> None:
    """All records as in the journal's files: one JSON object a line."""
    output.writelines(to_line(record.event, record.time.tzinfo) + "\n" for record in records)


def write_parquet(reader: JournalReader, output: Path | BinaryIO) -> None:
    """All records of ``reader``, in constant memory: times as UTC timestamps, numbers as numbers.

    Raises RuntimeMissingError without pyarrow.
    """
    try:
        pyarrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise RuntimeMissingError(
            "pyarrow, which writes Parquet, is not installed: run pip install 'undertone[parquet]'."
        ) from None

    def type_of(column: str) -> Any:
        if column in _TIMES:
            return pyarrow.timestamp("ms", tz="UTC")
        if column in _WHOLE:
            return pyarrow.int64()
        number = column in _NUMBERS or column.startswith("score_")
        return pyarrow.float64() if number else pyarrow.string()

    schema = pyarrow.schema([(column, type_of(column)) for column in _columns(reader)])
    with parquet.ParquetWriter(output, schema) as writer:
        for rows in _batches(map(_with_times, _rows(reader))):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))


def _columns(reader: JournalReader) -> list[str]:
    """Every key of the records, then the score of each label; the emotions' in their order."""
    labels: set[str] = set()
    columns = ["time", "event"]
    for record in reader:
        if isinstance(record.event, SegmentHeard):
            labels.update(record.event.verdict.scores.probabilities)
        columns += [key for key in _as_written(record) if key not in columns]
    reader.damaged = 0
    known = [label for label in EMOTIONS if label in labels]
    scores = [f"score_{label}" for label in [*known, *sorted(labels.difference(known))]]
    return [*(column for column in columns if column != "scores"), *scores]


def _rows(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        row = _as_written(record)
        scores = row.pop("scores", {})
        yield row | {f"score_{label}": share for label, share in scores.items()}


def _as_written(record: Record) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(to_line(record.event, record.time.tzinfo))
    return values


def _with_times(row: dict[str, Any]) -> dict[str, Any]:
    return row | {key: datetime.fromisoformat(row[key]) for key in _TIMES if key in row}


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
