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

    working: held while a file is judged or a model is measured, so that any number of visitors
        takes the memory and the processor time of one.  polling: held around ``follower``.
    """

    settings: Settings
    models: Models
    ears: LiveListener
    follower: Follower
    working: Lock = field(default_factory=Lock)
    polling: Lock = field(default_factory=Lock)


_house: AppState | None = None


def furnish(settings: Settings, models: Models) -> AppState:
    """Make the house that the pages show from now on."""
    global _house
    _house = AppState(
        settings, models, LiveListener(), Follower(settings.journal, _REMEMBERED_RECORDS)
    )
    return _house


def app_state() -> AppState:
    """The one of this server."""
    assert _house is not None
    return _house
