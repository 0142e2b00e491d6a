"""Starts the programs that read sound in processes of their own, and ends them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Thread, Timer

from undertone.audio.portaudio import Deliver


def start(
    program: str, request: Mapping[str, object], stderr: int | None = None
) -> "subprocess.Popen[bytes]":
    """Start the module ``program`` of this folder; it gets ``request`` as a line of JSON."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", f"undertone.audio.{program}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,  # Ctrl-C and the end of the terminal are for this process
    )
    assert process.stdin
    with suppress(BrokenPipeError):  # its status says what happened
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    return process


@contextmanager
def time_limit(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[None]:
    """Kill ``process`` if the block takes longer than ``seconds``."""
    limit = Timer(seconds, process.kill)
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


class ChildStream:
    """Sound that a process delivers, from a thread of this one, until it ends or is closed."""

    def __init__(self, process: "subprocess.Popen[bytes]", deliver: Deliver) -> None:
        """Begin at once; a subclass has set all that its ``_run`` needs."""
        self._process = process
        self._deliver = deliver
        self._closed = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether sound may still come."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the process."""
        self._closed.set()
        self._process.kill()
        self._thread.join()
        end(self._process)

    def _run(self) -> None:
        raise NotImplementedError


def end(process: "subprocess.Popen[bytes]") -> None:
    """End it, and leave no zombie and no open file."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with suppress(BrokenPipeError):
                pipe.close()
