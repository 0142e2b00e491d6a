"""The server's own listening: one microphone, one thread, one writer of the journal."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import date
from threading import Event as Flag
from threading import Lock, Thread

from undertone.audio.microphone import Microphone
from undertone.audio.realtime import Recording
from undertone.events import Event, LiveStatus, Verdict
from undertone.journal import JournalWriter
from undertone.journal.sink import JournalSink
from undertone.listener import Listener, SourceItem
from undertone.recognition.pipeline import Pipeline
from undertone.samples import demonstration
from undertone.web.models import Model, Settings

_REMEMBERED_EVENTS = 200
_PATIENCE_S = 5.0


class LiveListener:
    """Listens, when it is asked to, for all visitors together; and is a sink of what it hears."""

    def __init__(self) -> None:
        """Deaf at first."""
        self.source = ""
        self.status: LiveStatus | None = None
        """The present moment, while it listens."""
        self.provisional: Verdict | None = None
        """On the segment that is under way at this moment."""
        self.events: deque[Event] = deque(maxlen=_REMEMBERED_EVENTS)
        self._thread: Thread | None = None
        self._stop = Flag()
        self._changing = Lock()

    @property
    def listening(self) -> bool:
        """Whether it does."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, settings: Settings, model: Model, sample: bool) -> None:
        """Listen to the microphone, or to the packaged sample, and write the journal.

        Raises UndertoneError where there is no microphone, or where another process listens.
        """
        with self._changing:
            day = date.today() if sample else None
            journal = JournalSink(  # which has the lock: one listener at a time
                JournalWriter(settings.journal, settings.limits, recording_day=day)
            )
            try:
                self.source, items = _open(settings, sample)
                self.status = None
                self.events.clear()
                self._stop = Flag()
                listener = Listener(
                    Pipeline(model.classifier, threshold=settings.threshold),
                    model.bundle.manifest,
                    [journal, self],
                    time.time,
                )
                heard = (_until(self._stop, items), self.source)
                self._thread = Thread(target=listener.run, args=heard, name="ears", daemon=True)
                self._thread.start()
            except BaseException:
                journal.close()
                raise

    def stop(self) -> None:
        """Listen no more; what was heard is in the journal when this returns."""
        with self._changing:
            self._stop.set()
            if self._thread:
                self._thread.join(_PATIENCE_S)

    def handle(self, event: Event) -> None:
        """Remember an event."""
        self.events.append(event)

    def observe(self, status: LiveStatus) -> None:
        """Remember the present moment."""
        self.provisional = status.provisional()
        self.status = status

    def close(self) -> None:
        """The listening has ended."""
        self.status = None


def _open(settings: Settings, sample: bool) -> tuple[str, Iterable[SourceItem]]:
    if sample:
        return "packaged sample", Recording(demonstration(), time.time(), time.sleep)
    microphone = Microphone(settings.microphone, settings.channel, settings.gain_db)
    return microphone.name, microphone


def _until(stop: Flag, source: Iterable[SourceItem]) -> Iterator[SourceItem]:
    for item in source:
        if stop.is_set():
            raise KeyboardInterrupt("stopped on the page")
        yield item
