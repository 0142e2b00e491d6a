"""How latency, throughput and memory grow with the length, the files and the microphones.

``make growth`` runs it.  It measures the real program in separate processes:

- *length*: ``undertone classify`` of one recording of 1 s to 1 h;
- *files*: ``undertone classify --jobs`` of 1 to 10,000 recordings of 3 to 5 s;
- *microphones*: 1 to 8 times ``undertone listen``, each fed with speech and pauses in real time.

Memory is the proportional set size (PSS) of all processes: what they share counts once.  Prints
one JSON object, and writes it to the file ``--output``.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.bench.machine import Sensors
from undertone.bench.process import PROGRAM, ListeningProgram, listen
from undertone.samples import clips, demonstration

LENGTHS_S = (1, 10, 60, 600, 3600)
FILES = (1, 10, 100, 1_000, 10_000)
MICROPHONES = (1, 2, 4, 8)
POLL_S = 0.1


def main() -> None:
    """Measure what the arguments select."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--longest-s", type=float, default=LENGTHS_S[-1], help="of one recording")
    parser.add_argument("--files", type=int, default=FILES[-1], help="the most")
    parser.add_argument("--microphones", type=int, default=MICROPHONES[-1], help="the most")
    parser.add_argument("--seconds", type=float, default=20.0, help="of listening, in real time")
    parser.add_argument("--output", type=Path, help="write the figures here as well")
    wanted = parser.parse_args()
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
                [n for n in MICROPHONES if n <= wanted.microphones], wanted.seconds
            ),
        }
    machine = sensors.machine(before)
    figures["machine"] = {
        "processor": machine.processor,
        "cores": machine.cores,
        "python": machine.python,
        "load_before": before.load,
    }
    text = json.dumps(figures, indent=2) + "\n"
    sys.stdout.write(text)
    if wanted.output:
        wanted.output.write_text(text)


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


def by_microphones(counts: Sequence[int], seconds: float) -> list[dict[str, float]]:
    """An increasing number of listening programs, each with its own stream."""
    sound = np.concatenate([block.samples for block in demonstration()])
    sound = np.resize(sound, round(seconds * SAMPLE_RATE_HZ))
    found = []
    for count in progress(counts, "microphones"):
        with ExitStack() as stack:
            programs = [stack.enter_context(ListeningProgram([])) for _ in range(count)]
            used = listen(programs, sound)
            memory = sum(pss_bytes(program.pid) for program in programs)
        shares = [one.cpu_share for one in used]
        found.append(
            {
                "microphones": count,
                "cpu_share": round(sum(shares), 5),
                "largest_cpu_share": max(shares),
                "memory_bytes": memory,
            }
        )
    return found


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
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # ended meanwhile
        return
    for child in children:
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
