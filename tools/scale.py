"""How `prepare` and `fit` grow with the number of clips, and what they survive.

``make scale`` runs it, with CLIPS clips.  It makes a corpus of one's own recordings, each with two
seconds of speech that no other has, and measures the real commands in separate processes:

- *prepare* with two workers, *whole*: of the whole corpus, and *again* with nothing changed;
- *workers*: one worker and two in turns, and in between, as many processes that have nothing to
  do with each other: what this machine can do at most.  Nothing else must run meanwhile;
- *killed*: one of two workers is killed with SIGKILL halfway;
- *together*: two commands with the same work at once;
- *full*: the storage is full halfway (as root, on a small tmpfs), and then larger;
- *fit*: memory and the time of an epoch;
- *cluster*: the whole corpus on two Dask workers, of which one is killed, with a scheduler that is
  killed, and on a storage that is full halfway; then what they made against what processes made.

Where work may be lost, tools/counting counts the clips that jobs compute.  The recipe makes no
augmented copies, which would take most of the time, and is the same otherwise.  Memory is that of
all processes together: anonymous, which the machine must have, and with their shares of mapped
files, which it may drop.  Writes one JSON object after every step, and a page.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import wave
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any
from unittest.mock import patch

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from growth import family
from mqtt_broker import free_port
from pages import rewritten, table
from undertone import samples
from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.bench.machine import Sensors
from undertone.emotions import EMOTIONS
from undertone.recognition.bundle import manifest_json
from undertone_training.export.bundle import bundle_of
from undertone_training.features.gate import speech_of
from undertone_training.features.shards import manifest
from undertone_training.learning.runs import find_runs

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "bench" / "scale.json"
PAGE = ROOT / "docs" / "scale.md"
BEGIN = "<!-- figures: written by tools/scale.py -->"

SECONDS = 2
MILLION = 1_000_000
POLL_S = 0.1
ROUNDS = 2
"""Of one worker and two."""
WORK = 4_000
"""How often a process computes the features of one clip, to measure the machine."""
EPOCH = 16_384
"""Windows, with every corpus; they are drawn in two parts."""
RECIPE = f"""width = 0.25
song = false
corpus = "made"
[window]
frames = 48
[augmentation]
copies = 0
[schedule]
epochs = 5
epoch_windows = {EPOCH}
"""

Figures = dict[str, Any]


STEPS = ("prepare", "whole", "workers", "again", "killed", "together", "full", "fit", "cluster")

OPTIONAL = {"whole", "workers", "full", "cluster"}
TIMED = {"prepare", "whole", "workers", "again", "fit"}
SIZES = ("part", "whole")


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
        if name in TIMED or "machine" not in found:
            found["machine"] = machine()
        wanted.output.write_text(json.dumps(found, indent=2) + "\n")
    if wanted.output == FIGURES and found.keys() >= {*STEPS} - OPTIONAL:
        PAGE.write_text(rewritten(PAGE.read_text(), BEGIN, page(found)))


def machine() -> Figures:
    """What was measured on."""
    state = Sensors().state()
    found = Sensors().machine(state)
    return {"processor": found.processor, "cores": found.cores, "load": state.load}


class Measurement:
    """The steps, on corpora and caches in one folder."""

    def __init__(self, folder: Path, clips: int) -> None:
        """Make no corpus yet: each when a command needs it, as far as it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._data = {
            "part": (folder / "corpus-part", clips // 10),
            "workers": (folder / "corpus-workers", clips * 3 // 10),
            "whole": (folder / "corpus", clips),
        }
        self._recipe = folder / "scale.toml"
        self._recipe.write_text(RECIPE)

    def step(self, name: str) -> Any:
        """The figures of one step."""
        return getattr(self, f"_{name}")()

    def _prepare(self) -> Any:
        return run(self._command("prepare", "part", "part", 2, fresh=True))

    def _whole(self) -> Any:
        return run(self._command("prepare", "whole", "whole", 2, fresh=True))

    def _workers(self) -> Any:
        numbers = (1, 2)
        measured: dict[str, list[list[Figures]]] = {"prepare": [], "apart": []}
        for _ in range(ROUNDS):
            lines = [
                self._command("prepare", "workers", "workers", each, fresh=True) for each in numbers
            ]
            measured["apart"].append([timed([WORKER] * each) for each in numbers])
            found = []
            for line in lines:
                shutil.rmtree(self._folder / "workers", ignore_errors=True)
                found.append(timed([line]))
            measured["prepare"].append(found)
        return {"clips": self._data["workers"][1], **measured}

    def _again(self) -> Any:
        return [run(self._command("prepare", size, size, 2)) for size in SIZES]

    def _killed(self) -> Any:
        line = self._command("prepare", "part", "killed", 2, fresh=True)
        with counted(self._folder) as computed:
            figures = killed(line, self._folder / "killed", len(shards(self._folder / "part")))
        return {**figures, **computed}

    def _together(self) -> Any:
        line = self._command("prepare", "part", "together", 1, fresh=True)
        with counted(self._folder) as computed:
            figures = together(line, self._folder / "together")
        return {**figures, **computed}

    def _full(self) -> Any:
        if os.geteuid():
            return None
        line = self._command("prepare", "part", "full", 2)
        size = sum(path.stat().st_size for path in shards(self._folder / "part"))
        with counted(self._folder) as computed:
            figures = full(line, self._folder / "full", size)
        return {**figures, **computed}

    def _fit(self) -> Any:
        shutil.rmtree(self._folder / "runs", ignore_errors=True)
        return [
            fit([*self._command("fit", size, size, 1), "--runs", str(self._folder / "runs" / size)])
            for size in SIZES
        ]

    def _cluster(self) -> Any:
        if os.geteuid():
            return None
        if not shards(self._folder / "whole"):
            run(self._command("prepare", "whole", "whole", 2))
        with (
            counted(self._folder) as computed,
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
            one, other = (
                self._bundle(*each) for each in (("whole", 2), ("cluster", workers.address))
            )
        return {**figures, "of": len(of), "alike": alike, "bundle_alike": one == other, **computed}

    def _bundle(self, cache: str, where: int | str) -> tuple[bytes, ...]:
        """``bundle_files`` of a training with the whole corpus, by jobs."""
        runs = self._folder / "runs" / f"by-{cache}"
        shutil.rmtree(runs, ignore_errors=True)
        run([*self._command("fit", "whole", cache, where), "--runs", str(runs)])
        run([*self._command("quantize", "whole", cache, 1, recipe=False), str(runs)])
        return bundle_files(runs)

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
        data, clips = self._data[size]
        write_corpus(data, clips)
        given = ("--data", data, "--cache", self._folder / cache)
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
    os.sync()  # so that the disk is not busy with it while something is measured


@contextmanager
def counted(folder: Path) -> Iterator[Figures]:
    """After the block: how many clips the jobs of its processes computed, and which of them again.

    again: clips that were computed more than once.  repetitions: how often, all together.
    """
    log = folder / "computed"
    log.unlink(missing_ok=True)
    found: Figures = {}
    path = os.pathsep.join([str(ROOT / "tools" / "counting"), *sys.path])
    with patch.dict(os.environ, COMPUTED=str(log), PYTHONPATH=path):
        yield found
    times = Counter(log.read_text().splitlines())
    found["computed"] = len(times)
    found["again"] = sum(number > 1 for number in times.values())
    found["repetitions"] = times.total() - len(times)


def timed(lines: Sequence[Sequence[str]]) -> Figures:
    """The times of commands that run at once, which nobody watches."""
    used, start = processor_s(), time.monotonic()
    processes = [started(line) for line in lines]
    for process in processes:
        process.communicate()
        succeeded(process)
    return {
        "wall_s": round(time.monotonic() - start, 2),
        "processor_s": round(processor_s() - used, 2),
    }


def work() -> None:
    """What keeps a core busy as `prepare` does, without files and other processes."""
    sound, _ = soundfile.read(samples.clips()[0], SECONDS * SAMPLE_RATE_HZ, dtype="int16")
    with threadpool_limits(1):
        for _ in range(WORK):
            speech_of(sound)


WORKER = [
    sys.executable,
    "-c",
    f"import sys; sys.path[:0] = {sys.path}; import scale; scale.work()",
]


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


def contents(cache: Path) -> Figures:
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
        time.sleep(POLL_S)  # in the middle of a job
        before = shards(cache)
        os.kill(next(filter(is_worker, family(process.pid))), signal.SIGKILL)
        under_way = contents(cache)["unfinished"]
        succeeded(process)
    return {
        "shards": len(before),
        "kept": kept(before, cache),
        "jobs_under_way": under_way,
        **contents(cache),
    }


def is_worker(pid: int) -> bool:
    """Whether a process runs jobs, or is a worker of Dask's."""
    line = Path(f"/proc/{pid}/cmdline").read_text()
    return "job_process" in line or "spawn_main" in line


def together(line: Sequence[str], cache: Path) -> Figures:
    """The same command twice at once."""
    used = processor_s()
    with started(line) as one, started(line) as other:
        succeeded(one)
        succeeded(other)
    return {"processor_s": round(processor_s() - used, 1), **contents(cache)}


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
    before, unfinished = shards(storage.cache), contents(storage.cache)["unfinished"]
    storage.give(size * 2)
    run(line)
    return {
        "status": status,
        "message": message.splitlines()[-1].replace(str(storage.cache), "CACHE"),
        "shards": len(before),
        "kept": kept(before, storage.cache),
        "unfinished_then": unfinished,
        **contents(storage.cache),
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


def bundle_files(runs: Path) -> tuple[bytes, ...]:
    """The contents of the bundle of the only run in a folder, and the weights before int8."""
    (trained,) = find_runs(runs)
    bundle = bundle_of(trained, trained.info.recipe.name)
    with zipfile.ZipFile(trained.model) as archive:  # which has the time of writing, too
        weights = archive.read("model.weights.h5")
    return weights, bundle.model, bundle.detector, manifest_json(bundle.manifest)


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
        "epoch_s": round(median(epochs_s), 2),
        **memory.figures(),
    }


def page(figures: Figures) -> str:
    """The tables of docs/scale.md."""
    corpus, machine = figures["corpus"], figures["machine"]
    part, whole = corpus["part"], corpus["clips"]
    again, fits = figures["again"], figures["fit"]

    def row(
        what: str, name: str, measured: Sequence[Figures | None], text: Callable[[float], str]
    ) -> Sequence[str]:
        small, large = measured
        if not (small and large):
            return what, text(small[name]) if small else "–", "–", "–"
        slope = max(0.0, (large[name] - small[name]) / (whole - part))  # or chance
        return what, *map(text, (small[name], large[name], large[name] + slope * (MILLION - whole)))

    prepared = figures["prepare"], figures.get("whole")
    rows = [
        row("`prepare`, 2 workers", "wall_s", prepared, seconds),
        row("its processor time", "processor_s", prepared, seconds),
        row("memory, anonymous", "anonymous_bytes", prepared, megabytes),
        row("memory with mapped files", "memory_bytes", prepared, megabytes),
        row("`prepare` again", "wall_s", again, seconds),
        row("its processor time", "processor_s", again, seconds),
        row("bytes that it reads", "read_bytes", again, megabytes),
        # of the same length with every corpus, so that nothing is to be extrapolated
        (
            f"an epoch of `fit`, {EPOCH:,} windows",
            *(seconds(each["epoch_s"]) for each in fits),
            "–",
        ),
        row("memory of `fit`, anonymous", "anonymous_bytes", fits, megabytes),
        row("memory with mapped files", "memory_bytes", fits, megabytes),
    ]
    dead, both = figures["killed"], figures["together"]
    lines = [
        f"Measured on {machine['processor']}, cores: {machine['cores']}; load average "
        f"afterwards: {machine['load']}. Clips of {corpus['seconds']} s without augmented copies."
        f"{figures.get('remark', '')}",
        table(["", f"{part:,} clips", f"{whole:,} clips", "a million, extrapolated"], rows),
        *([speed(figures["workers"])] if "workers" in figures else []),
        f"- A worker killed with SIGKILL when {dead['shards']} shards were there and "
        f"{dead['jobs_under_way']} jobs under way: the command went on, {dead['kept']} shards "
        f"stayed as they were, and at the end there were {dead['rows']:,} rows of "
        f"{dead['recordings']:,} recordings.{repeated(dead)}",
        f"- Two commands at once: {both['rows']:,} rows of {both['recordings']:,} recordings."
        f"{repeated(both)}",
    ]
    if storage := figures.get("full"):
        lines.append(
            f"- A full storage: exit status {storage['status']}, “{storage['message']}” "
            f"With more room {storage['kept']} of {storage['shards']} shards were kept, and there "
            f"were {storage['rows']:,} rows of {storage['recordings']:,} recordings."
            f"{repeated(storage)}"
        )
    if jobs := figures.get("cluster"):
        lines.append(
            f"- {whole:,} clips on two Dask workers, of which one was killed with SIGKILL, as the "
            f"scheduler was, on a storage that was full halfway: the command went on, and ended "
            f"with exit status {jobs['status']} when there was no room left. With more room "
            f"{jobs['kept']} of {jobs['shards']} shards were kept, and there were {jobs['rows']:,} "
            f"rows of {jobs['recordings']:,} recordings.{repeated(jobs)} {jobs['alike']} of "
            f"{jobs['of']} shards had the bytes of those that two processes wrote, and the bundle "
            "and the weights of a training on the workers "
            f"{'had' if jobs['bundle_alike'] else 'did not have'} those of a training in a process."
        )
    return "\n\n".join(lines)


def speed(workers: Figures) -> str:
    """How much faster two workers are than one."""

    def times(what: str) -> tuple[list[float], float]:
        one, two = (
            [median(each[at][unit] for each in workers[what]) for unit in ("wall_s", "processor_s")]
            for at in (0, 1)
        )
        return [*one, *two], one[0] / two[0]

    (one_s, one_processor_s, two_s, two_processor_s), factor = times("prepare")
    _, apart = times("apart")
    return (
        f"Two workers prepare {workers['clips']:,} clips {factor:.2f} times as fast as one, in "
        f"{two_s:.0f} s and {two_processor_s:.0f} s of processor time instead of {one_s:.0f} s and "
        f"{one_processor_s:.0f} s (medians of {len(workers['prepare'])} runs in turns). Two "
        "processes that have nothing to do with each other are together "
        f"{2 * apart:.2f} times as fast as one."
    )


def repeated(figures: Figures) -> str:
    """How many clips the jobs computed, and which of them again."""
    if "again" not in figures:  # not counted by earlier versions
        return ""
    again = figures["again"]
    return f" The jobs computed {figures['computed']:,} clips, {again or 'none'} of them again."


def seconds(value: float) -> str:
    """Seconds, or minutes of many."""
    return f"{value / 60:.0f} min" if value >= 600 else f"{value:.1f} s"


def megabytes(value: float) -> str:
    """Megabytes, or gigabytes of many."""
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
