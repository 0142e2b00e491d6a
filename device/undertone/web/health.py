"""Whether this server, its journal and the listener are well, in a few numbers."""

import shutil
from datetime import UTC, datetime

import msgspec

from undertone import __version__
from undertone.web.app_state import AppState


class Health(msgspec.Struct, frozen=True):
    """The state at one moment.

    listener_up: whether a program writes the journal, the server itself or another.
    last_segment_age_s: how long ago the newest segment ended; None if none is known.
    disk_free_bytes: of the journal's disk.
    """

    version: str
    model: str
    model_sha256: str
    listener_up: bool
    last_segment_age_s: float | None
    disk_free_bytes: int


def check_health(state: AppState) -> Health:
    """The state now; raises JournalError if the journal exists and can't be read."""
    folder = state.settings.journal
    recent = state.recent()
    disk = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    age_s = None
    if recent.segments:
        age_s = (datetime.now(UTC) - recent.segments[-1].time).total_seconds()
    manifest = state.models.default.bundle.manifest
    return Health(
        __version__,
        manifest.name,
        manifest.model_sha256,
        recent.is_up,
        age_s and round(max(0.0, age_s), 3),
        shutil.disk_usage(disk).free,
    )
