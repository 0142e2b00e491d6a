"""Calls a job: in a process of a pool, or in a process of its own.

The jobs of a Dask worker have processes of their own: its other threads draw random numbers from
the same generators, so that no augmented copy and no training would come out alike twice.
"""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

from undertone.errors import UndertoneError, WorkerError

TRIES = 3
"""How often in succession a job's process, or all of them, may be lost."""

_PR_SET_PDEATHSIG = 1


def call(job: bytes) -> Any:
    """The result of a job: pickles of what must be called before, and of the rest."""
    setup, content = pickle.loads(job)
    setup()
    function, specification = pickle.loads(content)
    with threadpool_limits(1):
        return function(specification)


def call_apart(job: bytes) -> Any:
    """``call`` in a process of its own, again if that is killed; raises WorkerError.

    The process is killed if the thread that called this ends.
    """
    for _ in range(TRIES):
        with without_interrupts():
            child = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        with child:
            outcome, _ = child.communicate(job)
        if child.returncode == 0:
            succeeded, result = pickle.loads(outcome)
            if succeeded:
                return result
            raise result
    raise WorkerError


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started: it is this one that ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _main() -> None:
    """Call the job on stdin, and answer on what was stdout."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        try:
            outcome = True, call(sys.stdin.buffer.read())
        except Exception as error:
            if not isinstance(error, UndertoneError):
                error.add_note(traceback.format_exc())
            outcome = False, error
        answer.write(pickle.dumps(outcome))


if __name__ == "__main__":
    _main()
