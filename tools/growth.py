"""How latency, throughput and memory grow with the length, the files and the microphones.

``make growth`` runs it.  It measures the real program in separate processes:

- *length*: ``undertone classify`` of one recording of 1 s to 1 h;
- *files*: ``undertone classify --jobs`` of 1 to 10,000 recordings of 3 to 5 s;
- *microphones*: one ``undertone listen`` to 1 to 8 virtual microphones, into each of which somebody
  speaks at other times.

Memory is the proportional set size (PSS) of all processes: what they share counts once.  Prints
one JSON object, and writes it to the file ``--output``.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from pages import parser_with_output, print_figures
from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.bench.machine import Sensors
from undertone.bench.process import PROGRAM, processor_s
from undertone.samples import clips, demonstration
from virtual_microphone import VirtualMicrophone, what_is_missing

LENGTHS_S = (1, 10, 60, 600, 3600)
FILES = (1, 10, 100, 1_000, 10_000)
MICROPHONES = (1, 2, 4, 8)
POLL_S = 0.1
START_S = 120.0
"""What a program may take until it has heard somebody speak into each of its microphones."""


def main() -> None:
    """Measure what the arguments select."""
    parser = parser_with_output(__doc__)
    parser.add_argument("--longest-s", type=float, default=LENGTHS_S[-1], help="of one recording")
    parser.add_argument("--files", type=int, default=FILES[-1], help="the most")
    parser.add_argument("--microphones", type=int, default=MICROPHONES[-1], help="the most")
    parser.add_argument("--seconds", type=float, default=20.0, help="of listening, in real time")
    wanted = parser.parse_args()
    if wanted.microphones and (missing := what_is_missing()):
        sys.exit(missing)
    cores = len(os.sched_getaffinity(0))
    sensors = Sensors()
    before = sensors.state()
    with tempfile.TemporaryDirectory(prefix="undertone-growth-") as folder:
        figures: dict[str, Any] = {
            "length": by_length(Path(folder), [s for s in LENGTHS_S if s <= wanted.longest_s]),
            "files": by_files(
                Path(folder), [n for n in FILES if n <= wanted.files], sorted({1, cores})
            ),
            "microphones": by_microphones(
                Path(folder), [n for n in MICROPHONES if n <= wanted.microphones], wanted.seconds
            ),
        }
    machine = sensors.machine(before)
    figures["machine"] = {
        "processor": machine.processor,
        "cores": machine.cores,
        "python": machine.python,
        "load_before": before.load,
    }
    print_figures(figures, wanted.output)


def by_length(folder: Path, lengths_s: Sequence[float]) -> list[dict[str, float]]:
    """One recording, longer and longer: the packaged clips with pauses, over and over."""
    sound = np.concatenate([block.samples for block in demonstration()])
    found = []
    for seconds in progress(lengths_s, "length"):
        path = folder / "long.wav"
        write(path, sound, seconds)
        found.append({"audio_s": seconds, **classify([str(path)])})
        path.unlink()
    return found


def write(path: Path, sound: Samples, seconds: float) -> None:
    """``seconds`` of ``sound``, repeated, with never more than one round of it in memory."""
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, "PCM_16") as file:
        left = round(seconds * SAMPLE_RATE_HZ)
        while left:
            file.write(sound[:left])
            left -= len(sound[:left])


def by_files(folder: Path, counts: Sequence[int], jobs: Sequence[int]) -> list[dict[str, float]]:
    """More and more recordings: the packaged clips under many names."""
    found = []
    for count, number in progress([(c, j) for c in counts for j in jobs], "files"):
        recordings = folder / f"{count}-{number}"
        recordings.mkdir()
        for index, clip in enumerate(islice(cycle(clips()), count)):
            (recordings / f"{index:05}.flac").symlink_to(clip)
        taken = classify([str(recordings), "--jobs", str(number)])
        rate = round(count / taken["wall_s"], 2)
        found.append({"files": count, "jobs": number, **taken, "files_per_s": rate})
    return found


def by_microphones(folder: Path, counts: Sequence[int], seconds: float) -> list[dict[str, float]]:
    """One program that listens to an increasing number of microphones."""
    if not counts:
        return []
    microphone = VirtualMicrophone(folder)
    sinks = [f"{number}" for number in range(max(counts))]
    env = microphone.env_naming(sinks)
    found = []
    try:
        microphone.start()
        for number, sink in enumerate(sinks):
            microphone.load(sink)
            sound = np.concatenate([block.samples for block in demonstration()])
            others_pause = np.roll(sound, len(sound) * number // len(sinks))
            write(folder / f"{sink}.wav", others_pause, START_S + seconds)
        for count in progress(counts, "microphones"):
            with ExitStack() as stack:
                for sink in sinks[:count]:
                    stack.enter_context(playing(folder / f"{sink}.wav", sink, env))
                found.append({"microphones": count, **listen(sinks[:count], env, seconds)})
    finally:
        microphone.kill()
    return found


@contextmanager
def playing(path: Path, sink: str, env: Mapping[str, str]) -> Iterator[None]:
    """Play ``path`` into the microphone of ``sink`` meanwhile."""
    with subprocess.Popen(["paplay", f"--device={sink}", str(path)], env=env) as player:
        yield
        player.kill()


def listen(sinks: Sequence[str], env: Mapping[str, str], seconds: float) -> dict[str, float]:
    """``undertone listen`` to the microphones of ``sinks`` for ``seconds``, once it has heard all.

    Its share of one core, with that of the processes that it starts, and their memory.
    """
    microphones = [word for sink in sinks for word in ("--microphone", f"mic_{sink}")]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [*PROGRAM, "listen", *microphones, "--journal", folder, "--journal-flush-s", "0"],
            env={**env, "UNDERTONE_STATE": folder},
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + START_S
            while len(heard(Path(folder))) < len(sinks):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("growth: undertone listen did not hear all microphones")
                time.sleep(POLL_S)
            begin_s, before = time.monotonic(), used(process.pid)
            time.sleep(seconds)
            passed_s, after = time.monotonic() - begin_s, used(process.pid)
            memory = sum(map(pss_bytes, after))
        finally:
            process.send_signal(signal.SIGINT)
    shares = [(after[pid] - before[pid]) / passed_s for pid in before.keys() & after]
    return {
        "cpu_share": round(sum(shares), 5),
        "largest_cpu_share": round(max(shares), 5),
        "memory_bytes": memory,
    }


def heard(journal: Path) -> set[str]:
    """The microphones that a segment is from."""
    events = map(json.loads, "".join(map(Path.read_text, journal.glob("*.jsonl"))).splitlines())
    return {event["source"] for event in events if event["event"] == "segment"}


def used(pid: int) -> dict[int, float]:
    """Seconds of the processor that a process and its descendants have used, each by its id."""
    return {one: processor_s(one) for one in family(pid)}


def classify(arguments: Sequence[str]) -> dict[str, float]:
    """``undertone classify``: seconds by the clock and of the processor, and peak memory."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(
        [*PROGRAM, "classify", "--format", "json", *arguments], stdout=subprocess.DEVNULL
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(pss_bytes, family(process.pid))))
            time.sleep(POLL_S)
    wall_s = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"growth: undertone classify ended with status {process.returncode}")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {
        "wall_s": round(wall_s, 3),
        "processor_s": round(processor_s, 3),
        "peak_memory_bytes": peak,
    }


def family(pid: int) -> Iterator[int]:
    """A process, its children and theirs."""
    yield pid
    try:  # each thread has children of its own
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # ended meanwhile
        return
    for child in " ".join(lists).split():
        yield from family(int(child))


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def progress(items: Sequence[Any], what: str) -> Iterator[Any]:
    """Show a progress bar on stderr if that is a terminal."""
    console = Console(stderr=True)
    yield from track(items, what, console=console, disable=not console.is_terminal)


if __name__ == "__main__":
    main()
