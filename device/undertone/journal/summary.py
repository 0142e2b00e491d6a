"""Totals of a part of the journal, added up line by line or summary by summary."""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from undertone.events import (
    DaysRemoved,
    DiskRefused,
    Event,
    EventsLost,
    Gap,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Time,
)

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Counts = dict[str, Count]
"""Segments by verdict."""

_Group = TypeVar("_Group", str, int, date)


class Tally(msgspec.Struct, forbid_unknown_fields=True):
    """How many segments had one verdict, and their total length."""

    segments: Count = 0
    speech_s: Seconds = 0.0


class Activation(msgspec.Struct, forbid_unknown_fields=True):
    """The activation of the segments that have one, added up."""

    segments: Count = 0
    total: Annotated[float, Meta(ge=0)] = 0.0

    @property
    def mean(self) -> float | None:
        """The mean, 0 to 1; None if no segment has an activation."""
        return min(1.0, self.total / self.segments) if self.segments else None

    def add(self, activation: float) -> None:
        """Add a segment's."""
        self.segments += 1
        self.total += activation

    def follow(self, more: "Activation") -> None:
        """Add those of other segments."""
        self.segments += more.segments
        self.total += more.total


class Runs(msgspec.Struct, forbid_unknown_fields=True):
    """How long each run listened, as far as a part of the journal shows.

    The *head* is the lines before the first ``start``: they belong to a run that began earlier.  A
    run without a ``stop`` (a power cut, or it still listens) counts up to its last line; of one
    that began before this part, only what is in it counts.
    """

    started: bool = False
    head_end: Time | None = None
    """The time of the last line of the head, if a ``start`` follows."""
    head_stop: tuple[Time, Seconds] | None = None
    """The first ``stop`` in the head: its time and its ``listened_s``."""
    ended_s: Seconds = 0.0
    """Total of the runs that began and ended in this part."""
    open_since: Time | None = None
    """When the run began that has not ended."""

    def start(self, time: datetime, last: datetime | None) -> None:
        """Add a ``start``; ``last`` is the time of the line before it."""
        if self.started:
            self.ended_s += _seconds(self.open_since, last)
        else:
            self.started, self.head_end = True, last
        self.open_since = time

    def stop(self, time: datetime, listened_s: float) -> None:
        """Add a ``stop``, which ends the current run."""
        if not self.started:
            self.head_stop = self.head_stop or (time, listened_s)
        elif self.open_since:
            self.ended_s += listened_s
            self.open_since = None

    def follow(self, later: "Runs", last: datetime | None) -> None:
        """Add the part that comes next; ``last`` is the time of the last line before it."""
        if later.head_stop:
            self.stop(*later.head_stop)
        if not later.started:
            return
        head_end = later.head_end or last
        if self.started:
            self.ended_s += _seconds(self.open_since, head_end)
        else:
            self.started, self.head_end = True, head_end
        self.ended_s += later.ended_s
        self.open_since = later.open_since

    def listened_s(self, first: datetime | None, last: datetime | None) -> float:
        """The total; ``first`` and ``last`` are the times of the first and last line."""
        if self.head_stop:
            stopped, listened_s = self.head_stop
            head_s = min(listened_s, _seconds(first, stopped))
        else:
            head_s = _seconds(first, self.head_end if self.started else last)
        return head_s + self.ended_s + _seconds(self.open_since, last)


