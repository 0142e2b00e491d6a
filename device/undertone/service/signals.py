"""The signals that a service gets: SIGTERM ends it, SIGHUP makes it read its settings again."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

RELOAD = "reload"
"""Why a listening ends that begins anew: the reason in the journal's ``stop``."""


class ShutdownSignals:
    """Turns the first SIGTERM or SIGHUP into a KeyboardInterrupt, which ends a Listener.

    Those after it interrupt nothing, so that the rest can be written; Ctrl-C still does.
    While they are ``held`` none of them cuts a deed short: the first waits for its end.
    """

    def __init__(self, *, service: bool) -> None:
        """Catch both from now on; call it from the main thread.

        service: SIGHUP asks for a reload; elsewhere it says that the terminal has gone.
        """
        self._service = service
        self._received: set[int] = set()
        self._holding = False
        self._waiting: KeyboardInterrupt | None = None
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._end)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in the background of a script
            signal.signal(signal.SIGINT, self._interrupt)

    @property
    def reload(self) -> bool:
        """Whether a service was sent SIGHUP, and no SIGTERM with it."""
        return self._service and self._received == {signal.SIGHUP}

    def _end(self, number: int, frame: FrameType | None) -> None:
        first = not self._received
        self._received.add(number)
        if first:
            reload = self._service and number == signal.SIGHUP
            self._raise(KeyboardInterrupt(*([RELOAD] if reload else [])))

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C; who presses it again while the first one waits means it."""
        if self._waiting:
            raise KeyboardInterrupt
        self._raise(KeyboardInterrupt())

    def _raise(self, interrupt: KeyboardInterrupt) -> None:
        if not self._holding:
            raise interrupt
        self._waiting = interrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what is done in here come to its end first."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._waiting:
            interrupt, self._waiting = self._waiting, None
            raise interrupt


def start_anew() -> NoReturn:
    """Run the same command line in the same process from its beginning.

    Call it when everything is closed.  What a pipe in front of this program had already given
    to it (8 KiB at most) is lost; a microphone loses what is said in the meantime.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new run catches it
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
