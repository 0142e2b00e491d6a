"""The service manager as a sink of the listener."""

import time
from collections.abc import Callable

from undertone.events import (
    Event,
    LiveStatus,
    SegmentEnded,
    Sink,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
)
from undertone.service.notify import Notifier
from undertone.service.signals import RELOAD


class ServiceSink(Sink):
    """Reports to systemd that listening has begun, continues, and ends.

    A keep-alive is sent when the listener reports its status, after each block that went through
    the whole pipeline and after each check of an idle microphone: if one of these hangs, the
    keep-alives stop, and systemd restarts the service.  A lost microphone counts as idle.

    The status counts segments and names no emotion: every user can read it, but the journal only
    its owner and group.
    """

    def __init__(
        self, manager: Notifier, steady_clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``steady_clock`` gives CLOCK_MONOTONIC in seconds, which systemd uses too."""
        self._manager = manager
        self._clock = steady_clock
        self._ready = False
        self._alive_s = steady_clock()
        self._sources: list[str] = []
        self._lost: dict[str, str] = {}  # by source, the reason
        self._segments = 0

    def handle(self, event: Event) -> None:
        """Report what the event changes."""
        match event:
            case Started():
                self._sources.append(event.source)
            case SegmentEnded():
                self._segments += 1
                self._manager.send(self._status())
            case SourceLost():
                self._lost[event.source] = event.reason
                self._manager.send(self._status())
            case SourceBack():
                self._lost.pop(event.source, None)
                self._manager.send(self._status())
            case Stopped(reason=reason) if reason == RELOAD:
                # systemd 253 and later need the time too, for Type=notify-reload
                self._manager.send("RELOADING=1", f"MONOTONIC_USEC={self._clock() * 1e6:.0f}")
            case Stopped():
                self._manager.send("STOPPING=1", f"STATUS=Ended: {event.reason}")

    def observe(self, status: LiveStatus) -> None:
        """Report once that the service is ready, then that it is alive, twice as often as due."""
        now_s = self._clock()
        if not self._ready:
            self._ready = True
            self._manager.send("READY=1", self._status())
        elif self._manager.watchdog_s and now_s - self._alive_s >= self._manager.watchdog_s / 2:
            self._alive_s = now_s
            self._manager.send("WATCHDOG=1")

    def _status(self) -> str:
        parts = [f"{source} is lost ({reason})" for source, reason in self._lost.items()]
        if listening := [source for source in self._sources if source not in self._lost]:
            plural = "" if self._segments == 1 else "s"
            names = ", ".join(listening)
            parts.insert(0, f"Listening to {names}: {self._segments} segment{plural} of speech")
        return "STATUS=" + "; ".join(parts)
