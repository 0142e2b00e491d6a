"""Calls jobs in other processes, one after another, and again if such a process is killed.

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
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self

from threadpoolctl import threadpool_limits

from undertone.errors import UndertoneError, WorkerError
from undertone_training import object_storage

TRIES = 3
"""How often in succession a job's process may be lost."""

_PR_SET_PDEATHSIG = 1


class JobProcesses:
    """As many processes as there are threads that call jobs; they end with the ``with`` block."""

    def __init__(self) -> None:
        """Start none yet."""
        self._idle: deque[subprocess.Popen[bytes]] = deque()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, which are idle."""
        while self._idle:
            with self._idle.pop():  # closes its stdin and waits
                pass

    def call(self, job: bytes) -> bytes:
        """The result of a job as a pickle, from a process that others may have run in.

        Raises what the job has raised.
        job: pickles of what must be called before, and of a function with its specification.
        Raises WorkerError if the job's process is killed again and again.
        """
        for _ in range(TRIES):
            try:
                child = self._idle.pop()
            except IndexError:
                child = _started()
            assert child.stdin is not None and child.stdout is not None
            try:
                pickle.dump(job, child.stdin)
                child.stdin.flush()
                succeeded, result = pickle.load(child.stdout)
            except (OSError, EOFError, pickle.UnpicklingError):  # it was killed
                child.kill()
                child.communicate()
                continue
            self._idle.append(child)
            if succeeded:
                done: bytes = result
                return done
            raise result
        raise WorkerError


_of_this_worker = JobProcesses()


def call_in_worker(job: bytes) -> bytes:
    """``JobProcesses.call`` in a Dask worker, whose processes are there for later jobs, too."""
    return _of_this_worker.call(job)


def call_apart(job: bytes) -> bytes:
    """``JobProcesses.call`` in a process for this job alone."""
    with JobProcesses() as processes:
        return processes.call(job)


def _started() -> subprocess.Popen[bytes]:
    """A process that is killed if this thread ends."""
    with without_interrupts():
        return subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from the processes that are started: it is this one that ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _main() -> None:
    """Call the jobs on stdin, and answer on what was stdout."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with os.fdopen(os.dup(0), "rb") as jobs, os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        while (job := _next(jobs)) is not None:
            try:
                outcome: tuple[bool, bytes | Exception] = True, _call(job)
            except Exception as error:
                if not isinstance(error, UndertoneError):
                    error.add_note(traceback.format_exc())
                outcome = False, error
            answers.write(pickle.dumps(outcome))
            answers.flush()


def _next(jobs: BinaryIO) -> bytes | None:
    """The next job; None if there are no more."""
    try:
        job: bytes = pickle.load(jobs)
    except EOFError:
        return None
    return job


def _call(job: bytes) -> bytes:
    setup, content = pickle.loads(job)
    setup()
    function, specification = pickle.loads(content)
    with threadpool_limits(1):
        result = function(specification)
    object_storage.push()
    return pickle.dumps(result)


if __name__ == "__main__":
    _main()
