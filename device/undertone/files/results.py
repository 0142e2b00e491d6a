"""Results of files for other programs: one JSON object or one CSV row per file."""

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import msgspec

from undertone.events import Verdict
from undertone.files.batch import FileResult

_FIRST = ("path", "label", "verdict", "confidence")
_LAST = ("error", "reason", "activation")
"""Columns of the CSV before and after the scores and the number of segments."""


def to_line(result: FileResult) -> str:
    """One line of JSON, in ASCII: a path need not be valid Unicode."""
    return json.dumps(_values(result))


def write_csv(results: Iterable[FileResult], labels: Sequence[str], output: TextIO) -> None:
    """Write one row per file, with a column for the score of each label."""
    writer = csv.writer(output)
    writer.writerow([*_FIRST, *labels, "segments", *_LAST])
    writer.writerows(_row(result, labels) for result in results)


def _row(result: FileResult, labels: Sequence[str]) -> list[Any]:
    values = _values(result)
    scores = values.get("scores", {})
    segments = len(values.get("segments", []))
    return [*map(values.get, _FIRST), *map(scores.get, labels), segments, *map(values.get, _LAST)]


def _values(result: FileResult) -> dict[str, Any]:
    if result.verdict is None:
        return {"path": str(result.path), "error": result.error}
    return {
        "path": str(result.path),
        **_scores(result.verdict.overall, result.verdict.verdict),
        "segments": [
            {
                "start_s": round(segment.time_s, 3),
                "duration_s": round(segment.duration_s, 3),
                "level_dbfs": round(segment.level_dbfs, 1),
                **_scores(segment.verdict, segment.verdict.verdict),
            }
            for segment in result.verdict.segments
        ],
    }


def _scores(verdict: Verdict | None, word: str) -> dict[str, Any]:
    if verdict is None:
        return {"label": None, "verdict": word, "confidence": None, "scores": {}}
    values: dict[str, Any] = msgspec.to_builtins(verdict)
    scores = {label: round(share, 4) for label, share in verdict.scores.items()}
    values |= {"confidence": round(verdict.confidence, 4), "scores": scores}
    if verdict.activation is not None:
        values["activation"] = round(verdict.activation, 3)
    return values
