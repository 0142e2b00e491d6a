"""One event, one line of JSON; the key ``event`` names its kind.

A segment's ``time`` is its end, when it became an event, so that lines are in the order of their
times; its ``start`` is the event's ``time_s``.  Everything that is read is checked: a line is a
complete event or none.
"""

import json
import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, ClassVar, Union

import msgspec
from msgspec import Meta

from undertone.events import (
    SILENCE_DBFS,
    Event,
    Gap,
    Scores,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
)

_LARGEST_INTEGER = 2**53
"""JSON's integers are exact up to here (RFC 8259, section 6)."""

_LARGEST_NUMBER = 1e10
"""Three centuries in seconds; sums of what is read stay finite."""


@dataclass(frozen=True, slots=True)
class EventsLost:
    """A note by the journal: events that could not be written and were too many to keep."""

    kind: ClassVar[str] = "events-lost"
    time_s: float
    lost_events: int
    reason: str


@dataclass(frozen=True, slots=True)
class DiskRefused:
    """A note by the journal: the disk refused the events that follow for a while.

    ``time_s`` is that of the first event that waited.
    """

    kind: ClassVar[str] = "disk-refused"
    time_s: float
    refused_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class DaysRemoved:
    """A note by the journal: the files of these days were removed because of their age or size.

    days: dates with commas between them, in the order in which they were written.
    """

    kind: ClassVar[str] = "days-removed"
    time_s: float
    days: str
    reason: str


JournalEvent = Event | EventsLost | DiskRefused | DaysRemoved


@dataclass(frozen=True, slots=True)
class Record:
    """An event that was read; ``time`` keeps the UTC offset of the place where it was written.

    recording: whether it belongs to a recording, whose own time it has.
    """

    time: datetime
    event: JournalEvent
    recording: bool = False

    def line(self) -> str:
        """The line of the journal, without its newline."""
        return to_line(self.event, self.time.tzinfo, self.recording)


Time = Annotated[datetime, Meta(tz=True)]
_Number = Annotated[float, Meta(gt=-_LARGEST_NUMBER, lt=_LARGEST_NUMBER)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0, le=_LARGEST_INTEGER)]
_Seconds = Annotated[float, Meta(ge=0, lt=_LARGEST_NUMBER)]
_AS_READ: dict[Any, Any] = {str: str, float: _Seconds, int: _Count}


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", gc=False):
    """The keys of every line; each kind of event has a struct of its own below."""

    time: Time
    recording: bool = False


class SegmentLine(Line, frozen=True, tag=SegmentEnded.kind, gc=False):
    """The line of a segment; the key ``confidence`` repeats the score of ``label``."""

    label: str
    verdict: str
    scores: dict[str, _Share]
    start: Time
    duration_s: _Seconds
    level_dbfs: _Number
    model: str
    model_sha256: str
    reason: str | None = None


def _line_of(cls: type[JournalEvent]) -> type[Line]:
    """The struct of an event whose keys are its fields."""
    keys = [(key.name, _AS_READ[key.type]) for key in fields(cls) if key.name != "time_s"]
    line: Any = msgspec.defstruct(
        f"{cls.__name__}Line", keys, bases=(Line,), frozen=True, tag=cls.kind, gc=False
    )
    made: type[Line] = line
    return made


_EVENTS: dict[type[Line], type[JournalEvent]] = {
    _line_of(cls): cls
    for cls in (Started, Gap, SourceLost, SourceBack, Stopped, EventsLost, DiskRefused, DaysRemoved)
}
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Union[SegmentLine, *_EVENTS])


def time_of(event: JournalEvent, zone: tzinfo | None = None) -> datetime:
    """When ``event`` was complete, in ``zone`` (None: the local one), to the millisecond."""
    time_s = event.time_s
    if isinstance(event, SegmentEnded):
        time_s += event.duration_s
    return _local(time_s, zone)


def to_line(event: JournalEvent, zone: tzinfo | None = None, recording: bool = False) -> str:
    """``event`` as one line of JSON without its newline; times in ``zone`` (None: local).

    Only the lines of a ``recording`` have that key.  Every character is printable, so that a file
    can be shown on a terminal.
    """
    values: dict[str, object] = {"event": event.kind, "time": _stamp(time_of(event, zone))}
    if recording:
        values["recording"] = True
    if isinstance(event, SegmentEnded):
        values |= _segment_values(event, zone)
    else:
        values |= {
            field.name: _clean(getattr(event, field.name))
            for field in fields(event)
            if field.name != "time_s"
        }
    line = json.dumps(values, ensure_ascii=False, allow_nan=False)
    if line.isprintable():
        return line
    # JSON need not escape most characters that move a terminal's cursor or reverse its text.
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in line
    )


def read_line(line: bytes | str) -> Line | None:
    """The content of ``line``, checked, or None if it is not a complete event."""
    try:
        read = _decoder.decode(line)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        return None
    if not is_a_time(read.time):
        return None
    if type(read) is SegmentLine:
        if not read.scores or read.label != max(read.scores, key=read.scores.__getitem__):
            return None
        if not is_a_time(read.start):
            return None
    return read


def is_a_time(time: datetime) -> bool:
    """Whether a journal may contain it; in any time zone it stays within the calendar."""
    return 1900 <= time.year < 9000


def parse_line(line: bytes | str) -> Record | None:
    """The record in ``line``, or None if it is not a complete event."""
    read = read_line(line)
    return None if read is None else Record(read.time, _event(read), read.recording)


def kind_of(line: Line) -> type[JournalEvent]:
    """The class of the event in ``line``."""
    return _EVENTS.get(type(line), SegmentEnded)


def _event(line: Line) -> JournalEvent:
    if isinstance(line, SegmentLine):
        return SegmentEnded(
            time_s=line.start.timestamp(),
            duration_s=line.duration_s,
            level_dbfs=line.level_dbfs,
            verdict=Verdict(Scores(line.scores), line.verdict, line.reason),
            model=line.model,
            model_sha256=line.model_sha256,
        )
    values = msgspec.structs.asdict(line)
    del values["recording"]
    return _EVENTS[type(line)](values.pop("time").timestamp(), **values)


def _segment_values(event: SegmentEnded, zone: tzinfo | None) -> dict[str, object]:
    scores = event.verdict.scores
    # Most probable first: rounding can make two scores equal, and the first is the label.
    ranked = sorted(scores.probabilities.items(), key=lambda score: -score[1])
    reason = event.verdict.reason
    return {
        "label": scores.label,
        "verdict": event.verdict.verdict,
        **({} if reason is None else {"reason": _clean(reason)}),
        "confidence": _finite(scores.confidence, digits=4),
        "scores": {label: _finite(probability, digits=4) for label, probability in ranked},
        "start": _stamp(_local(event.time_s, zone)),
        "duration_s": _finite(event.duration_s),
        "level_dbfs": _finite(event.level_dbfs, digits=1, instead=SILENCE_DBFS),
        "model": _clean(event.model),
        "model_sha256": _clean(event.model_sha256),
    }


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
    if isinstance(value, str):  # the name of a device may contain bytes that are not UTF-8
        return value.encode("utf-8", "replace").decode()
    return value
