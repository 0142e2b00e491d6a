"""What a stretch of the journal amounts to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from undertone.events import Gap, SegmentHeard, SourceBack, SourceLost, Started, Stopped
from undertone.journal.format import EventsLost, Record


@dataclass(slots=True)
class Tally:
    """Segments with one verdict, and how long they were together."""

    segments: int = 0
    speech_s: float = 0.0


@dataclass(slots=True)
class Summary:
    """Totals of the records seen; hours and days are those of the place of recording."""

    first: datetime | None = None
    last: datetime | None = None
    listened_s: float = 0.0
    verdicts: dict[str, Tally] = field(default_factory=dict)
    by_hour: dict[int, Counter[str]] = field(default_factory=dict)
    by_day: dict[date, Counter[str]] = field(default_factory=dict)
    gaps: int = 0
    lost_samples: int = 0
    sources_lost: int = 0
    missed_s: float = 0.0
    lost_events: int = 0

    @property
    def segments(self) -> int:
        """All segments heard, uncertain ones among them."""
        return sum(tally.segments for tally in self.verdicts.values())

    def share(self, verdict: str) -> float:
        """The part of all segments that has this verdict, 0 to 1."""
        tally = self.verdicts.get(verdict)
        return tally.segments / self.segments if tally else 0.0


def summarise(records: Iterable[Record]) -> Summary:
    """Add ``records`` up, in one pass and constant memory.

    A run that ended without a word (a power cut, or still listening) counts up to its last
    event; of one that began before the first record, no more counts than came after that.
    """
    summary = Summary()
    began: datetime | None = None  # the run that is open
    start_seen = False
    for record in records:
        event = record.event
        if isinstance(event, Started) or summary.first is None:
            summary.listened_s += _seconds(began, summary.last)
            began, start_seen = record.time, isinstance(event, Started)
        if isinstance(event, Stopped) and began is not None:
            seen_s = event.listened_s if start_seen else _seconds(began, record.time)
            summary.listened_s += min(event.listened_s, seen_s)
            began = None
        _add(summary, record)
    summary.listened_s += _seconds(began, summary.last)
    return summary


def _seconds(start: datetime | None, end: datetime | None) -> float:
    """Zero where the clock was set back in between."""
    return max(0.0, (end - start).total_seconds()) if start and end else 0.0


def _add(summary: Summary, record: Record) -> None:
    summary.first = summary.first or record.time
    summary.last = record.time
    match record.event:
        case SegmentHeard() as event:
            verdict = event.verdict.verdict
            tally = summary.verdicts.setdefault(verdict, Tally())
            tally.segments += 1
            tally.speech_s += event.duration_s
            summary.by_hour.setdefault(record.time.hour, Counter())[verdict] += 1
            summary.by_day.setdefault(record.time.date(), Counter())[verdict] += 1
        case Gap() as event:
            summary.gaps += 1
            summary.lost_samples += event.lost_samples
        case SourceLost():
            summary.sources_lost += 1
        case SourceBack() as event:
            summary.missed_s += event.missed_s
        case EventsLost() as event:
            summary.lost_events += event.lost_events
