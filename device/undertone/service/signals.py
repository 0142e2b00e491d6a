"""The signals that a service gets: SIGTERM ends it, SIGHUP makes it reload its settings."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import NoReturn, TypeVar

RELOAD = "reload"
"""The reason in the journal's ``stop`` when the service reloads its settings."""

_Item = TypeVar("_Item")


class ShutdownSignals:
    """Ends a source at the first SIGTERM, SIGHUP or Ctrl-C.

    A signal interrupts only the wait for the source's next item, so that the processing of the
    last one is completed.  Later signals are only recorded; Ctrl-\\ (SIGQUIT) still ends a program
    that hangs.
    """

    def __init__(self, *, service: bool) -> None:
        """Handle the signals from now on; call it from the main thread.

        service: SIGHUP means reload; otherwise it means that the terminal was closed.
        """
        self._service = service
        self._received: list[int] = []
        self._waiting = False
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in the background of a script
            signal.signal(signal.SIGINT, self._take)

    @property
    def reload(self) -> bool:
        """Whether a service received SIGHUP and no other signal."""
        return self._service and {*self._received} == {signal.SIGHUP}

    def until_signal(self, source: Iterable[_Item]) -> Iterator[_Item]:
        """The items of ``source`` until a signal arrives, which raises KeyboardInterrupt."""
        items = iter(source)
        while True:
            self._waiting = True
            try:
                if self._received:
                    raise self._interrupt()
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield item

    def _take(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)
        if self._waiting:
            self._waiting = False  # whatever catches the interrupt is not interrupted
            raise self._interrupt()

    def _interrupt(self) -> KeyboardInterrupt:
        reload = self._service and self._received[0] == signal.SIGHUP
        return KeyboardInterrupt(*([RELOAD] if reload else []))


def ignore() -> None:
    """Ignore the signals while the interpreter shuts down and removes its own handlers."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def restart() -> NoReturn:
    """Replace this process by a new run of the same command line.

    Call it when everything is closed.  Sound already read from a pipe (a block, or two seconds
    after a stall) is lost, and so is what is said into a microphone in the meantime.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new run handles it
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
