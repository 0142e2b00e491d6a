"""Listen for a long time with injected faults: no event may be lost or doubled, no memory grow.

``make soak`` runs it.  Two runs of the real program, each in its own process:

- *file*: hours of sound through a pipe, as fast as it can be processed; the disk fills up; the
  journal is compared with the output of the pipeline for the same sound in this process;
- *microphone*: minutes of real time on a virtual microphone (PulseAudio) whose server is killed,
  stopped and restarted, whose source is unloaded or suspended, and that gives digital silence;
  the disk fills up as well.

Prints one JSON object, and writes it to the file ``--output``.  The exit status is 1 if an event
was lost or doubled, a fault is not in the journal, or memory grew by more than 2 MB after the
first hour (after the first tenth of a run of less than ten hours).
"""

import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import soundfile

from pages import parser_with_output, print_figures
from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.bench.memory import status_bytes
from undertone.events import DiskRefused, Event, Gap, SegmentEnded, SourceBack, SourceLost, Started
from undertone.journal.reader import JournalReader
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline
from undertone.samples import clips, demonstration
from virtual_microphone import VirtualMicrophone, what_is_missing

GROWTH_LIMIT_MB = 2.0
TIMEOUT_S = 120.0
"""The longest wait for anything; then the run has failed."""

FULL_EVERY_H = 2.0
"""Sound between two times at which the disk is full, in the file's run."""

QUIET_S = 200.0
"""Silence after the packaged clips, in the file's run."""

CALM_S = 20.0
"""Clips are spoken for so long between two faults of the microphone; less in a short run."""


SAME_S = 0.005
"""Two segments that start within this are the same."""

Heard = tuple[float, str]
"""Start in seconds and label of a segment."""

REFUSED, TAKEN_AGAIN = "can't write the journal", "is being written again"
"""What the program prints about the disk on stderr, once each time."""


class SoakError(Exception):
    """Something that should have happened did not."""


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of ``condition``; SoakError after TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise SoakError(f"waited {TIMEOUT_S:.0f} s in vain for {what}")
        time.sleep(0.2)
    return value


