"""The values that travel from the pipeline to its sinks.

Times are POSIX seconds; sinks write them as RFC 3339 with the UTC offset.  ``kind`` is the
journal's key ``event``; live-only values (:class:`LiveStatus`) have none and are never stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

UNCERTAIN = "uncertain"
NO_SPEECH = "no-speech"

SILENCE_DBFS = -120.0
"""The level stated for digital silence, which has none."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the classifier says of one stretch of speech: label to probability, summing to 1."""

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
    """Scores judged by the bundle's threshold: ``verdict`` is the label or ``uncertain``.

    reason: why the sound can't be judged, whatever the scores say; None where it can.
    """

    scores: Scores
    verdict: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The listening began: on which source, with which model."""

    kind: ClassVar[str] = "start"
    time_s: float
    source: str
    model: str
    model_sha256: str
    version: str


@dataclass(frozen=True, slots=True)
class SegmentHeard:
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
    """Samples that were lost: dropped under load or overflowed in the driver."""

    kind: ClassVar[str] = "gap"
    time_s: float
    lost_samples: int
    reason: str


@dataclass(frozen=True, slots=True)
class SourceLost:
    """The microphone stopped giving sound."""

    kind: ClassVar[str] = "source-lost"
    time_s: float
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceBack:
    """The microphone gives sound again."""

    kind: ClassVar[str] = "source-back"
    time_s: float
    source: str
    missed_s: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The listening ended; totals of this run."""

    kind: ClassVar[str] = "stop"
    time_s: float
    reason: str
    listened_s: float
    segments: int


@dataclass(frozen=True, slots=True)
class Idle:
    """A live source has nothing to give at the moment, lost, muted or not; never stored."""

    time_s: float


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A live source has given all that there is; its reader may rest before it asks for more."""


Event = Started | SegmentHeard | Gap | SourceLost | SourceBack | Stopped


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """Now, for a live view only: level, clipping, the open segment's provisional verdict.

    provisional: may run the classifier, so only a sink that shows the verdict calls it, and only
        while it observes this status.
    """

    time_s: float
    listened_s: float
    level_dbfs: float
    clips: bool
    speaking: bool
    provisional: Callable[[], Verdict | None]
