"""Totals of a part of the journal for each source: each microphone or stream has its own."""

import msgspec

from undertone.events import DaysRemoved, DiskRefused, Event, EventsLost, Started, Time
from undertone.journal.summary import Summary

UNNAMED = ""
"""The source of what precedes the first ``start`` of a part: it is named in an earlier part."""


def source_of(event: Event, latest: str) -> str | None:
    """The source that ``event`` is about; None for one about the journal itself.

    latest: that of the last ``start``, to which events without a ``source`` of their own belong.
    """
    if isinstance(event, EventsLost | DiskRefused | DaysRemoved):
        return None
    named: str | None = getattr(event, "source", None)
    return named or latest


class BySource(msgspec.Struct, forbid_unknown_fields=True):
    """The totals of lines by source; a program that starts ends what a killed one listened to.

    latest: the source of the last ``start``; first_start: the time of the first one.
    is_starting: whether the last event is a ``start``; those of the program's other sources follow.
    """

    sources: dict[str, Summary] = msgspec.field(default_factory=dict)
    latest: str = UNNAMED
    first_start: Time | None = None
    is_starting: bool = False

    @property
    def is_consistent(self) -> bool:
        """Whether the totals of each source are."""
        return all(summary.is_consistent for summary in self.sources.values())

    def add(self, event: Event) -> None:
        """Add the next line's event; a demonstration counts nothing."""
        source = source_of(event, self.latest)
        if source is None or event.demonstration:
            return
        starts = isinstance(event, Started)
        if starts:
            if not self.is_starting:
                self._end(event.time)
            self.first_start = self.first_start or event.time
            self.latest = source
        self.is_starting = starts
        self._of(source).add(event)

    def follow(self, later: "BySource") -> None:
        """Add the totals of the lines that come next."""
        if later.first_start:
            self._end(later.first_start)
        for source, summary in later.sources.items():
            self._of(source or self.latest).follow(summary)
        self.latest = later.latest or self.latest
        self.first_start = self.first_start or later.first_start

    def _end(self, time: Time) -> None:
        for summary in self.sources.values():
            if summary.state is None or summary.state[0] != "stop":
                summary.state = "stop", time

    def _of(self, source: str) -> Summary:
        return self.sources.setdefault(source, Summary())
