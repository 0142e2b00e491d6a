"""Totals of a part of the journal for each source: each microphone or stream has its own."""

import msgspec

from undertone.events import DaysRemoved, DiskRefused, Event, EventsLost, Started
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
    """The totals of lines by source; ``latest``: the source of the last ``start``."""

    sources: dict[str, Summary] = msgspec.field(default_factory=dict)
    latest: str = UNNAMED

    @property
    def is_consistent(self) -> bool:
        """Whether the totals of each source are."""
        return all(summary.is_consistent for summary in self.sources.values())

    def add(self, event: Event) -> None:
        """Add the next line's event; a demonstration counts nothing."""
        source = source_of(event, self.latest)
        if source is None or event.demonstration:
            return
        if isinstance(event, Started):
            self.latest = source
        self._of(source).add(event)

    def follow(self, later: "BySource") -> None:
        """Add the totals of the lines that come next."""
        for source, summary in later.sources.items():
            self._of(source or self.latest).follow(summary)
        self.latest = later.latest or self.latest

    def _of(self, source: str) -> Summary:
        return self.sources.setdefault(source, Summary())