class Summary(msgspec.Struct, forbid_unknown_fields=True):
    """Totals of lines; hours and days are local to where they were written.

    ``hours``: segments by verdict in each hour, ``2026-11-21T18``; ``activations``: of those hours
    in which a segment has an activation.
    ``state``: the kind and the time of the last event that starts, ends or interrupts listening;
    also ``stop`` where a killed program wrote none, once the next one has started (BySource).
    """

    first: Time | None = None
    last: Time | None = None
    runs: Runs = msgspec.field(default_factory=Runs)
    verdicts: dict[str, Tally] = msgspec.field(default_factory=dict)
    hours: dict[str, Counts] = msgspec.field(default_factory=dict)
    activations: dict[str, Activation] = msgspec.field(default_factory=dict)
    state: tuple[str, Time] | None = None
    gaps: Count = 0
    lost_samples: Count = 0
    sources_lost: Count = 0
    missed_s: Seconds = 0.0
    disk_refusals: Count = 0
    lost_events: Count = 0
    damaged: Count = 0
    """Lines that are not events."""

    @property
    def segments(self) -> int:
        """The number of segments, with the uncertain ones."""
        return sum(tally.segments for tally in self.verdicts.values())

    @property
    def listened_s(self) -> float:
        """Seconds of listening."""
        return self.runs.listened_s(self.first, self.last)

    @property
    def by_hour(self) -> dict[int, Counts]:
        """Segments by verdict in each hour of the day, over all days."""
        return self._grouped(_hour)

    @property
    def by_day(self) -> dict[date, Counts]:
        """Segments by verdict on each day."""
        return self._grouped(_day)

    def _grouped(self, group: Callable[[str], _Group]) -> dict[_Group, Counts]:
        groups: dict[_Group, Counts] = {}
        for hour, counts in self.hours.items():
            _add_counts(groups.setdefault(group(hour), {}), counts)
        return dict(sorted(groups.items()))

    @property
    def activation(self) -> float | None:
        """The mean activation of all segments that have one, 0 to 1; None if none has."""
        return self._activations(lambda hour: "").get("")

    @property
    def activation_by_hour(self) -> dict[int, float]:
        """The mean activation in those hours of the day that have one, over all days."""
        return self._activations(_hour)

    @property
    def activation_by_day(self) -> dict[date, float]:
        """The mean activation on those days that have one."""
        return self._activations(_day)

    def _activations(self, group: Callable[[str], _Group]) -> dict[_Group, float]:
        groups: dict[_Group, Activation] = {}
        for hour, activation in self.activations.items():
            groups.setdefault(group(hour), Activation()).follow(activation)
        means = {key: each.mean for key, each in sorted(groups.items())}
        return {key: mean for key, mean in means.items() if mean is not None}

    @property
    def is_consistent(self) -> bool:
        """Whether its counts agree with each other and its hours are valid."""
        try:
            by_hours = sum(sum(counts.values()) for counts in self.by_day.values())
            hours = set(self.by_hour) <= set(range(24))
        except ValueError:
            return False
        activations = all(
            each.total <= each.segments <= sum(self.hours.get(hour, {}).values())
            for hour, each in self.activations.items()
        )
        return hours and activations and by_hours == self.segments

    def share(self, verdict: str) -> float:
        """The share of all segments with this verdict, 0 to 1."""
        tally = self.verdicts.get(verdict)
        return tally.segments / self.segments if tally else 0.0

    def to_json(self) -> str:
        """One JSON object: every count under its name, and the total segments and seconds."""
        values = msgspec.to_builtins(self)
        for internal in ("runs", "state"):
            del values[internal]
        values["activations"] = {
            hour: round(mean, 3) for hour, mean in self._activations(lambda hour: hour).items()
        }
        mean = self.activation
        totals = {
            "segments": self.segments,
            "listened_s": round(self.listened_s, 3),
            "activation": None if mean is None else round(mean, 3),
        }
        return json.dumps(totals | values)

    def add(self, event: Event | None) -> None:
        """Add the next line's event; None is a damaged line, and a demonstration counts nothing."""
        if event and event.demonstration:
            return
        match event:
            case SegmentEnded():
                tally = self.verdicts.get(event.verdict)
                if tally is None:
                    tally = self.verdicts[event.verdict] = Tally()
                tally.segments += 1
                tally.speech_s += event.duration_s
                hour = event.time.isoformat()[:13]
                counts = self.hours.setdefault(hour, {})
                counts[event.verdict] = counts.get(event.verdict, 0) + 1
                if event.activation is not None:
                    self.activations.setdefault(hour, Activation()).add(event.activation)
            case None:
                self.damaged += 1
                return
            case DaysRemoved():  # has nothing to do with what was listened to
                return
            case Started():
                self.runs.start(event.time, self.last)
            case Stopped():
                self.runs.stop(event.time, event.listened_s)
            case Gap():
                self.gaps += 1
                self.lost_samples += event.lost_samples
            case SourceLost():
                self.sources_lost += 1
            case SourceBack():
                self.missed_s += event.missed_s
            case EventsLost():
                self.lost_events += event.lost_events
            case DiskRefused():
                self.disk_refusals += 1
        if isinstance(event, Started | Stopped | SourceLost | SourceBack):
            self.state = (event.kind, event.time)
        if self.first is None:
            self.first = event.time
        self.last = event.time

    def follow(self, later: "Summary") -> None:
        """Add the summary of the lines that come next."""
        self.runs.follow(later.runs, self.last)
        self.first = self.first or later.first
        self.last = later.last or self.last
        for verdict, tally in later.verdicts.items():
            mine = self.verdicts.setdefault(verdict, Tally())
            mine.segments += tally.segments
            mine.speech_s += tally.speech_s
        for hour, counts in later.hours.items():
            _add_counts(self.hours.setdefault(hour, {}), counts)
        for hour, activation in later.activations.items():
            self.activations.setdefault(hour, Activation()).follow(activation)
        self.state = later.state or self.state
        self.gaps += later.gaps
        self.lost_samples += later.lost_samples
        self.sources_lost += later.sources_lost
        self.missed_s += later.missed_s
        self.disk_refusals += later.disk_refusals
        self.lost_events += later.lost_events
        self.damaged += later.damaged


def _hour(hour: str) -> int:
    return int(hour[11:])


def _day(hour: str) -> date:
    return date.fromisoformat(hour[:10])


def _add_counts(total: Counts, more: Counts) -> None:
    for verdict, count in more.items():
        total[verdict] = total.get(verdict, 0) + count


def _seconds(start: datetime | None, end: datetime | None) -> float:
    """From ``start`` to ``end``; 0 if the clock was set back in between."""
    return max(0.0, (end - start).total_seconds()) if start and end else 0.0
