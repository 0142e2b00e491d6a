"""How `prepare` and `fit` grow with the number of clips, and what they survive.

``make scale`` runs it, with CLIPS clips.  It makes a corpus of one's own recordings, each with two
seconds of speech that no other has, and measures the real commands in separate processes:

- *prepare* with one worker and with two, again with nothing changed, and of the whole corpus;
- *killed*: one of two workers is killed with SIGKILL halfway;
- *together*: two commands with the same work at once;
- *full*: the storage is full halfway (as root, on a small tmpfs), and then larger;
- *fit*: memory and the time of an epoch;
- *cluster*: the whole corpus on two Dask workers, of which one is killed, with a scheduler that is
  killed, and on a storage that is full halfway; then what they made against what processes made.

The recipe makes no augmented copies, which would take most of the time, and is the same otherwise.
Memory is that of all processes together: anonymous, which the machine must have, and with their
shares of mapped files, which it may drop.  Writes one JSON object after every step, and a page.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from growth import family
from mqtt_broker import free_port
from pages import rewritten, table
from undertone import samples
from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.bench.machine import Sensors
from undertone.emotions import EMOTIONS
from undertone_training.features.shards import manifest

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "bench" / "scale.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN = "<!-- figures: written by tools/scale.py -->"

SECONDS = 2
MILLION = 1_000_000
POLL_S = 0.1
RECIPE = """width = 0.25
song = false
corpus = "made"
[window]
frames = 48
[augmentation]
copies = 0
[schedule]
epochs = 5
epoch_windows = 16384
"""
"""An epoch has the same length with every corpus, and is drawn in two parts."""

Figures = dict[str, Any]


STEPS = ("prepare", "whole", "again", "killed", "together", "full", "fit", "cluster")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--clips", type=int, default=100_000, help="in the corpus")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "scale")
    parser.add_argument("--output", type=Path, default=FIGURES, help="write the figures here")
    wanted = parser.parse_args()
    if unknown := set(wanted.steps) - set(STEPS):
        parser.error(f"there is no step {min(unknown)}")
    corpus = {"clips": wanted.clips, "part": wanted.clips // 10, "seconds": SECONDS}
    found: Figures = {"corpus": corpus}
    if wanted.steps and wanted.output.exists():
        before = json.loads(wanted.output.read_text())
        found = before if before["corpus"] == corpus else found
    measurement = Measurement(wanted.folder, wanted.clips)
    for name in wanted.steps or STEPS:
        found.pop("remark", None)
        found[name] = measurement.step(name)
        found["machine"] = machine()
        wanted.output.write_text(json.dumps(found, indent=2) + "\n")
    if wanted.output == FIGURES and found.keys() >= {*STEPS} - {"whole", "full", "cluster"}:
        PAGE.write_text(rewritten(PAGE.read_text(), BEGIN, page(found)))


def machine() -> Figures:
    """What was measured on."""
    state = Sensors().state()
    found = Sensors().machine(state)
    return {"processor": found.processor, "cores": found.cores, "load": state.load}


class Measurement:
    """The steps, on corpora and caches in one folder."""

    def __init__(self, folder: Path, clips: int) -> None:
        """Make the corpora, as far as they are not there."""
        self._folder = folder
        self._data = {
            "part": (folder / "corpus-part", clips // 10),
            "whole": (folder / "corpus", clips),
        }
        for data, number in self._data.values():
            write_corpus(data, number)
        self._recipe = folder / "scale.toml"
        self._recipe.write_text(RECIPE)

    def step(self, name: str) -> Any:
        """The figures of one step."""
        return getattr(self, f"_{name}")()

    def _prepare(self) -> Any:
        return [
            run(self._command("prepare", "part", cache, workers, fresh=True))
            for workers, cache in ((1, "one"), (2, "part"))
        ]

    def _whole(self) -> Any:
        return run(self._command("prepare", "whole", "whole", 2, fresh=True))

    def _again(self) -> Any:
        return [run(self._command("prepare", size, size, 2)) for size in self._data]

    def _killed(self) -> Any:
        line = self._command("prepare", "part", "killed", 2, fresh=True)
        return killed(line, self._folder / "killed", len(shards(self._folder / "part")))

    def _together(self) -> Any:
        line = self._command("prepare", "part", "together", 1, fresh=True)
        return together(line, self._folder / "together")

    def _full(self) -> Any:
        if os.geteuid():
            return None
        line = self._command("prepare", "part", "full", 2)
        size = sum(path.stat().st_size for path in shards(self._folder / "part"))
        return full(line, self._folder / "full", size)

    def _fit(self) -> Any:
        shutil.rmtree(self._folder / "runs", ignore_errors=True)
        return [
            fit([*self._command("fit", size, size, 1), "--runs", str(self._folder / "runs" / size)])
            for size in self._data
        ]

    def _cluster(self) -> Any:
        if os.geteuid():
            return None
        if not shards(self._folder / "whole"):
            run(self._command("prepare", "whole", "whole", 2))
        with (
            cluster(self._folder / "dask") as workers,
            Storage(self._folder / "cluster") as storage,
        ):
            there = (self._folder / "whole", storage.cache)
            of = shards(there[0])
            storage.give(sum(path.stat().st_size for path in of) // 2)
            line = self._command("prepare", "whole", "cluster", workers.address)
            figures = disturbed(line, storage, workers, len(of))
            names = [path.relative_to(there[0]) for path in of]
            alike = sum(same(*(cache / name for cache in there)) for name in names)
            models = [
                self._quantized(*each) for each in (("whole", 2), ("cluster", workers.address))
            ]
            return {**figures, "of": len(of), "alike": alike, "bundle_alike": same(*models)}

    def _quantized(self, cache: str, where: int | str) -> Path:
        """The int8 model of a training with the whole corpus, by jobs."""
        runs = self._folder / "runs" / f"by-{cache}"
        shutil.rmtree(runs, ignore_errors=True)
        run([*self._command("fit", "whole", cache, where), "--runs", str(runs)])
        run([*self._command("quantize", "whole", cache, 1, recipe=False), str(runs)])
        (model,) = runs.rglob("model.tflite")
        return model

    def _command(
        self,
        name: str,
        size: str,
        cache: str,
        where: int | str,
        fresh: bool = False,
        recipe: bool = True,
    ) -> list[str]:
        """A command of the training program.

        where: number of processes, or a scheduler's address.  fresh: with an empty cache.
        """
        if fresh:
            shutil.rmtree(self._folder / cache, ignore_errors=True)
        given = ("--data", self._data[size][0], "--cache", self._folder / cache)
        more: tuple[object, ...] = ("--jobs" if isinstance(where, int) else "--scheduler", where)
        if recipe:
            more += ("--recipe", self._recipe)
        return [sys.executable, "-m", "undertone_training.cli", name, *map(str, (*given, *more))]


def write_corpus(data: Path, clips: int) -> None:
    """Recordings of one's own: packaged speech at a random level, from a random place on."""
    sounds = [
        soundfile.read(path, SECONDS * SAMPLE_RATE_HZ, start=8_000, dtype="int16")[0]
        for path in samples.clips()
    ]
    for number in track(range(clips), "corpus", console=Console(stderr=True), disable=None):
        which = number % len(sounds)
        folder = data / "own" / "made" / f"speaker{number // 100:05}" / EMOTIONS[which]
        path = folder / f"{number:07}.wav"
        if path.exists():
            continue
        generator = np.random.default_rng(number)
        sound = np.roll(sounds[which], generator.integers(SAMPLE_RATE_HZ))
        content = (sound * generator.uniform(0.25, 1)).astype(np.int16).tobytes()
        folder.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            file.writeframes(content)


