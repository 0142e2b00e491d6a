"""The limits of a journal.  Imported by every command, so this module imports little."""

from dataclasses import dataclass


@dataclass(frozen=True)
class JournalLimits:
    """Limits on the size of a journal and on what it may lose.

    flush_s: age of the oldest event that a power cut may lose; pending_events: events kept in
    memory while the disk refuses them; the others limit one file and the whole folder.
    """

    flush_s: float = 5.0
    max_mb: float = 50.0
    keep_days: int = 400
    keep_mb: float = 1024.0
    pending_events: int = 10_000
