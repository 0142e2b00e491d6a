"""Runs independent jobs: in processes of this machine, or on the workers of a Dask scheduler.

A job is a function at the top of a module, called with one small specification that can be pickled.
It writes its result to the shared storage and returns what names it, so that a job whose process
was killed is simply run again.
"""

import os
import pickle
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import threadpool_limits

from undertone_training import cluster
from undertone_training.errors import RunError
from undertone_training.job_process import (
    JobProcesses,
    call_apart,
    call_in_worker,
    without_interrupts,
)
from undertone_training.tensorflow_loader import load_tensorflow

Specification = TypeVar("Specification")
Result = TypeVar("Result")

_AHEAD = 2
"""Jobs that are handed to an executor, for each that it runs at once; the others wait here."""

_PATIENCE_S = 300.0
"""How long a scheduler that has gone away is waited for."""


def _nothing(*_: object) -> None:
    pass


class _Workers(NamedTuple):
    """What runs jobs.

    at_once: how many jobs it runs now.  call: runs a pickled job where it arrives.
    check: called every second.
    """

    executor: Executor
    at_once: Callable[[], int]
    call: Callable[[bytes], Any]
    check: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Jobs:
    """Where jobs run.

    processes: how many at once on this machine, None for one per core.
    scheduler: address of the Dask scheduler whose workers run them instead.
    setup: called in a job's process before the job's specification is read; it registers what
        specifications may name.  load: the same for jobs that use TensorFlow, which it imports.
    say: told what is waited for.  patience_s: how long a scheduler that went away is waited for.
    isolated: every job has a process to itself, even if it is the only one.
    """

    processes: int | None = None
    scheduler: str | None = None
    setup: Callable[[], None] = _nothing
    load: Callable[[], None] = load_tensorflow
    say: Callable[[str], None] = _nothing
    patience_s: float = _PATIENCE_S
    isolated: bool = False

    @property
    def at_once(self) -> int:
        """Number of jobs that run at the same time."""
        if self.scheduler:
            with cluster.connected(self.scheduler, self.say) as found:
                return max(1, found.at_once)
        return self.processes or os.cpu_count() or 1

    @property
    def with_tensorflow(self) -> "Jobs":
        """For jobs that use TensorFlow: one after another on all cores, unless more are asked for.

        Otherwise each computes in one thread, and rounds differently, however many are left.
        """
        return replace(self, processes=self.processes or 1, setup=self.load, isolated=True)

    def in_this_process(self, number: int) -> bool:
        """Whether ``map`` calls so many jobs one after another in this process."""
        return not self.scheduler and (self.at_once == 1 or (number <= 1 and not self.isolated))

    def map(
        self,
        function: Callable[[Specification], Result],
        specifications: Sequence[Specification],
        while_waiting: Callable[[], None] = _nothing,
        stop: Callable[[], None] = _nothing,
    ) -> Iterator[Result]:
        """Results in the order of ``specifications``, each as soon as it is there.

        A single job on this machine, or one process, runs in this process.  A job whose process or
        scheduler is lost is run again.  The first exception of a job is raised, and the jobs that
        have not begun are cancelled.

        while_waiting: called every second.  stop: asks the jobs that have begun to end, before they
            are waited for, after an exception or Ctrl-C.
        Raises WorkerError if processes die again and again, RunError for an unusable scheduler.
        """
        if self.in_this_process(len(specifications)):
            for each in specifications:
                # as in other processes; see with_tensorflow for isolated ones
                with nullcontext() if self.isolated else threadpool_limits(1):
                    result = function(each)
                yield result
            return
        to_do = dict.fromkeys(range(len(specifications)))
        results: dict[int, Result] = {}
        passed_on = 0
        lost = False
        while to_do:
            jobs = (
                (
                    number,
                    pickle.dumps((self.setup, pickle.dumps((function, specifications[number])))),
                )
                for number in list(to_do)
            )
            try:
                with self._workers(len(to_do), lost) as workers:
                    for number, result in _completed(workers, jobs, while_waiting, stop):
                        del to_do[number]
                        results[number] = pickle.loads(result)
                        while passed_on in results:
                            yield results.pop(passed_on)
                            passed_on += 1
            except CancelledError:  # by Dask, which has lost the scheduler
                lost = True

    @contextmanager
    def _workers(self, number: int, lost: bool) -> Iterator[_Workers]:
        """Those for ``number`` jobs.  lost: their scheduler went away, and is waited for."""
        if self.scheduler:
            patience_s = self.patience_s if lost else 0.0
            with cluster.connected(self.scheduler, self.say, patience_s) as found:
                call = call_apart if self.isolated else call_in_worker
                yield _Workers(found.executor, lambda: max(1, found.at_once), call, found.check)
            return
        # each thread has a process: not forked, since a child of one with TensorFlow can hang
        n = min(self.at_once, number)
        with JobProcesses() as processes, ThreadPoolExecutor(n) as pool:
            yield _Workers(pool, lambda: n, call_apart if self.isolated else processes.call)


def _completed(
    workers: _Workers,
    jobs: Iterator[tuple[int, bytes]],
    while_waiting: Callable[[], None],
    stop: Callable[[], None],
) -> Iterator[tuple[int, Any]]:
    """The number and the result of each job, as soon as it is there."""
    futures: dict[Future[Any], int] = {}
    done: SimpleQueue[Future[Any]] = SimpleQueue()

    def submit() -> None:
        with without_interrupts():
            for number, job in islice(jobs, max(0, _AHEAD * workers.at_once() - len(futures))):
                future = workers.executor.submit(_run, version("undertone"), workers.call, job)
                futures[future] = number
                future.add_done_callback(done.put)

    try:
        submit()
        due_s = time.monotonic() + 1
        while futures:
            try:
                future = done.get(timeout=max(0.0, due_s - time.monotonic()))
            except Empty:
                pass
            else:
                yield futures.pop(future), future.result()
            if time.monotonic() >= due_s:
                workers.check()
                while_waiting()
                due_s = time.monotonic() + 1
            submit()
    except BaseException as error:
        for future in futures:
            future.cancel()
        if not isinstance(error, CancelledError):
            stop()
        raise


def _run(wanted: str, call: Callable[[bytes], Any], job: bytes) -> Any:
    """In another process: a scheduler, too, reads what is not in bytes."""
    if (found := version("undertone")) != wanted:
        raise RunError(
            f"The worker on {platform.node()} has Undertone {found}, and this is {wanted}: install "
            "the same version on every machine."
        )
    return call(job)