def started(line: Sequence[str]) -> subprocess.Popen[str]:
    """The process of a command, whose messages are lines of ``stderr``."""
    return subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def run(line: Sequence[str]) -> Figures:
    """Run a command: times, memory and bytes read; exits if it fails."""
    used, start = processor_s(), time.monotonic()
    with started(line) as process:
        memory = Memory(process.pid)
        while process.poll() is None:
            memory.look()
            time.sleep(POLL_S)
        succeeded(process)
    return {
        "wall_s": round(time.monotonic() - start, 1),
        "processor_s": round(processor_s() - used, 1),
        **memory.figures(),
    }


def succeeded(process: subprocess.Popen[str]) -> None:
    """Exit with the command's last message if it failed."""
    if process.wait():
        assert process.stderr is not None
        sys.exit(f"scale: {process.args} ended with {process.returncode}:\n{process.stderr.read()}")


def processor_s() -> float:
    """Processor time of all commands until now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Memory:
    """The most memory of a process and its children, all together, whenever somebody looked."""

    def __init__(self, pid: int) -> None:
        """Of process ``pid``."""
        self._pid = pid
        self._peaks = {"Pss_Anon": 0, "Pss": 0}
        self._read = 0

    def look(self) -> None:
        """Look now."""
        now = dict.fromkeys(self._peaks, 0)
        for pid in family(self._pid):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                read = Path(f"/proc/{pid}/io").read_text().splitlines()[0]
            except OSError:  # ended meanwhile
                continue
            values = dict(line.split(":", 1) for line in lines[1:])
            for name in now:
                now[name] += int(values[name].split()[0]) * 1024
            if pid == self._pid:
                self._read = int(read.split()[1])
        self._peaks = {name: max(self._peaks[name], now[name]) for name in now}

    def figures(self) -> Figures:
        """Bytes; ``read_bytes``: by the process itself, its modules included."""
        return {
            "anonymous_bytes": self._peaks["Pss_Anon"],
            "memory_bytes": self._peaks["Pss"],
            "read_bytes": self._read,
        }


def shards(cache: Path) -> dict[Path, int]:
    """The shards of a cache, each with the number of its file, which another one would not have."""
    return {path: path.stat().st_ino for path in cache.glob("*/*.arrow")}


def kept(before: dict[Path, int], cache: Path) -> int:
    """How many of the shards that were there ``before`` are the same files now."""
    now = shards(cache)
    return sum(now[path] == number for path, number in before.items())


def computed(cache: Path) -> Figures:
    """Rows of all shards, and how many recordings they are of; what is left of unfinished ones."""
    files = [row.file for path in shards(cache) for row in manifest(path)]
    left = len(list(cache.glob("*/*.part")))
    return {"rows": len(files), "recordings": len(set(files)), "unfinished": left}


def killed(line: Sequence[str], cache: Path, total: int) -> Figures:
    """Kill a worker when half of the ``total`` shards are there."""
    with started(line) as process:
        while len(before := shards(cache)) < total // 2:
            if process.poll() is not None:
                sys.exit("scale: there are too few clips to kill a worker in time")
            time.sleep(POLL_S / 10)
        os.kill(next(filter(is_worker, family(process.pid))), signal.SIGKILL)
        under_way = computed(cache)["unfinished"]
        succeeded(process)
    return {
        "shards": len(before),
        "kept": kept(before, cache),
        "jobs_under_way": under_way,
        **computed(cache),
    }


def is_worker(pid: int) -> bool:
    """Whether a process runs jobs."""
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


def together(line: Sequence[str], cache: Path) -> Figures:
    """The same command twice at once."""
    used = processor_s()
    with started(line) as one, started(line) as other:
        succeeded(one)
        succeeded(other)
    return {"processor_s": round(processor_s() - used, 1), **computed(cache)}


def full(line: Sequence[str], cache: Path, size: int) -> Figures:
    """A storage for half of ``size`` bytes, and then for twice as much."""
    with Storage(cache) as storage:
        storage.give(size // 2)
        failed = subprocess.run(line, capture_output=True, text=True)
        return continued(line, storage, failed.returncode, failed.stderr, size)


def continued(
    line: Sequence[str], storage: "Storage", status: int, message: str, size: int
) -> Figures:
    """A command that has failed, with enough room for it."""
    before, unfinished = shards(storage.cache), computed(storage.cache)["unfinished"]
    storage.give(size * 2)
    run(line)
    return {
        "status": status,
        "message": message.splitlines()[-1].replace(str(storage.cache), "CACHE"),
        "shards": len(before),
        "kept": kept(before, storage.cache),
        "unfinished_then": unfinished,
        **computed(storage.cache),
    }


class Storage:
    """A tmpfs in the folder ``cache``, with a size that changes."""

    def __init__(self, cache: Path) -> None:
        """Make the folder anew."""
        self.cache = cache
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)

    def give(self, size: int) -> None:
        """Let it have ``size`` bytes."""
        options = f"{'remount,' if self.cache.is_mount() else ''}size={size}"
        line = ["mount", "-t", "tmpfs", "tmpfs", str(self.cache), "-o", options]
        subprocess.run(line, check=True)

    def __enter__(self) -> "Storage":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it."""
        if self.cache.is_mount():
            subprocess.run(["umount", str(self.cache)], check=True)
        self.cache.rmdir()


