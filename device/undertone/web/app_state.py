"""What all visitors of the page share: the models, the journal, the listener, and two locks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from threading import Lock

from undertone.events import SegmentEnded
from undertone.journal.days import Day, Days, together
from undertone.journal.lock import is_locked
from undertone.web.live_listener import LiveListener
from undertone.web.models import Models, Settings

LAST_DAYS = 14
"""Days that the pages show."""

_REMEMBERED_SEGMENTS = 2000

LISTENING, LOST, STOPPED = "listening", "lost", "not listening"
"""The states of a source."""


@dataclass(frozen=True)
class AppState:
    """One instance per server.

    has_password: whether visitors have logged in.
    working: held while a file is classified or a model is measured, so that any number of visitors
        uses the memory and processor time of one.
    reading: held while ``days`` is read.
    visitors: identifiers of the visitors' sessions.
    """

    settings: Settings
    models: Models
    listener: LiveListener
    days: Days
    has_password: bool
    working: Lock = field(default_factory=Lock)
    reading: Lock = field(default_factory=Lock)
    visitors: set[str] = field(default_factory=set)

    def recent(self) -> "Recent":
        """The last :data:`LAST_DAYS` days of the journal; raises JournalError."""
        is_up = is_locked(self.settings.journal)
        with self.reading:
            days = self.days.read(date.today() - timedelta(days=LAST_DAYS - 1))
            total = together(days.values())
            newest = {name: self.days.newest(name) for name in total.by_source.sources}
            return Recent(days, total, is_up, self.days.newest(), newest)


@dataclass(frozen=True)
class Recent:
    """What the journal tells of the last days.

    is_up: whether a program writes it, this server itself or another.
    segments: the newest, oldest first; by_source: those of each source.
    """

    days: Mapping[date, Day]
    total: Day
    is_up: bool
    segments: list[SegmentEnded]
    by_source: Mapping[str, list[SegmentEnded]]

    def state(self, source: str) -> tuple[str, datetime | None]:
        """LISTENING, LOST or STOPPED, and since when, as far as the journal tells."""
        kind, since = self.total.by_source.sources[source].state or (None, None)
        if kind == "stop" or not self.is_up:
            return STOPPED, since if kind == "stop" else None
        return (LOST if kind == "source-lost" else LISTENING), since


_app_state: AppState | None = None


def create_app_state(settings: Settings, models: Models, has_password: bool) -> AppState:
    """Create the state that the pages use from now on."""
    global _app_state
    days = Days(settings.journal, _REMEMBERED_SEGMENTS)
    _app_state = AppState(settings, models, LiveListener(), days, has_password)
    return _app_state


def app_state() -> AppState:
    """The state of this server."""
    assert _app_state is not None
    return _app_state
