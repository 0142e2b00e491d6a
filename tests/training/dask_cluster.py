"""A real Dask scheduler and workers, as processes on 127.0.0.1; and jobs for them and for pools."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from mqtt_broker import free_port

PATH = os.pathsep.join(sys.path)
"""For processes that have to find this module."""


@dataclass
class Cluster:
    """A scheduler on a free port, and workers without a nanny that would replace them."""

    folder: Path
    port: int = field(default_factory=free_port)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start_scheduler()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", self.port)
        deadline_s = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline_s

    def start_worker(self, path: str = "") -> None:
        arguments = (self.address, "--nthreads", 1, "--no-nanny")
        self.workers.append(self._start("worker", *arguments, path=path))

    def kill_scheduler(self) -> None:
        self.scheduler.kill()
        self.scheduler.wait()

    def kill_worker(self) -> None:
        """Kill the worker that was started last."""
        self.workers[-1].kill()
        self.workers[-1].wait()

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, what: str, *arguments: object, path: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", what, "--dashboard-address", ":0"]
        with (self.folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, *map(str, arguments)],
                cwd=self.folder,  # another one than that of the commands
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, PATH]))},
                stdout=log,
                stderr=log,
            )


@contextmanager
def running_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A cluster that ends with the block; without Dask the test is skipped."""
    import pytest  # not in the jobs, which import this module

    pytest.importorskip("distributed")
    cluster = Cluster(folder)
    try:
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.stop()


def nothing() -> None:
    pass


def square(number: int) -> int:
    return number * number


def threads_of_numpy(size: int) -> int:
    """The most threads of a library that multiplies matrices."""
    assert np.ones((size, size)).dot(np.ones(size))[0] == size
    return max(int(each["num_threads"]) for each in threadpool_info())


def killed_once(path: Path) -> str:
    """The first time, its process is killed."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), 9)
    return path.name


def die_once_beside_another(path: Path) -> None:
    """One is killed once, while the other waits; each writes a letter whenever it begins."""
    with path.open("a") as file:
        file.write("x")
    folder = path.parent
    if path.name == "stays":
        wait_for(folder / "again")
        return
    wait_for(folder / "stays")
    if path.read_text() == "x":
        os.kill(os.getpid(), 9)
    (folder / "again").touch()


def always_killed(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")
    os.kill(os.getpid(), 9)


def fail_or_wait(folder: Path) -> str:
    """Fails if it is the first, otherwise ends as soon as there is a file ``stop``."""
    try:
        (folder / "first").touch(exist_ok=False)
    except FileExistsError:
        (folder / f"waits-{time.monotonic_ns()}").touch()
        wait_for(folder / "stop")
        return "stopped"
    raise ValueError("the first")


def begin_and_wait(folder: Path) -> str:
    """Ends as soon as there is a file ``go``."""
    (folder / "begun").touch()
    wait_for(folder / "go")
    return "done"


def wait_for(path: Path) -> None:
    deadline_s = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)
