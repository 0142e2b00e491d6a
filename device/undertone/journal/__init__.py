"""Events in files that survive a power cut: writing, reading, retention, export."""

from undertone.journal.format import (
    DaysRemoved,
    DiskRefused,
    EventsLost,
    Record,
    parse_line,
    to_line,
)
from undertone.journal.reader import JournalReader
from undertone.journal.summary import Summary
from undertone.journal.writer import JournalLimits, JournalWriter

__all__ = [
    "DaysRemoved",
    "DiskRefused",
    "EventsLost",
    "JournalLimits",
    "JournalReader",
    "JournalWriter",
    "Record",
    "Summary",
    "parse_line",
    "to_line",
]
