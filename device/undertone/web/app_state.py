"""What all visitors of the page share: the models, the journal, the ears, and one place to work."""

from dataclasses import dataclass, field
from threading import Lock

from undertone.journal.follow import Follower
from undertone.web.live_listener import LiveListener
from undertone.web.models import Models, Settings

_REMEMBERED_RECORDS = 200


@dataclass(frozen=True)
class AppState:
    """One for the server.

    has_password: whether visitors have logged in.
    working: held while a file is judged or a model is measured, so that any number of visitors
        takes the memory and the processor time of one.
    polling: held around ``follower``.
    visitors: the identifiers of their sessions.
    """

    settings: Settings
    models: Models
    ears: LiveListener
    follower: Follower
    has_password: bool
    working: Lock = field(default_factory=Lock)
    polling: Lock = field(default_factory=Lock)
    visitors: set[str] = field(default_factory=set)


_house: AppState | None = None


def furnish(settings: Settings, models: Models, has_password: bool) -> AppState:
    """Make the house that the pages show from now on."""
    global _house
    follower = Follower(settings.journal, _REMEMBERED_RECORDS)
    _house = AppState(settings, models, LiveListener(), follower, has_password)
    return _house


def app_state() -> AppState:
    """The one of this server."""
    assert _house is not None
    return _house
