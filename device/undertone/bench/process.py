"""The program run as a process: how long it takes to start, and what listening costs."""

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
from typing import IO, NamedTuple, Self

import numpy as np

from undertone.audio.block import Samples
from undertone.bench.memory import status_bytes
from undertone.bench.result import ColdStart, Listening
from undertone.bench.sounds import blocks, silence, speech
from undertone.errors import BenchmarkError
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.samples import clips

_SETTLE_TIMEOUT_S = 120.0
_POLL_S = 0.01
_IDLE_S = 0.001
"""Processor time that a waiting program uses in 0.1 s, at most."""
_CPUCLOCK_SCHED = 2
"""Linux: the clock of a process is its inverted id, shifted by 3, with this in the low bits."""

PROGRAM = (sys.executable, "-m", "undertone.cli")
_WARM_UP_S = 10.0
"""Length of the speech that is processed before anything is measured."""


def model_options(folder: Path, runtime: str, threads: int) -> list[str]:
    """The options of ``classify`` and ``listen`` that select what is measured."""
    return ["--model", str(folder), "--runtime", runtime, "--threads", str(threads)]


class Start(NamedTuple):
    """One cold start: its wall-clock seconds, and its peak memory in bytes."""

    wall_s: float
    peak_memory_bytes: int


def cold_start(options: Sequence[str]) -> Start:
    """Run ``undertone classify`` on one clip, with the files in the page cache."""
    start = time.perf_counter()
    with subprocess.Popen(
        [*PROGRAM, "classify", *options, "--", str(clips()[0])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, status_bytes("VmHWM", process.pid))
            time.sleep(_POLL_S)
        wall_s = time.perf_counter() - start
        _check_end(process)
    return Start(wall_s, peak)


def summarised(starts: Sequence[Start]) -> ColdStart:
    """Several cold starts of the same program, at least one."""
    wall_ms = [1e3 * start.wall_s for start in starts]
    return ColdStart(
        p50_ms=round(float(np.median(wall_ms)), 1),
        max_ms=round(max(wall_ms), 1),
        peak_memory_bytes=max(start.peak_memory_bytes for start in starts),
    )


class ListeningProgram:
    """``undertone listen``, warmed up, that reads a pipe and writes to a temporary journal."""

    def __init__(self, options: Sequence[str]) -> None:
        """Start it with ``options``, such as those of :func:`model_options`."""
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
        """Itself, once everything is loaded and a segment has been classified."""
        self.write(np.concatenate([_speech(_WARM_UP_S), silence(1.0)]))
        self._settle()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def processor_s(self) -> float:
        """Processor time that all its threads have used."""
        return processor_s(self._process.pid)

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        return status_bytes("VmRSS", self._process.pid)

    def write(self, samples: Samples) -> None:
        """Write ``samples`` to its standard input; blocks while the pipe is full."""
        rest = memoryview(samples.astype("<i2").tobytes())
        try:
            while rest:
                rest = rest[_stream(self._process.stdin).write(rest) :]
        except BrokenPipeError:
            self._process.wait()
            _check_end(self._process)
            raise BenchmarkError("undertone listen ended while it was measured.") from None

    def _settle(self) -> None:
        """Wait until it has read everything and is idle."""
        deadline = time.monotonic() + _SETTLE_TIMEOUT_S
        used = -1.0
        while self._unread_bytes() or self.processor_s - used > _IDLE_S:
            if self._process.poll() is not None:
                _check_end(self._process)
            if time.monotonic() > deadline:
                raise BenchmarkError(
                    f"undertone listen did not process its input in {_SETTLE_TIMEOUT_S:.0f} s: "
                    "this machine is too busy to be measured."
                )
            used = self.processor_s
            time.sleep(0.1)

    def _unread_bytes(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(_stream(self._process.stdin), termios.FIONREAD, count)
        return count[0]


def processor_s(pid: int) -> float:
    """Processor time that all threads of a process have used."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def listening(options: Sequence[str], seconds: float) -> tuple[Listening, Listening]:
    """``undertone listen`` for ``seconds`` of silence, then of speech, in real time."""
    with ListeningProgram(options) as program:
        return _listen(program, silence(seconds)), _listen(program, _speech(seconds))


def _listen(program: ListeningProgram, sound: Samples) -> Listening:
    """Send ``sound`` to ``program`` in real time; what it used meanwhile."""
    begin_s, used_s = time.monotonic(), program.processor_s
    at_s = begin_s
    for block in blocks(sound):
        at_s += block.duration_s
        time.sleep(max(0.0, at_s - time.monotonic()))
        program.write(block.samples)
    time.sleep(0.1)  # so that the last block counts as well
    share = (program.processor_s - used_s) / (time.monotonic() - begin_s)
    return Listening(round(share, 6), program.memory_bytes)


def _speech(seconds: float) -> Samples:
    """The same for every bundle: cut by the default bundle's gate."""
    return speech(seconds, Classifier(bundle.load()).gate())


def _check_end(process: "subprocess.Popen[bytes]") -> None:
    if process.returncode:
        errors = _stream(process.stderr).read().decode(errors="replace").strip().splitlines()
        reason = errors[-1] if errors else f"exit status {process.returncode}"
        raise BenchmarkError(f"The measured program failed: {reason}")


def _stream(stream: "IO[bytes] | None") -> "IO[bytes]":
    assert stream is not None
    return stream
