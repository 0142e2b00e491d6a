"""The journal as a sink of the listener."""

import logging
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from undertone.errors import UndertoneError
from undertone.events import Event, Sink
from undertone.journal.writer import JournalWriter

_log = logging.getLogger(__name__)


class JournalSink(Sink):
    """Writes every event on a thread of its own.

    So a slow disk never delays the listening, and an event that waits is written in time even if
    the source delivers nothing more.
    """

    def __init__(self, writer: JournalWriter) -> None:
        """Take ``writer`` over, and close it at the end."""
        self._writer = writer
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def handle(self, event: Event) -> None:
        """Append the event."""
        self._events.put(event)

    def close(self) -> None:
        """Write everything; raise the first error that occurred, JournalError for lost events."""
        self._events.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        ended = False
        while not ended:
            try:
                with suppress(Empty):
                    event = self._events.get(timeout=self._writer.wait_s)
                    ended = event is None
                    if event:
                        self._writer.write(event)
                if ended:
                    self._writer.close()
                else:
                    self._writer.tick()
            except Exception as error:
                if not (self._error or isinstance(error, UndertoneError)):
                    _log.exception("an event could not be written to the journal")
                self._error = self._error or error
