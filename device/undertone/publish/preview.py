"""What would be sent, without sending it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from undertone.events import Event, SegmentEnded, Verdict
from undertone.journal.format import placed
from undertone.journal.lock import is_locked
from undertone.journal.tail import JournalTail
from undertone.publish import homeassistant, messages
from undertone.publish.messages import ONLINE, Message
from undertone.publish.sources import Sources


def mqtt_messages(topic: str, journal: Path, now: datetime) -> Iterator[Message]:
    """What a connection begins with, and the newest segment of the journal, or an example of one.

    Raises JournalError if the journal exists and can't be read.
    """
    sources = Sources()
    newest: Event = SegmentEnded.of(
        now.timestamp(), 0.0, -40.0, Verdict.of({"happy": 0.8, "neutral": 0.2}), "example", "0" * 64
    )
    newest, id_ = placed(newest), "example"
    for entry in JournalTail(journal, {}).catch_up():
        if entry.event is not None:
            sources = sources.after(entry.event)
        if isinstance(entry.event, SegmentEnded):
            newest, id_ = entry.event, entry.id
    is_up = is_locked(journal) or not sources.by_name
    if not sources.by_name:
        sources = sources.after(newest)
    yield messages.availability(topic, ONLINE)
    for name, source in sources.by_name.items():
        yield from homeassistant.discovery(topic, name, source)
    for name, source in sources.by_name.items():
        yield from homeassistant.state(topic, name, source, is_up=is_up, today=now.date())
    yield messages.event(topic, sources.of(newest), newest, id_)
