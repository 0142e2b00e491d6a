"""The topics and payloads: pure functions from events of the journal."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from undertone.events import Event
from undertone.journal.format import values_of

ONLINE, OFFLINE = "online", "offline"

_DIGEST_LENGTH = 6


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to a broker.  Only what holds until it is replaced is ``retained``."""

    topic: str
    payload: str
    retained: bool = False


def check_topic(topic: str) -> str:
    """``topic``, if other topics can begin with it; raises ValueError with a sentence."""
    if not topic or topic.startswith(("/", "$")) or topic.endswith("/") or "//" in topic:
        raise ValueError(f"{topic!r} can't begin a topic; write it like undertone/kitchen")
    if re.search(r"[+#]", topic):
        raise ValueError(f"{topic!r} has a wildcard: + and # are for subscribing only")
    if not topic.isprintable() or len(topic.encode()) > 1000:
        raise ValueError(f"{topic!r} is too long or has a character that can't be printed")
    return topic


def slug(name: str) -> str:
    """``name`` in small letters, digits and underscores, for topics and Home Assistant's ids.

    Names that differ in letters differ here, too: what ASCII lacks is replaced by a digest.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9]+", "_", plain.lower())[:60].strip("_")
    if len(name) <= 60 and all(
        character.isascii() or not character.isalnum() for character in name
    ):
        return short or "source"
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{short}_{digest}".strip("_")


def availability(topic: str, status: str) -> Message:
    """Whether anything is published below ``topic`` at the moment: ONLINE or OFFLINE."""
    return Message(f"{topic}/status", status, retained=True)


def event(topic: str, source: str | None, event: Event, id_: str) -> Message:
    """An event of the journal, with the ``id_`` of its line; never retained.

    One that is not about a source, such as ``disk-refused``, is one level further up.
    """
    path = f"{topic}/{event.kind}" if source is None else f"{topic}/{slug(source)}/{event.kind}"
    return Message(path, to_json({"id": id_, **values_of(event)}))


def to_json(content: Any) -> str:
    """``content`` as JSON."""
    return json.dumps(content, ensure_ascii=False)
