"""The journal as a sink of the listener."""

from undertone.events import Event, LiveStatus
from undertone.journal.writer import JournalWriter


class JournalSink:
    """Writes every event; the present moment only drives the batched writing."""

    def __init__(self, writer: JournalWriter) -> None:
        """Take over ``writer`` and close it in the end."""
        self._writer = writer

    def handle(self, event: Event) -> None:
        """Append the event."""
        self._writer.write(event)

    def observe(self, status: LiveStatus) -> None:
        """Write what has waited long enough."""
        self._writer.tick()

    def close(self) -> None:
        """Write everything."""
        self._writer.close()
