"""One event, one line of JSON; the key ``event`` names its kind.

A segment's ``time`` is its end, when it became an event, so that lines stand in order of
time; its ``start`` is the event's ``time_s``.  Everything read is checked: a line is an
event whole or not at all.
"""

import json
import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar

from undertone.events import (
    Event,
    Gap,
    Scores,
    SegmentHeard,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
)

SILENCE_DBFS = -120.0
"""The level written for digital silence, which has none."""

_LARGEST_INTEGER = 2**53
"""JSON's integers are exact up to here (RFC 8259, section 6)."""

_LARGEST_NUMBER = 1e10
"""Three centuries in seconds; sums of what is read stay finite."""


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The journal's own note: events that could not be written and were too many to keep."""

    kind: ClassVar[str] = "events-lost"
    time_s: float
    lost_events: int
    reason: str


@dataclass(frozen=True, slots=True)
class DiskRefused:
    """The journal's own note: what follows had waited for a disk that took nothing.

    ``time_s`` is that of the first event that waited.
    """

    kind: ClassVar[str] = "disk-refused"
    time_s: float
    refused_s: float
    reason: str


JournalEvent = Event | EventsLost | DiskRefused


@dataclass(frozen=True, slots=True)
class Record:
    """An event as read back; ``time`` keeps the UTC offset that held where it was written."""

    time: datetime
    event: JournalEvent


_PLAIN: dict[str, type[JournalEvent]] = {
    cls.kind: cls
    for cls in (Started, Gap, SourceLost, SourceBack, Stopped, EventsLost, DiskRefused)
}


def time_of(event: JournalEvent, zone: tzinfo | None = None) -> datetime:
    """When ``event`` was complete, in ``zone`` (None: the local one), to the millisecond."""
    time_s = event.time_s
    if isinstance(event, SegmentHeard):
        time_s += event.duration_s
    return _local(time_s, zone)


def to_line(event: JournalEvent, zone: tzinfo | None = None) -> str:
    """``event`` as one line of JSON without its newline; times in ``zone`` (None: local)."""
    values: dict[str, object] = {"event": event.kind, "time": _stamp(time_of(event, zone))}
    if isinstance(event, SegmentHeard):
        values |= _segment_values(event, zone)
    else:
        values |= {
            field.name: _clean(getattr(event, field.name))
            for field in fields(event)
            if field.name != "time_s"
        }
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def parse_line(line: str) -> Record | None:
    """The record in ``line``, or None where it is not a whole event."""
    try:
        values = json.loads(line, parse_constant=_refuse)
        time = _time(values["time"])
        if values["event"] == SegmentHeard.kind:
            return Record(time, _segment(values))
        return Record(time, _plain(values, time))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _segment_values(event: SegmentHeard, zone: tzinfo | None) -> dict[str, object]:
    scores = event.verdict.scores
    # Most probable first: rounding may make two scores equal, and the first one is the label.
    ranked = sorted(scores.probabilities.items(), key=lambda score: -score[1])
    return {
        "label": scores.label,
        "verdict": event.verdict.verdict,
        "confidence": _finite(scores.confidence, digits=4),
        "scores": {label: _finite(probability, digits=4) for label, probability in ranked},
        "start": _stamp(_local(event.time_s, zone)),
        "duration_s": _finite(event.duration_s),
        "level_dbfs": _finite(event.level_dbfs, digits=1, instead=SILENCE_DBFS),
        "model": _clean(event.model),
        "model_sha256": _clean(event.model_sha256),
    }


def _segment(values: dict[str, Any]) -> SegmentHeard:
    if not isinstance(values["scores"], dict):
        raise TypeError("no scores")
    scores = Scores({_text(label): _share(share) for label, share in values["scores"].items()})
    if values["label"] != scores.label:
        raise ValueError("the label is not the most probable one")
    return SegmentHeard(
        time_s=_time(values["start"]).timestamp(),
        duration_s=_number(values["duration_s"]),
        level_dbfs=_number(values["level_dbfs"]),
        verdict=Verdict(scores, _text(values["verdict"])),
        model=_text(values["model"]),
        model_sha256=_text(values["model_sha256"]),
    )


def _plain(values: dict[str, Any], time: datetime) -> JournalEvent:
    cls = _PLAIN[values["event"]]
    arguments = {
        field.name: _CHECKS[field.type](values[field.name])
        for field in fields(cls)
        if field.name != "time_s"
    }
    return cls(time_s=time.timestamp(), **arguments)


def _local(time_s: float, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(round(time_s, 3), UTC).astimezone(zone)


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _finite(value: float, digits: int = 3, instead: float = 0.0) -> float:
    """JSON has neither infinity nor not-a-number."""
    return round(float(value), digits) if math.isfinite(value) else instead


def _clean(value: object) -> object:
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, str):  # a device's name may hold bytes that are not UTF-8
        return value.encode("utf-8", "replace").decode()
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None or not 1900 <= time.year < 9000:
        raise ValueError("not a time that this program writes")
    return time


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    value.encode()  # a lone surrogate can be written in JSON and printed nowhere
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    if not 0 <= value <= _LARGEST_INTEGER:
        raise ValueError("not a count")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("not a number")
    if not abs(value) < _LARGEST_NUMBER:
        raise ValueError("not a quantity")
    return float(value)


def _share(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("not a probability")
    return number


_CHECKS: dict[Any, Any] = {str: _text, int: _whole, float: _number}
