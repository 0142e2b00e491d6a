"""Publishes the journal to an MQTT broker, each event once and in order."""

import logging
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from threading import Event as Flag
from typing import Literal, NamedTuple

import msgspec

from undertone.events import Event
from undertone.journal.lock import is_locked
from undertone.journal.tail import JournalTail, Position
from undertone.publish import homeassistant, messages
from undertone.publish.broker import Broker, Connection, DisconnectedError
from undertone.publish.sources import Sources
from undertone.publish.store import Store

_log = logging.getLogger(__name__)

_POLL_S = 1.0
_BATCH = 20
"""Events between two writings of the cursor, at most."""

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_GRACE_S = 2.0


class MqttState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is stored: the cursor, and the state of the sources at it."""

    version: Literal[1]
    positions: dict[str, Position]
    sources: Sources


class Shown(NamedTuple):
    """What the topics of state show: the sources, whether any is listened to, and the day."""

    sources: Sources
    is_up: bool
    today: date


class MqttPublisher:
    """Follows the journal and publishes its lines, and the state that follows from them.

    The cursor moves when the broker has acknowledged an event, which is only then followed by the
    next one: if a connection is lost, one event at most is in doubt, and is sent again.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str,
        journal: Path,
        store: Store[MqttState],
        today: Callable[[], date] = date.today,
    ) -> None:
        """Raises PublishError if the stored cursor can't be read, JournalError for the journal.

        Without a stored cursor only what is written from now on is published.
        """
        self.broker = broker
        self._topic = topic
        self._store = store
        self._today = today
        stored = store.load()
        self._tail = JournalTail(journal, stored.positions if stored else {})
        self.sources = stored.sources if stored else Sources()
        self._problem: str | None = "it was not tried yet"
        if not stored:
            for entry in self._tail.catch_up():
                if entry.event is not None:
                    self.sources = self.sources.after(entry.event)
            self._save()

    def run(self, stop: Flag, clock: Callable[[], float] = time.monotonic) -> None:
        """Publish until ``stop`` is set; a broker that is absent is tried again and again.

        Raises JournalError if the journal can't be read.
        """
        delay_s = _FIRST_DELAY_S
        while not stop.is_set():
            try:
                connection = Connection(self.broker, self._topic)
            except DisconnectedError as error:
                self._report(str(error))
                stop.wait(delay_s)
                delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
                continue
            if self._problem is not None:
                _log.warning("connected to the broker %s", self.broker)
                self._problem = None
            delay_s = _FIRST_DELAY_S
            try:
                self._serve(connection, stop, clock)
            except DisconnectedError as error:
                if not stop.is_set():
                    self._report(str(error))
                    stop.wait(delay_s)
            finally:
                self._save()
                connection.close()

    def _serve(self, connection: Connection, stop: Flag, clock: Callable[[], float]) -> None:
        stopped_s: float | None = None

        def given_up() -> bool:
            nonlocal stopped_s
            if stopped_s is None and stop.is_set():
                stopped_s = clock()
            return stopped_s is not None and clock() > stopped_s + _GRACE_S

        sent: Shown | None = None
        while not stop.is_set():
            if connection.born:
                connection.born = False
                sent = None
                self._introduce(connection, self.sources, *self.sources.by_name)
            entries = self._tail.read(_BATCH)
            for entry in entries:
                if entry.event is not None:
                    self._publish(connection, entry.event, entry.id, given_up)
                    self.sources = self.sources.after(entry.event)
                self._tail.done(entry)
                if stop.is_set():
                    break
            if entries:
                self._save()
            shown = Shown(self.sources, is_locked(self._tail.folder), self._today())
            if shown != sent:
                self._send_state(connection, shown, sent)
                sent = shown
            if not entries:
                connection.wait(_POLL_S)

    def _publish(
        self, connection: Connection, event: Event, id_: str, given_up: Callable[[], bool]
    ) -> None:
        name = self.sources.of(event)
        if name is not None:
            before, after = self.sources.by_name.get(name), self.sources.after(event)
            if before is None or before.described != after.by_name[name].described:
                self._introduce(connection, after, name)
        connection.deliver(messages.event(self._topic, name, event, id_), given_up)

    def _introduce(self, connection: Connection, sources: Sources, *names: str) -> None:
        for name in names:
            source = sources.by_name[name]
            if source.is_former:  # its device may have been deleted in Home Assistant
                continue
            for message in homeassistant.discovery(self._topic, name, source):
                connection.send(message)

    def _send_state(self, connection: Connection, shown: Shown, sent: Shown | None) -> None:
        """Send the state of each source that is not shown as it was ``sent``."""
        sources, is_up, today = shown
        known = sent.sources.by_name if sent and sent[1:] == (is_up, today) else {}
        for name, source in sources.by_name.items():
            if source != known.get(name):
                for message in homeassistant.state(
                    self._topic, name, source, is_up=is_up, today=today
                ):
                    connection.send(message)

    def _save(self) -> None:
        self._store.save(MqttState(1, self._tail.positions, self.sources))

    def _report(self, reason: str) -> None:
        if reason != self._problem:
            _log.warning("can't publish to %s: %s; it is tried again", self.broker, reason)
        self._problem = reason
