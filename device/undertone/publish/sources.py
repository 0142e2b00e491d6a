"""The present state of each source, as the events in the journal change it."""

from typing import Literal

import msgspec
from msgspec.structs import replace

from undertone.events import Event, SegmentEnded, Started
from undertone.journal.by_source import source_of

State = Literal["listening", "microphone lost", "stopped"]
LISTENING: State = "listening"
LOST: State = "microphone lost"
STOPPED: State = "stopped"

_AFTER: dict[str, State] = {
    "start": LISTENING,
    "source-lost": LOST,
    "source-back": LISTENING,
    "stop": STOPPED,
}
"""The state after each kind of event that changes it."""

_MOST = 64
"""Microphones that are remembered, those with the newest events."""

_UNNAMED = "microphone"
"""For a segment whose beginning of the listening is not in the journal any more."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One microphone.

    since, day: RFC 3339 time and date, as in the journal; verdicts: of this day's segments.
    has_activation: whether its segments have that key.
    is_former: whether a program that started later listens to others.
    """

    state: State
    since: str
    model: str = ""
    version: str = ""
    day: str = ""
    verdicts: dict[str, int] = {}
    has_activation: bool = False
    is_former: bool = False

    @property
    def described(self) -> tuple[object, ...]:
        """What the discovery depends on; it is sent again when this changes."""
        return self.model, self.version, self.has_activation, self.is_former


class Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All sources by name; ``latest`` is the one that began last.

    is_beginning: whether the last event was a ``start``; the others of the same run follow it.
    """

    by_name: dict[str, Source] = {}
    latest: str | None = None
    is_beginning: bool = False

    def of(self, event: Event) -> str | None:
        """The source that an event is about; None for one about the journal itself."""
        return source_of(event, self.latest or _UNNAMED)

    def after(self, event: Event) -> "Sources":
        """The state after the next event of the journal."""
        name = self.of(event)
        if name is None:
            return self
        time = event.time.isoformat(timespec="milliseconds")
        source = self.by_name.get(name) or Source(LISTENING, time)
        if state := _AFTER.get(event.kind):
            source = replace(source, state=state, since=time)
        if isinstance(event, Started):
            source = replace(source, model=event.model, version=event.version, is_former=False)
        elif isinstance(event, SegmentEnded):
            source = _counted(source, time[:10], event)
        begins = isinstance(event, Started)
        others = {key: other for key, other in self.by_name.items() if key != name}
        if begins and not self.is_beginning:  # the run before it may have been killed
            others = {key: _ended(other, time) for key, other in others.items()}
        newest = list(others.items())[1 - _MOST :]
        return Sources({**dict(newest), name: source}, name if begins else self.latest, begins)


def _ended(source: Source, time: str) -> Source:
    since = source.since if source.state == STOPPED else time
    return replace(source, state=STOPPED, since=since, is_former=True)


def _counted(source: Source, day: str, segment: SegmentEnded) -> Source:
    verdicts = source.verdicts if day == source.day else {}
    return replace(
        source,
        day=day,
        verdicts={**verdicts, segment.verdict: verdicts.get(segment.verdict, 0) + 1},
        has_activation=source.has_activation or segment.activation is not None,
    )
