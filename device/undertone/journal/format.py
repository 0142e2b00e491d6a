"""One event, one line of JSON.

A segment's ``time`` is its end, when it became an event, so that lines are in the order of their
times.  Everything that is read is checked: a line is a complete event or none.
"""

import json
import math
from datetime import datetime, tzinfo
from typing import Any, Union

import msgspec

from undertone.events import SILENCE_DBFS, Event, SegmentEnded

_FIRST = ("event", "time", "recording", "demonstration")
"""The keys that every line begins with."""

_DIGITS = {"confidence": 4, "level_dbfs": 1}
"""Decimals of a number, if they aren't three."""

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Union[*Event.__subclasses__()])


def placed(
    event: Event, zone: tzinfo | None = None, recording: bool = False, demonstration: bool = False
) -> Event:
    """``event`` with its times in ``zone`` (None: the local one), as one of a ``recording``."""
    changes = {"time": event.time.astimezone(zone)}
    if isinstance(event, SegmentEnded):
        changes["start"] = event.start.astimezone(zone)
    return msgspec.structs.replace(
        event, recording=recording, demonstration=demonstration, **changes
    )


def values_of(event: Event) -> dict[str, Any]:
    """The keys and values of the line of ``event``: times as text, numbers rounded and finite.

    ``recording`` and ``demonstration`` are there only if true; the most probable label is first.
    """
    fields: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(datetime,))
    values = {key: fields[key] for key in _FIRST if key in fields} | fields
    for key, value in values.items():
        if isinstance(value, datetime):
            values[key] = value.isoformat(timespec="milliseconds")
        elif isinstance(value, float):
            values[key] = _finite(
                value, _DIGITS.get(key, 3), SILENCE_DBFS if key == "level_dbfs" else 0.0
            )
    if scores := values.get("scores"):
        # Rounding can make two scores equal, and the first is the label.
        ranked = sorted(scores.items(), key=lambda score: -score[1])
        values["scores"] = {label: _finite(share, 4) for label, share in ranked}
    return values


def to_line(event: Event) -> str:
    """``event`` as one line of JSON without its newline.

    Every character is printable, so that a file can be shown on a terminal; what is not valid
    Unicode, as bytes in the name of a device, is a question mark.
    """
    line = json.dumps(values_of(event), ensure_ascii=False, allow_nan=False)
    line = line.encode("utf-8", "replace").decode()
    if line.isprintable():
        return line
    # JSON need not escape most characters that move a terminal's cursor or reverse its text.
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in line
    )


def parse_line(line: bytes | str) -> Event | None:
    """The event in ``line``, checked, or None if it is not a complete event."""
    try:
        event = _decoder.decode(line)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        return None
    if not is_a_time(event.time):
        return None
    if isinstance(event, SegmentEnded):
        if not event.scores or event.label != max(event.scores, key=event.scores.__getitem__):
            return None
        if not is_a_time(event.start):
            return None
    return event


def is_a_time(time: datetime) -> bool:
    """Whether a journal may contain it; in any time zone it stays within the calendar."""
    return 1900 <= time.year < 9000


def _finite(value: float, digits: int, instead: float = 0.0) -> float:
    """JSON has neither infinity nor not-a-number."""
    return round(value, digits) if math.isfinite(value) else instead