class Card:
    """A small disk of its own for the journal, which can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which is a file system of its own."""
        self.journal = folder / "journal"
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Fill the disk."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                return

    def free(self) -> None:
        """Free the space again."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def card(megabytes: int) -> Iterator[Card]:
    """A tmpfs; mounting it needs root."""
    folder = Path(tempfile.mkdtemp(prefix="undertone-soak-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        if subprocess.run(mount).returncode:
            raise SoakError("mounting a small disk needs root: run it as root")
        yield Card(folder)
    finally:
        subprocess.run(["umount", str(folder)])
        shutil.rmtree(folder)


class Listening:
    """The program under test, with its journal on ``card``."""

    def __init__(self, card: Card, source: str, env: dict[str, str], *, piped: bool) -> None:
        """Start ``undertone listen``; what is piped is a recording."""
        self._journal = card.journal
        self._recordings = piped
        self.stderr_lines: list[str] = []
        """What it printed to stderr."""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "undertone.cli", "listen", "--source", source),
                *("--journal", str(card.journal), "--journal-flush-s", "1"),
                *("--journal-max-mb", "1"),
                *(("--began", "2000-01-01") if piped else ()),
            ],
            env=env,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        threading.Thread(target=self._read_stderr, daemon=True).start()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def _read_stderr(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.stderr_lines.append(line.decode().strip())

    def printed(self, words: str) -> int:
        """The number of lines on stderr that contain these words."""
        return sum(words in line for line in self.stderr_lines)

    def memory_mb(self) -> float:
        """Resident memory now."""
        return status_bytes("VmRSS", self.process.pid) / 2**20

    def records(self) -> list[Event]:
        """The journal as it is now; SoakError if a line is damaged."""
        if not self._journal.exists():
            return []
        reader = JournalReader(self._journal, recordings=self._recordings)
        records = list(reader)
        if reader.damaged:
            raise SoakError(f"{reader.damaged} lines of the journal are damaged")
        return records

    def count(self, kinds: type | tuple[type, ...]) -> int:
        """Events of these kinds in the journal."""
        return sum(isinstance(record, kinds) for record in self.records())

    def end_of_sound(self) -> None:
        """Close the pipe, which ends the program."""
        assert self.process.stdin
        self.process.stdin.close()
        if status := self.process.wait(timeout=TIMEOUT_S):
            raise SoakError(f"ended with status {status}: {self.stderr_lines}")

    def end(self) -> float:
        """Send SIGTERM; the seconds until it has ended with everything written."""
        began = time.monotonic()
        self.process.terminate()
        if status := self.process.wait(timeout=TIMEOUT_S):
            raise SoakError(f"ended with status {status}: {self.stderr_lines}")
        return time.monotonic() - began


@dataclass
class Memory:
    """Resident memory over a run; what counts is its growth after ``settled``."""

    unit: str
    settled: float
    samples: list[tuple[float, float]] = field(default_factory=list)

    def take(self, at: float, megabytes: float) -> None:
        """Add a sample, ``at`` in the unit of ``settled``."""
        self.samples.append((at, megabytes))

    def figures(self) -> dict[str, Any]:
        """Start, largest growth, and about 25 of the samples."""
        settled = [mb for at, mb in self.samples if at >= self.settled]
        step = math.ceil(len(self.samples) / 25)
        return {
            f"settled_after_{self.unit}": round(self.settled, 3),
            "settled_mb": round(settled[0], 2),
            "end_mb": round(settled[-1], 2),
            "largest_growth_mb": round(max(settled) - settled[0], 2),
            f"mb_at_{self.unit}": {f"{at:.2f}": round(mb, 2) for at, mb in self.samples[::step]},
        }


def soak_file(hours: float) -> dict[str, Any]:
    """Hours of the packaged clips, over and over, with a disk that is full now and then."""
    blocks = [*demonstration(), *quiet(QUIET_S)]
    loop = b"".join(block.samples.astype("<i2").tobytes() for block in blocks)
    loop_s = len(loop) / 2 / SAMPLE_RATE_HZ
    reference = Pipeline(Classifier(bundle.load()))
    expected: list[Heard] = []
    loops = math.ceil(hours * 3600 / loop_s)
    every = max(2, min(round(FULL_EVERY_H * 3600 / loop_s), loops // 2))
    memory = Memory("h", settled=min(1.0, hours / 10))
    began = time.monotonic()
    refused = fed = 0
    with (
        card(64) as disk,
        Listening(disk, "-", dict(os.environ), piped=True) as listening,
    ):

        def feed() -> None:
            nonlocal fed
            assert listening.process.stdin
            rest = memoryview(loop)
            while rest:
                rest = rest[listening.process.stdin.write(rest) :]
            at_s = fed * loop_s
            for block in blocks:
                segments = reference.process(Block(block.samples, at_s))
                expected.extend((one.time_s, one.verdict.label) for one in segments)
                at_s += block.duration_s
            fed += 1
            memory.take(fed * loop_s / 3600, listening.memory_mb())

        while fed < loops:
            feed()
            if fed // every > refused:
                refused += 1
                disk.fill()
                while listening.printed(REFUSED) < refused:
                    feed()
                disk.free()
                while listening.printed(TAKEN_AGAIN) < refused:
                    feed()
        listening.end_of_sound()
        records = listening.records()
        files = len(list(disk.journal.glob("*.jsonl")))
    found = [
        (record.start.timestamp(), record.label)
        for record in records
        if isinstance(record, SegmentEnded)
    ]
    began_s = found[0][0] - expected[0][0]
    lost, doubled = compared(expected, [(at_s - began_s, label) for at_s, label in found])
    noted = sum(isinstance(record, DiskRefused) for record in records)
    return {
        "audio_h": round(fed * loop_s / 3600, 3),
        "wall_s": round(time.monotonic() - began, 1),
        "events": len(records),
        "segments": len(found),
        "lost": lost,
        "doubled": doubled,
        "journal_files": files,
        "faults": {"disk full": {"thrown": refused, "in_the_journal": noted}},
        "memory": memory.figures(),
    }


def quiet(seconds: float) -> Iterator[Block]:
    """The noise of a quiet room."""
    noise = np.random.default_rng(1)
    for number in range(round(seconds * 10)):
        samples = np.rint(noise.normal(0, 6, SAMPLE_RATE_HZ // 10)).astype(np.int16)
        yield Block(samples, number / 10)


def compared(expected: Sequence[Heard], found: Sequence[Heard]) -> tuple[int, int]:
    """How many of ``expected`` are lost, and how many were found beyond them; both in order."""
    lost = doubled = 0
    left = list(reversed(found))
    for start_s, label in expected:
        while left and left[-1][0] < start_s - SAME_S:
            doubled += 1
            left.pop()
        if left and left[-1][0] <= start_s + SAME_S and left[-1][1] == label:
            left.pop()
        else:
            lost += 1
    return lost, doubled + len(left)


class Speaker:
    """Plays the packaged clips into a microphone, one after the other, and records when."""

    def __init__(self, microphone: VirtualMicrophone, folder: Path) -> None:
        """Write them to ``folder`` as WAV files, which every ``paplay`` can play."""
        self.begun_s: list[float] = []
        self._microphone = microphone
        waves = []
        for clip in clips():
            samples, rate = soundfile.read(clip, dtype="int16")
            waves.append(folder / f"{clip.stem}.wav")
            soundfile.write(waves[-1], samples, rate)
        self._waves = cycle(waves)

    def speak(self) -> None:
        """One clip, and the pause after it that ends its segment."""
        self.begun_s.append(time.time())
        self._microphone.play(next(self._waves))
        time.sleep(1.0)

    def compared(self, heard: Sequence[SegmentEnded]) -> tuple[int, int]:
        """The number of clips in no segment, and of segments that contain no new clip.

        The latter repeat sound of the segment before, or come before the first clip.  A clip may be
        two segments: the faint end of one of them, at -68 dBFS, sometimes becomes a segment.
        """
        of_clips = [
            bisect_right(self.begun_s, one.start.timestamp()) for one in heard
        ]  # 0: before the first
        twice = sum(two.start < one.time for one, two in pairwise(heard))
        return len(self.begun_s) - len({*of_clips} - {0}), of_clips.count(0) + twice


def soak_microphone(minutes: float, at_least: int = 0) -> dict[str, Any]:
    """Minutes of clips played into a microphone that has every fault in turn.

    at_least: so many faults, even if they take longer.
    """
    if missing := what_is_missing():
        raise SoakError(missing)
    folder = Path(tempfile.mkdtemp(prefix="undertone-microphone-"))
    microphone = VirtualMicrophone(folder)
    memory = Memory("min", settled=minutes / 10)
    try:
        microphone.start()
        speaker = Speaker(microphone, folder)
        with (
            card(64) as disk,
            Listening(disk, "mic", microphone.env, piped=False) as listening,
        ):
            wait_for(lambda: listening.count(Started), "the start")
            faults = cycle(Faults(listening, microphone, speaker, disk).all())
            thrown: Counter[str] = Counter()
            began = time.monotonic()
            while (
                passed := (time.monotonic() - began) / 60
            ) < minutes or thrown.total() < at_least:
                memory.take(passed, listening.memory_mb())
                calm_to = time.monotonic() + min(CALM_S, 2 * minutes)
                while time.monotonic() < calm_to:
                    speaker.speak()
                name, throw = next(faults)
                throw()
                thrown[name] += 1
            memory.take(passed, listening.memory_mb())
            ended_after_s = listening.end()
            events = listening.records()
    finally:
        microphone.cont()
        microphone.kill()
        shutil.rmtree(folder)
    heard = [event for event in events if isinstance(event, SegmentEnded)]
    lost, doubled = speaker.compared(heard)
    kinds = Counter(event.kind for event in events)
    return {
        "real_time_min": round(passed, 2),
        "events": len(events),
        "clips_spoken": len(speaker.begun_s),
        "segments": len(heard),
        "lost": lost,
        "doubled": doubled,
        "faults": {  # each waited for its own events: see Faults
            name: {"thrown": count, "in_the_journal": count} for name, count in thrown.items()
        },
        "kinds": dict(sorted(kinds.items())),
        "ended_after_s": round(ended_after_s, 2),
        "memory": memory.figures(),
    }


@dataclass(frozen=True)
class Faults:
    """The faults of a microphone and the disk; each waits until it is in the journal."""

    listening: Listening
    microphone: VirtualMicrophone
    speaker: Speaker
    disk: Card

    def all(self) -> list[tuple[str, Callable[[], None]]]:
        """Each with its name, in order."""
        return [
            ("server killed", self.server_killed),
            ("server stopped for 5 s", self.server_stopped),
            ("disk full", self.disk_full),
            ("source unloaded", self.source_unloaded),
            ("source suspended for 1.5 s", self.source_suspended),
            ("digital silence for 30 s", self.silence),
        ]

    def server_killed(self) -> None:
        """Kill the server and start it again."""
        with self._recorded(SourceLost, SourceBack):
            self.microphone.kill()
            time.sleep(3)
            self.microphone.start()

    def server_stopped(self) -> None:
        """Stop the server for longer than the watchdog waits."""
        with self._recorded(SourceLost, SourceBack):
            self.microphone.stop_server()
            time.sleep(5)
            self.microphone.cont()

    def source_suspended(self) -> None:
        """Suspend the source for less than the watchdog waits, or more on a busy machine."""
        with self._recorded((Gap, SourceBack)):
            self.microphone.suspend()
            time.sleep(1.5)
            self.microphone.resume()

    def source_unloaded(self) -> None:
        """Remove the only microphone and plug it in again."""
        with self._recorded(SourceLost, SourceBack):
            self.microphone.unload()
            time.sleep(3)
            self.microphone.load()

    def silence(self) -> None:
        """Play nothing, for which a null sink gives zeros; then a clip."""
        with self._recorded(SourceLost):
            pass
        with self._recorded(SourceBack):
            self.speaker.speak()

    def disk_full(self) -> None:
        """Fill the disk until the writer has noticed."""
        before = self.listening.printed(REFUSED)
        with self._recorded(DiskRefused):
            self.disk.fill()
            while self.listening.printed(REFUSED) == before:
                self.speaker.speak()
            self.disk.free()

    @contextmanager
    def _recorded(self, *kinds: type | tuple[type, ...]) -> Iterator[None]:
        before = [self.listening.count(kind) for kind in kinds]
        yield
        for kind, count in zip(kinds, before, strict=True):
            more = partial(self._more, kind, count)
            wait_for(more, f"{kind} in the journal")

    def _more(self, kind: type | tuple[type, ...], than: int) -> bool:
        return self.listening.count(kind) > than


def troubles(run: dict[str, Any]) -> Iterator[str]:
    """A sentence for everything that is wrong in the figures of a run."""
    if run["lost"] or run["doubled"]:
        yield f"{run['lost']} events are lost, {run['doubled']} doubled"
    for name, fault in run["faults"].items():
        if fault["thrown"] != fault["in_the_journal"]:
            yield f"{name}: {fault['thrown']} times, {fault['in_the_journal']} in the journal"
    if run["memory"]["largest_growth_mb"] > GROWTH_LIMIT_MB:
        yield f"memory grew by {run['memory']['largest_growth_mb']} MB"


def main() -> int:
    """Run what the arguments select; return the exit status."""
    parser = parser_with_output(__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="of sound from a file")
    parser.add_argument("--minutes", type=float, default=1.0, help="of a microphone")
    wanted = parser.parse_args()
    figures: dict[str, Any] = {"machine": platform.machine(), "python": platform.python_version()}
    if wanted.hours:
        figures["file"] = soak_file(wanted.hours)
    if wanted.minutes:
        figures["microphone"] = soak_microphone(wanted.minutes)
    print_figures(figures, wanted.output)
    runs = [figures[name] for name in ("file", "microphone") if name in figures]
    wrong = [trouble for run in runs for trouble in troubles(run)]
    for line in wrong:
        sys.stderr.write(f"soak: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
