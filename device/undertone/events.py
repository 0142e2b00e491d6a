"""The events that the listener hands to its sinks, and what else a source or a view needs.

An event is one line of the journal: its fields are the line's keys, and their types say what is
accepted when a line is read.  The key ``event`` names the kind.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

UNCERTAIN = "uncertain"

SILENCE_DBFS = -120.0
"""The level stated for digital silence, which has none."""

_LARGEST_INTEGER = 2**53
"""JSON's integers are exact up to here (RFC 8259, section 6)."""

_LARGEST_NUMBER = 1e10
"""Three centuries in seconds; sums of what is read stay finite."""

Time = Annotated[datetime, Meta(tz=True)]
_Number = Annotated[float, Meta(gt=-_LARGEST_NUMBER, lt=_LARGEST_NUMBER)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Count = Annotated[int, Meta(ge=0, le=_LARGEST_INTEGER)]
_Seconds = Annotated[float, Meta(ge=0, lt=_LARGEST_NUMBER)]


def moment(time_s: float) -> datetime:
    """POSIX seconds as a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(time_s, 3), UTC)


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The classifier's probabilities for speech, compared with a threshold.

    label: the most probable emotion.  verdict: that label or ``uncertain``.
    reason: why the sound can't be classified, whatever the scores are; None if it can.
    confidence: the probability of ``label``.
    scores: a probability for each label; they sum to 1.
    activation: how excited the voice is, from 0 to 1; None if the labels do not tell.
    """

    label: str
    verdict: str
    reason: str | None = None
    confidence: float
    scores: dict[str, float]
    activation: float | None = None

    @classmethod
    def of(
        cls,
        scores: dict[str, float],
        threshold: float = 0.0,
        reason: str | None = None,
        activation: float | None = None,
        without_verdict: Collection[str] = (),
    ) -> "Verdict":
        """The verdict on ``scores``.

        It is ``uncertain`` if the confidence is below ``threshold``, or if ``without_verdict``
        has the label.
        """
        label = max(scores, key=scores.__getitem__)
        certain = reason is None and scores[label] >= threshold and label not in without_verdict
        return cls(
            label=label,
            verdict=label if certain else UNCERTAIN,
            reason=reason,
            confidence=scores[label],
            scores=scores,
            activation=activation,
        )


class _Marked(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True, gc=False
):
    """Of every event, given by name; so it comes after the fields of each kind."""

    recording: bool = False
    demonstration: bool = False


class Event(_Marked, frozen=True):
    """What happened, and when: each kind of event is a class of its own.

    time: when it was complete.
    recording: whether it belongs to a recording, whose own time it has.
    demonstration: whether that is the packaged sample, which no summary counts.
    """

    time: Time

    @property
    def kind(self) -> str:
        """The value of the key ``event``."""
        return str(self.__struct_config__.tag)


class Started(Event, frozen=True, tag="start"):
    """Listening has begun, to this source with this model."""

    source: str
    model: str
    model_sha256: str
    version: str


class SegmentEnded(Event, frozen=True, kw_only=True, tag="segment"):
    """One segment of speech has ended and has its verdict, whose fields are those of Verdict.

    source: what was listened to, here and in the other events; None in lines of older versions.
    """

    label: str
    verdict: str
    reason: str | None = None
    confidence: _Share
    scores: dict[str, _Share]
    activation: _Share | None = None
    start: Time
    duration_s: _Seconds
    level_dbfs: _Number
    source: str | None = None
    model: str
    model_sha256: str

    @classmethod
    def of(
        cls,
        start_s: float,
        duration_s: float,
        level_dbfs: float,
        verdict: Verdict,
        model: str,
        model_sha256: str,
        source: str | None = None,
    ) -> "SegmentEnded":
        """The event of a segment that began at ``start_s`` (POSIX seconds)."""
        return cls(
            **msgspec.structs.asdict(verdict),
            time=moment(start_s + duration_s),
            start=moment(start_s),
            duration_s=duration_s,
            level_dbfs=level_dbfs,
            source=source,
            model=model,
            model_sha256=model_sha256,
        )


class Gap(Event, frozen=True, tag="gap"):
    """Samples were lost: dropped under load, or by the driver."""

    lost_samples: _Count
    reason: str
    source: str | None = None


class SourceLost(Event, frozen=True, tag="source-lost"):
    """The microphone or stream no longer delivers sound."""

    source: str
    reason: str


class SourceBack(Event, frozen=True, tag="source-back"):
    """The microphone or stream delivers sound again."""

    source: str
    missed_s: _Seconds


class Stopped(Event, frozen=True, tag="stop"):
    """Listening to a source has ended; the totals of this run."""

    reason: str
    listened_s: _Seconds
    segments: _Count
    source: str | None = None


class EventsLost(Event, frozen=True, tag="events-lost"):
    """A note by the journal: events that could not be written and were too many to keep."""

    lost_events: _Count
    reason: str


class DiskRefused(Event, frozen=True, tag="disk-refused"):
    """A note by the journal: the disk refused the events that follow for a while.

    ``time`` is that of the first event that waited.
    """

    refused_s: _Seconds
    reason: str


class DaysRemoved(Event, frozen=True, tag="days-removed"):
    """A note by the journal: the files of these days were removed because of their age or size.

    days: dates with commas between them, in the order in which they were written.
    """

    days: str
    reason: str


@dataclass(frozen=True, slots=True)
class Idle:
    """A live source delivers nothing at the moment, whether it is lost or not; never stored."""

    time_s: float


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A live source has delivered all that there is: its reader may rest before it takes more."""


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The present state, for a live view: level, clipping, the segment under way; never stored.

    provisional: may run the classifier, so only a sink that shows the verdict calls it, and only
        while it observes this status.
    source: which of several sources it is about.
    """

    time_s: float
    listened_s: float
    level_dbfs: float
    clips: bool
    speaking: bool
    provisional: Callable[[], Verdict | None]
    source: str = ""


class Sink(Protocol):
    """Receives every event, and the status of every moment; a subclass may ignore some of them."""

    def handle(self, event: Event) -> None:
        """Receive one event."""
        return

    def observe(self, status: LiveStatus) -> None:
        """Receive the present status, after every block and while a live source is idle."""
        return

    def close(self) -> None:
        """Finish: no event follows."""
        return
