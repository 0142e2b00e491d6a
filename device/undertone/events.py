"""The events that the listener hands to its sinks, and what else a source or a view needs.

Times are POSIX seconds; the journal writes them as RFC 3339 with the UTC offset.  ``kind`` is the
value of the journal's key ``event``; what is never stored has none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

UNCERTAIN = "uncertain"

SILENCE_DBFS = -120.0
"""The level stated for digital silence, which has none."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The classifier's result for speech: a probability for each label; they sum to 1."""

    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        """The most probable emotion."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """Its probability."""
        return self.probabilities[self.label]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Scores compared with a threshold: ``verdict`` is the most probable label or ``uncertain``.

    reason: why the sound can't be classified, whatever the scores are; None if it can.
    """

    scores: Scores
    verdict: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """Listening has begun, to this source with this model."""

    kind: ClassVar[str] = "start"
    time_s: float
    source: str
    model: str
    model_sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """One segment of speech has ended and has its verdict."""

    kind: ClassVar[str] = "segment"
    time_s: float
    duration_s: float
    level_dbfs: float
    verdict: Verdict
    model: str
    model_sha256: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples were lost: dropped under load, or by the driver."""

    kind: ClassVar[str] = "gap"
    time_s: float
    lost_samples: int
    reason: str


@dataclass(frozen=True, slots=True)
class SourceLost:
    """The microphone no longer delivers sound."""

    kind: ClassVar[str] = "source-lost"
    time_s: float
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceBack:
    """The microphone delivers sound again."""

    kind: ClassVar[str] = "source-back"
    time_s: float
    source: str
    missed_s: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """Listening has ended; the totals of this run."""

    kind: ClassVar[str] = "stop"
    time_s: float
    reason: str
    listened_s: float
    segments: int


@dataclass(frozen=True, slots=True)
class Idle:
    """A live source delivers nothing at the moment, whether it is lost or not; never stored."""

    time_s: float


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A live source has delivered all that there is: its reader may rest before it takes more."""


Event = Started | SegmentEnded | Gap | SourceLost | SourceBack | Stopped


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The present state, for a live view: level, clipping, the segment under way; never stored.

    provisional: may run the classifier, so only a sink that shows the verdict calls it, and only
        while it observes this status.
    """

    time_s: float
    listened_s: float
    level_dbfs: float
    clips: bool
    speaking: bool
    provisional: Callable[[], Verdict | None]
