"""What all visitors of the page share: the models, the journal, the listener, and two locks."""

from dataclasses import dataclass, field
from threading import Lock

from undertone.journal.days import Days
from undertone.journal.follow import Follower
from undertone.web.live_listener import LiveListener
from undertone.web.models import Models, Settings

_REMEMBERED_RECORDS = 200
_REMEMBERED_SEGMENTS = 2000


@dataclass(frozen=True)
class AppState:
    """One instance per server.

    has_password: whether visitors have logged in.
    working: held while a file is classified or a model is measured, so that any number of visitors
        uses the memory and processor time of one.
    polling: held around ``follower`` and ``days``.
    visitors: identifiers of the visitors' sessions.
    """

    settings: Settings
    models: Models
    listener: LiveListener
    follower: Follower
    days: Days
    has_password: bool
    working: Lock = field(default_factory=Lock)
    polling: Lock = field(default_factory=Lock)
    visitors: set[str] = field(default_factory=set)


_app_state: AppState | None = None


def create_app_state(settings: Settings, models: Models, has_password: bool) -> AppState:
    """Create the state that the pages use from now on."""
    global _app_state
    follower = Follower(settings.journal, _REMEMBERED_RECORDS)
    days = Days(settings.journal, _REMEMBERED_SEGMENTS)
    _app_state = AppState(settings, models, LiveListener(), follower, days, has_password)
    return _app_state


def app_state() -> AppState:
    """The state of this server."""
    assert _app_state is not None
    return _app_state
