"""Runs independent jobs in processes of this machine.

A job is a function at the top of a module, called with one small specification that can be pickled.
It writes its result to the shared storage and returns what names it, so that a job whose process
was killed is simply run again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

from threadpoolctl import threadpool_limits

Specification = TypeVar("Specification")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Jobs:
    """Where jobs run; processes: how many at once, None for one per core."""

    processes: int | None = None

    @property
    def at_once(self) -> int:
        """Number of jobs that run at the same time."""
        return self.processes or os.cpu_count() or 1

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """An executor of that many processes, each of which computes in one thread."""
        # "spawn": a forked child of a program with native threads (TensorFlow) can hang
        with ProcessPoolExecutor(
            self.at_once,
            mp_context=get_context("spawn"),
            initializer=threadpool_limits,
            initargs=(1,),
        ) as pool:
            yield pool

    def map(
        self, function: Callable[[Specification], Result], specifications: Sequence[Specification]
    ) -> Iterator[Result]:
        """Results in the order of ``specifications``, each as soon as it is there.

        A single job, or one process, runs in this process.  The first exception of a job is raised,
        and the jobs that have not begun are cancelled.
        """
        if min(self.at_once, len(specifications)) <= 1:
            yield from map(function, specifications)
            return
        with self.executor() as executor:
            futures = [executor.submit(function, each) for each in specifications]
            try:
                for future in futures:
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()
