"""Runs the publishers side by side until a signal comes, or one of them fails."""

import signal
from collections.abc import Callable, Iterable
from threading import Event, Thread

Work = Callable[[Event], None]
"""Works until the event is set."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_until_signal(work: Iterable[Work]) -> None:
    """Run each piece of work on a thread of its own; raise the error that ended one of them.

    A second signal ends the program at once, with the cursor as it was stored last.
    """
    stop = Event()
    errors: list[Exception] = []

    def guarded(one: Work) -> None:
        try:
            one(stop)
        except Exception as error:
            errors.append(error)
        finally:
            stop.set()

    # the threads inherit it: a signal is taken here, between two pieces of work, or not at all
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    threads = [Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    while not stop.is_set() and not signal.sigtimedwait(_SIGNALS, 1.0):
        pass
    stop.set()
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
