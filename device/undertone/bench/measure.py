"""The measurements; times in milliseconds, sizes in bytes."""

import platform
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from undertone import __version__
from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.bundle import Bundle
from undertone.classifier import Classifier
from undertone.interpreter import RuntimeName
from undertone.mfcc import Mfcc
from undertone.pipeline import Pipeline
from undertone.samples import demonstration
from undertone.windows import cut

_WARM_UP_RUNS = 10


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles over ``runs`` calls, in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One bundle on one machine.

    mfcc: the frames of one window, computed as they arrive; inference: one window normalised,
        quantised and invoked.
    real_time_factor: seconds of computing in a second of audio, over the whole path (gate,
        MFCC, model, tracker) and the packaged sample; speech and pauses.
    peak_memory_bytes: largest resident set of this process so far.
    """

    version: str
    bundle: str
    model_bytes: int
    runtime: str
    threads: int
    window_s: float
    mfcc: Latency
    inference: Latency
    real_time_factor: float
    audio_s: float
    peak_memory_bytes: int
    processor: str
    python: str

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def measure(
    bundle: Bundle, runs: int = 200, runtime: RuntimeName = "auto", threads: int = 1
) -> Benchmark:
    """Measure ``bundle`` with ``runs`` calls of each stage after a warm-up."""
    classifier = Classifier(bundle, runtime, threads)
    config, window = bundle.manifest.mfcc, bundle.manifest.window
    blocks = list(demonstration())
    sound = np.concatenate([block.samples for block in blocks])
    length = config.frame_length + (window.frames - 1) * config.hop_length
    piece = np.resize(sound, length)
    mfcc = Mfcc(config)
    frames = cut(mfcc.compute(piece), window)[0]
    return Benchmark(
        version=__version__,
        bundle=bundle.manifest.name,
        model_bytes=len(bundle.model),
        runtime=classifier.runtime,
        threads=threads,
        window_s=length / SAMPLE_RATE_HZ,
        mfcc=_latency(lambda: mfcc.compute(piece), runs),
        inference=_latency(lambda: classifier.logits(frames), runs),
        real_time_factor=_real_time_factor(classifier, sound),
        audio_s=len(sound) / SAMPLE_RATE_HZ,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        processor=processor(),
        python=platform.python_version(),
    )


def processor() -> str:
    """What this machine calls itself: a Pi's board model, or the processor's name."""
    board = Path("/proc/device-tree/model")
    if board.exists():
        return board.read_text().strip("\0\n ")
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _latency(call: Callable[[], object], runs: int) -> Latency:
    for _ in range(_WARM_UP_RUNS):
        call()
    times_ms = np.empty(runs)
    for index in range(runs):
        start = time.perf_counter_ns()
        call()
        times_ms[index] = (time.perf_counter_ns() - start) / 1e6
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99]).round(4).tolist()
    return Latency(p50, p95, p99, runs)


def _real_time_factor(classifier: Classifier, sound: Samples, block_length: int = 1600) -> float:
    pipeline = Pipeline(classifier)
    start = time.perf_counter()
    for first in range(0, len(sound), block_length):
        pipeline.process(Block(sound[first : first + block_length], first / SAMPLE_RATE_HZ))
    pipeline.flush()
    return round((time.perf_counter() - start) / (len(sound) / SAMPLE_RATE_HZ), 5)