class Cluster:
    """A Dask scheduler and two workers, as docs/cluster.md starts them."""

    def __init__(self, log: Path) -> None:
        """Start them; ``log``: what they say."""
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self._log = log
        self._lines = (
            ["scheduler", "--host", "127.0.0.1", "--port", str(port)],
            ["worker", self.address, "--nworkers", "2", "--nthreads", "1"],
        )
        self.start()

    def start(self) -> None:
        """Start the scheduler and the workers."""
        with self._log.open("ab") as log:
            self._scheduler, self._workers = (
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *line, "--no-dashboard"], stdout=log, stderr=log
                )
                for line in self._lines
            )

    def kill_worker(self) -> None:
        """Kill one, which is started again."""
        os.kill(next(filter(is_worker, family(self._workers.pid))), signal.SIGKILL)

    def restart(self) -> None:
        """Kill the scheduler; start it again, and the workers, which end with it."""
        self._scheduler.kill()
        self._scheduler.wait()
        self._workers.wait(timeout=300)
        self.start()

    def stop(self) -> None:
        """End all."""
        for process in (self._workers, self._scheduler):
            process.terminate()
            process.wait(timeout=60)


@contextmanager
def cluster(log: Path) -> Iterator[Cluster]:
    """A cluster that ends with the block."""
    found = Cluster(log)
    try:
        yield found
    finally:
        found.stop()


