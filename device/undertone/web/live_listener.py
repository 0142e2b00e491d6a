"""The server's listener: one microphone, one thread, one writer of the journal."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import date
from threading import Event as Flag
from threading import Lock, Thread

from undertone import sources
from undertone.audio.block import SourceItem
from undertone.events import Event, LiveStatus, Sink, Verdict
from undertone.journal.sink import JournalSink
from undertone.journal.writer import JournalWriter
from undertone.listener import Listener
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.stored_voice import Origin, VoiceSink, voice_path
from undertone.web.models import Model, Settings

_KEPT_EVENTS = 200
_STOP_TIMEOUT_S = 5.0


class LiveListener(Sink):
    """Listens on behalf of all visitors, and keeps the latest events as a sink."""

    def __init__(self) -> None:
        self.source = ""
        self.status: LiveStatus | None = None
        """The current state, while it listens."""
        self.provisional: Verdict | None = None
        """Of the segment that is under way."""
        self.events: deque[Event] = deque(maxlen=_KEPT_EVENTS)
        self._thread: Thread | None = None
        self._stop = Flag()
        self._changing = Lock()

    @property
    def listening(self) -> bool:
        """Whether it is listening."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, settings: Settings, model: Model, sample: bool) -> None:
        """Listen to the microphone, or to the packaged sample, and write the journal.

        Raises UndertoneError if there is no microphone, or if another process is listening.
        """
        with self._changing:
            day = date.today() if sample else None
            journal = JournalSink(  # whose lock permits one listener at a time
                JournalWriter(
                    settings.journal, settings.limits, recording_day=day, demonstration=sample
                )
            )
            try:
                source = _open(settings, sample)
                self.source = source.name
                self.status = None
                self.events.clear()
                self._stop = Flag()
                manifest = model.bundle.manifest
                pipeline = Pipeline(model.classifier, threshold=settings.threshold, learns=True)
                sinks: list[Sink] = [journal, self]
                if model.classifier.knows_voices and not sample:
                    origin = Origin.of(manifest, source.name, settings.gain_db, settings.channel)
                    sinks.append(VoiceSink(pipeline, voice_path(source.name), origin))
                listener = Listener({source.name: pipeline}, manifest, sinks, source.clock)
                items = _until(self._stop, source.items)
                self._thread = Thread(target=listener.run, args=[items], daemon=True)
                self._thread.start()
            except BaseException:
                journal.close()
                raise

    def stop(self) -> None:
        """Stop listening; when this returns, all events are in the journal."""
        with self._changing:
            self._stop.set()
            if self._thread:
                self._thread.join(_STOP_TIMEOUT_S)

    def handle(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)

    def observe(self, status: LiveStatus) -> None:
        """Keep the current state."""
        self.provisional = status.provisional()
        self.status = status

    def close(self) -> None:
        """Forget the state: listening has ended."""
        self.status = None


def _open(settings: Settings, sample: bool) -> sources.Source:
    if sample:
        return sources.packaged_sample(time.sleep)
    return sources.open_microphone(settings.microphone, settings.channel, settings.gain_db)


def _until(stop: Flag, items: Iterable[tuple[str, SourceItem]]) -> Iterator[tuple[str, SourceItem]]:
    for item in items:
        if stop.is_set():
            raise KeyboardInterrupt("stopped on the page")
        yield item
