"""The real program as a process: how soon it starts, and what it takes while it listens."""

import array
import fcntl
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

import numpy as np

from undertone.audio.block import Samples
from undertone.bench.memory import status_bytes
from undertone.bench.result import ColdStart, Listening
from undertone.bench.sounds import blocks, silence, speech
from undertone.errors import BenchmarkError
from undertone.samples import clips

_PATIENCE_S = 120.0
_LOOK_S = 0.01
_AT_REST_S = 0.001
"""Processor time in 0.1 s of a program that only waits."""
_CPUCLOCK_SCHED = 2
"""Linux: the clock of a process is its inverted number, shifted by 3, and this in the low bits."""

PROGRAM = (sys.executable, "-m", "undertone.cli")
_WARM_UP_S = 10.0
"""Speech that is heard before anything is measured."""


def model_options(folder: Path, runtime: str, threads: int) -> list[str]:
    """The options of ``classify`` and ``listen`` for one measurement."""
    return ["--model", str(folder), "--runtime", runtime, "--threads", str(threads)]


def cold_start(options: Sequence[str], runs: int) -> ColdStart:
    """``undertone classify`` of one clip, ``runs`` times; the files lie in the system's cache."""
    clip = str(clips()[0])
    taken = [run_to_end(["classify", *options, "--", clip]) for _ in range(runs)]
    wall_ms = [1e3 * wall_s for wall_s, _ in taken]
    return ColdStart(
        p50_ms=round(float(np.median(wall_ms)), 1),
        max_ms=round(max(wall_ms), 1),
        peak_memory_bytes=max(peak for _, peak in taken),
    )


def run_to_end(arguments: Sequence[str]) -> tuple[float, int]:
    """Seconds that ``undertone`` takes with ``arguments``, and its peak memory in bytes."""
    start = time.perf_counter()
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, status_bytes("VmHWM", process.pid))
            time.sleep(_LOOK_S)
        wall_s = time.perf_counter() - start
        _check_end(process)
    return wall_s, peak


class ListeningProgram:
    """``undertone listen`` at the other end of a pipe, with a journal of its own; warmed up."""

    def __init__(self, options: Sequence[str]) -> None:
        """Start it; ``options`` as those of :func:`model_options`."""
        self._folder = tempfile.mkdtemp(prefix="undertone-bench-")
        journal = ["--journal", self._folder]
        self._process = subprocess.Popen(
            [*PROGRAM, "listen", *options, *journal, "--source", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def __enter__(self) -> Self:
        """Itself, with everything loaded and a segment heard."""
        self.give(np.concatenate([speech(_WARM_UP_S), silence(1.0)]))
        self._settle()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave neither process nor journal behind."""
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def processor_s(self) -> float:
        """Seconds of processor time that it has used, over all its threads."""
        return time.clock_gettime(~self._process.pid << 3 | _CPUCLOCK_SCHED)

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        return status_bytes("VmRSS", self._process.pid)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def give(self, samples: Samples) -> None:
        """Write ``samples`` to it; waits where its pipe is full."""
        rest = memoryview(samples.astype("<i2").tobytes())
        try:
            while rest:
                rest = rest[_stream(self._process.stdin).write(rest) :]
        except BrokenPipeError:
            self._process.wait()
            _check_end(self._process)
            raise BenchmarkError("undertone listen ended while it was measured.") from None

    def _settle(self) -> None:
        """Wait until it has taken all that was given, and rests."""
        deadline = time.monotonic() + _PATIENCE_S
        used = -1.0
        while self._unread_bytes() or self.processor_s - used > _AT_REST_S:
            if self._process.poll() is not None:
                _check_end(self._process)
            if time.monotonic() > deadline:
                raise BenchmarkError(
                    f"undertone listen did not take its sound in {_PATIENCE_S:.0f} s: this "
                    "machine is too busy to be measured."
                )
            used = self.processor_s
            time.sleep(0.1)

    def _unread_bytes(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(_stream(self._process.stdin), termios.FIONREAD, count)
        return count[0]


def listen(programs: Sequence[ListeningProgram], sound: Samples) -> list[Listening]:
    """Give every program ``sound`` in real time; what each took meanwhile."""
    begin_s = time.monotonic()
    before = [program.processor_s for program in programs]
    at_s = begin_s
    for block in blocks(sound):
        at_s += block.duration_s
        time.sleep(max(0.0, at_s - time.monotonic()))
        for program in programs:
            program.give(block.samples)
    time.sleep(0.1)  # the last block is heard as well
    passed_s = time.monotonic() - begin_s
    return [
        Listening(round((program.processor_s - used) / passed_s, 6), program.memory_bytes)
        for program, used in zip(programs, before, strict=True)
    ]


def listening(options: Sequence[str], seconds: float) -> tuple[Listening, Listening]:
    """``undertone listen`` for ``seconds`` of silence, then of speech, in real time."""
    with ListeningProgram(options) as program:
        (quiet,) = listen([program], silence(seconds))
        (spoken,) = listen([program], speech(seconds))
    return quiet, spoken


def _check_end(process: "subprocess.Popen[bytes]") -> None:
    if process.returncode:
        said = _stream(process.stderr).read().decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"exit status {process.returncode}"
        raise BenchmarkError(f"The program that is measured failed: {reason}")


def _stream(stream: "IO[bytes] | None") -> "IO[bytes]":
    assert stream is not None
    return stream
