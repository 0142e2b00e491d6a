"""Worker processes: newly spawned, ended with this process, and not interrupted by Ctrl-C."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from undertone.errors import WorkerError

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Up to ``count`` new processes; leaving the block by an exception ends them at once.

    They are spawned, not forked: they contain nothing that this process has loaded.
    """

    def __init__(self, count: int) -> None:
        """Start no process yet: each starts when there is work for it."""
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=_begin)
        self._others = set(multiprocessing.active_children())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the workers, or end them; raises WorkerError if one was killed from outside."""
        if error is not None:
            for worker in set(multiprocessing.active_children()) - self._others:
                worker.kill()
        self._pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise WorkerError() from error

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call ``task``, a module-level function, in a worker."""
        # A new process inherits the signal mask: Ctrl-C reaches only the parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(task, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def in_new_process(task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What ``task`` returns or raises when called in a new process."""
    with Workers(1) as workers:
        return workers.submit(task, *args, **kwargs).result()


def _begin() -> None:
    """In a worker: exit when the parent process ends, or it would wait for work forever.

    Its warnings begin as those of the parent do.
    """
    logging.basicConfig(format="undertone: %(message)s")
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