def disturbed(line: Sequence[str], storage: Storage, workers: Cluster, total: int) -> Figures:
    """A command that writes ``total`` shards, until the storage is full, and the same again.

    A worker is killed after an eighth of them, and the scheduler after a quarter.
    """
    size = os.statvfs(storage.cache).f_blocks * os.statvfs(storage.cache).f_frsize
    disturbances = [(total // 8, workers.kill_worker), (total // 4, workers.restart)]
    with started(line) as process:
        for number, disturb in disturbances:
            while len(shards(storage.cache)) < number:
                if process.poll() is not None:
                    sys.exit("scale: there are too few clips to disturb the jobs in time")
                time.sleep(POLL_S / 10)
            disturb()
        assert process.stderr is not None
        message = process.stderr.read()
    return continued(line, storage, process.returncode, message, 2 * size)


def same(one: Path, other: Path) -> bool:
    """Whether both files are there with the same content."""
    return other.exists() and one.read_bytes() == other.read_bytes()


def fit(line: Sequence[str]) -> Figures:
    """Train: memory, and the time of an epoch after the first."""
    ends: list[float] = []
    start = time.monotonic()
    with started(line) as process:
        memory = Memory(process.pid)

        def listen() -> None:  # the recipe's name begins the line of an epoch
            epochs = (line for line in process.stderr or () if line.startswith("scale "))
            ends.extend(time.monotonic() for _ in epochs)

        listener = Thread(target=listen)
        listener.start()
        while process.poll() is None:
            memory.look()
            time.sleep(POLL_S)
        listener.join()
        succeeded(process)
    epochs_s = [after - before for before, after in pairwise(ends)]
    return {
        "first_epoch_after_s": round(ends[0] - start, 1),
        "epoch_s": round(statistics.median(epochs_s), 2),
        **memory.figures(),
    }


def page(figures: Figures) -> str:
    """The tables of docs/scale.md."""
    corpus, machine = figures["corpus"], figures["machine"]
    part, whole = corpus["part"], corpus["clips"]
    one, two = figures["prepare"]
    again, fits = figures["again"], figures["fit"]

    def row(
        what: str, name: str, measured: Sequence[Figures | None], text: Callable[[float], str]
    ) -> Sequence[str]:
        small, large = measured
        if not (small and large):
            return what, text(small[name]) if small else "–", "–", "–"
        slope = max(0.0, (large[name] - small[name]) / (whole - part))  # or chance
        return what, *map(text, (small[name], large[name], large[name] + slope * (MILLION - whole)))

    prepared = two, figures.get("whole")
    rows = [
        row("`prepare`, 2 workers", "wall_s", prepared, seconds),
        row("its processor time", "processor_s", prepared, seconds),
        row("memory, anonymous", "anonymous_bytes", prepared, megabytes),
        row("memory with mapped files", "memory_bytes", prepared, megabytes),
        row("`prepare` again", "wall_s", again, seconds),
        row("its processor time", "processor_s", again, seconds),
        row("bytes that it reads", "read_bytes", again, megabytes),
        row("an epoch of `fit`", "epoch_s", fits, seconds),
        row("memory of `fit`, anonymous", "anonymous_bytes", fits, megabytes),
        row("memory with mapped files", "memory_bytes", fits, megabytes),
    ]
    dead, both = figures["killed"], figures["together"]
    lines = [
        f"Measured on {machine['processor']}, cores: {machine['cores']}; load average "
        f"afterwards: {machine['load']}. Clips of {corpus['seconds']} s without augmented copies."
        f"{figures.get('remark', '')}",
        table(["", f"{part:,} clips", f"{whole:,} clips", "a million, extrapolated"], rows),
        f"Two workers prepare {part:,} clips {one['wall_s'] / two['wall_s']:.2f} times as fast as "
        f"one ({two['wall_s']:.0f} s and {one['wall_s']:.0f} s, with {two['processor_s']:.0f} s "
        f"and {one['processor_s']:.0f} s of processor time).",
        f"- A worker killed with SIGKILL when {dead['shards']} shards were there and "
        f"{dead['jobs_under_way']} jobs under way: the command went on, {dead['kept']} shards "
        f"stayed as they were, and at the end there were {dead['rows']:,} rows of "
        f"{dead['recordings']:,} recordings.",
        f"- Two commands at once: {both['rows']:,} rows of {both['recordings']:,} recordings, in "
        f"{both['processor_s']:.0f} s of processor time together.",
    ]
    if storage := figures.get("full"):
        lines.append(
            f"- A full storage: exit status {storage['status']}, “{storage['message']}” "
            f"With more room {storage['kept']} of {storage['shards']} shards were kept, and there "
            f"were {storage['rows']:,} rows of {storage['recordings']:,} recordings."
        )
    if jobs := figures.get("cluster"):
        lines.append(
            f"- {whole:,} clips on two Dask workers, of which one was killed with SIGKILL, as the "
            f"scheduler was, on a storage that was full halfway: the command went on, and ended "
            f"with exit status {jobs['status']} when there was no room left. With more room "
            f"{jobs['kept']} of {jobs['shards']} shards were kept, and there were {jobs['rows']:,} "
            f"rows of {jobs['recordings']:,} recordings. {jobs['alike']} of {jobs['of']} shards "
            "had the bytes of those that two processes wrote, and the int8 model of a training on "
            f"the workers {'had' if jobs['bundle_alike'] else 'did not have'} those of one in a "
            "process."
        )
    return "\n\n".join(lines)


def seconds(value: float) -> str:
    """Seconds, or minutes of many."""
    return f"{value / 60:.0f} min" if value >= 600 else f"{value:.1f} s"


def megabytes(value: float) -> str:
    """Megabytes, or gigabytes of many."""
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
