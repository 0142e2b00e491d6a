"""Events in files that survive a power cut: writing, reading, retention, export."""

from undertone.journal.format import parse_line, to_line
from undertone.journal.reader import JournalReader
from undertone.journal.summary import Summary
from undertone.journal.writer import JournalLimits, JournalWriter

__all__ = [
    "JournalLimits",
    "JournalReader",
    "JournalWriter",
    "Summary",
    "parse_line",
    "to_line",
]
