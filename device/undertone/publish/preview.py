"""What would be sent, without sending it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from undertone.journal.tail import Entry, JournalTail, Position
from undertone.publish import homeassistant, messages
from undertone.publish.messages import ONLINE, Message
from undertone.publish.sources import Sources


def mqtt_messages(topic: str, journal: Path, now: datetime) -> Iterator[Message]:
    """What a connection begins with, and the newest segment of the journal, or an example of one.

    Raises JournalError if the journal exists and can't be read.
    """
    sources, newest = Sources(), None
    for entry in JournalTail(journal, {}).catch_up():
        if entry.content is not None:
            sources = sources.after(entry.content)
            newest = entry if entry.content["event"] == "segment" else newest
    if newest is None:
        newest = _example(now)
    if not sources.by_name and newest.content:
        sources = sources.after(newest.content)
    yield messages.availability(topic, ONLINE)
    for name, source in sources.by_name.items():
        yield from homeassistant.discovery(topic, name, source)
    for name, source in sources.by_name.items():
        yield from homeassistant.state(topic, name, source)
    yield messages.event(topic, sources.of(newest.content or {}), newest)


def _example(now: datetime) -> Entry:
    time = now.isoformat(timespec="milliseconds")
    content = {
        "event": "segment",
        "time": time,
        "label": "happy",
        "verdict": "happy",
        "confidence": 0.8,
        "scores": {"happy": 0.8, "neutral": 0.2},
        "start": time,
        "duration_s": 0.0,
        "level_dbfs": -40.0,
        "model": "example",
        "model_sha256": "0" * 64,
    }
    return Entry("example", "", Position(0, ""), content)
