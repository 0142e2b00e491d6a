"""Latency of every stage of the device path, of the whole path, and of the model's operators."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import python_speech_features
import soxr
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples, to_int16
from undertone.audio.resample import Resampler
from undertone.bench.model import graph
from undertone.bench.result import PIECE_LENGTH, Latency, Stages
from undertone.bench.sounds import blocks, silence, speech
from undertone.bench.truncate_model import truncate
from undertone.events import Event, SegmentEnded, Sink, Verdict
from undertone.journal.sink import JournalSink
from undertone.journal.writer import JournalWriter
from undertone.listener import Listener
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle, Manifest
from undertone.recognition.classifier import Classifier
from undertone.recognition.decision import decide, log_softmax
from undertone.recognition.interpreter import Int8Interpreter, RuntimeName
from undertone.recognition.mfcc import Mfcc, RawFrames, with_pitch
from undertone.recognition.pipeline import Pipeline
from undertone.recognition.speech_detector import SpeechDetector
from undertone.samples import demonstration

T = TypeVar("T")

# a journal may still be summarising a closed file at the end
_folder = partial(tempfile.TemporaryDirectory, ignore_cleanup_errors=True)

_WARM_UP_RUNS = 20
_UNDISTURBED_PERCENTILE = 10
"""Of times that are subtracted from each other, where an interruption by another process counts."""
_MICROPHONE_RATE_HZ = 48_000
_WINDOWS_OF_A_SEGMENT = 8


@dataclass(frozen=True)
class Timed:
    """The times of one bundle with one runtime."""

    xnnpack: bool
    stages: Stages
    operator_ms: tuple[float, ...]
    real_time_factor: float
    event_delay_s: float


def measure(folder: Path, runtime: RuntimeName, threads: int, runs: int) -> Timed:
    """Time every stage with ``runs`` calls after a warm-up; to be run in a new process."""
    loaded = bundle.load(folder)
    classifier = Classifier(loaded, runtime, threads)
    model, detector = loaded.open(runtime, threads)
    path = _path(classifier, runs)
    return Timed(
        xnnpack=_has_xnnpack(model),
        stages=_stages(classifier, SpeechDetector(loaded.manifest.detector, detector), runs, path),
        operator_ms=_operators(loaded, runtime, threads, runs),
        real_time_factor=round(sum(path.block_ms) / 1e3 / path.duration_s, 6),
        event_delay_s=round(max(path.delays_s) + loaded.manifest.gate.tail_s, 3),
    )


def _stages(classifier: Classifier, detector: SpeechDetector, runs: int, path: "_Path") -> Stages:
    samples = speech(20, classifier.gate())
    quiet, speaking = list(blocks(silence(20))), list(blocks(samples))
    manifest = classifier.manifest
    raw = _raw_window(manifest, samples)

    def prepare(raw: RawFrames) -> NDArray[np.int8]:
        return classifier.prepare(with_pitch(raw, manifest.mfcc))

    prepared = prepare(raw)
    logits = classifier.invoke(prepared)
    segment = [log_softmax(logits, manifest.temperature)] * _WINDOWS_OF_A_SEGMENT
    labels, threshold = manifest.labels, manifest.confidence_threshold
    verdict = decide(segment, labels, threshold)
    at_48_khz = [_from_microphone(block) for block in speaking]
    pieces = np.split(samples, range(PIECE_LENGTH, len(samples), PIECE_LENGTH))[:-1]
    mfcc = Mfcc(manifest.mfcc)
    frames = [mfcc.push(piece) for piece in pieces]
    mfcc.reset()
    return Stages(
        resample=_timed(Resampler(_MICROPHONE_RATE_HZ).process, at_48_khz, runs),
        gate_silence=_timed(classifier.gate().process, quiet, runs),
        gate_speech=_timed(classifier.gate().process, speaking, runs),
        mfcc=_timed(mfcc.push, pieces, runs),
        detector=_timed(detector.push, frames, runs),
        window_mfcc=_timed(
            partial(python_speech_features.mfcc, **manifest.mfcc.reference_arguments),
            [samples[: manifest.mfcc.span(manifest.window.frames)]],
            runs,
        ),
        quantise=_timed(prepare, [raw], runs),
        invoke=_timed(classifier.invoke, [prepared], runs),
        tracker=_timed(lambda windows: decide(windows, labels, threshold), [segment], runs),
        journal=_journal(verdict, runs),
        path=_latency(path.block_ms),
        event=_latency(path.event_ms),
    )


def _from_microphone(block: Block) -> Samples:
    """The block as a microphone at 48 kHz would deliver it."""
    scaled = block.samples.astype(np.float32) / np.float32(32768)
    return to_int16(soxr.resample(scaled, SAMPLE_RATE_HZ, _MICROPHONE_RATE_HZ))


def _raw_window(manifest: Manifest, samples: Samples) -> RawFrames:
    """The first frames of ``samples``, as many as there are in a window."""
    return Mfcc(manifest.mfcc).push(samples[: manifest.mfcc.span(manifest.window.frames)])


def _journal(verdict: Verdict, runs: int) -> Latency:
    """One event at a time, each written to disk, where the journal itself writes many at once."""
    event = SegmentEnded.of(time.time(), 1.5, -30.0, verdict, "benchmark", "0" * 64)
    with _folder() as folder:
        writer = JournalWriter(Path(folder))

        def write(event: SegmentEnded) -> None:
            writer.write(event)
            writer.flush()

        latency = _timed(write, [event], runs)
        writer.close()
    return latency


@dataclass(frozen=True)
class _Path:
    """The whole path over speech and pauses, block by block.

    block_ms: processing time of each block; event_ms: of those in which a segment ended.
    delays_s: from the end of each segment, with its tail, to the end of the block that ended it.
    """

    duration_s: float
    block_ms: list[float]
    event_ms: list[float]
    delays_s: list[float]


def _path(classifier: Classifier, runs: int) -> _Path:
    """At least ``runs`` blocks, after a warm-up."""
    sound = list(demonstration())
    rounds = 1 + -(-runs // len(sound))  # the first is the warm-up
    block_ms: list[float] = []
    ends = _SegmentEnds(block_ms)
    with _folder() as folder:
        journal = JournalSink(JournalWriter(Path(folder)))
        pipelines = {"benchmark": Pipeline(classifier)}
        listener = Listener(pipelines, classifier.manifest, [journal, ends], time.time)
        timed = _stopwatch(islice(cycle(sound), rounds * len(sound)), block_ms)
        listener.run(("benchmark", block) for block in timed)
    ended = [(number, end_s) for number, end_s in ends.ends if number >= len(sound)]
    block_ends_s = [block.time_s + block.duration_s for block in sound]
    return _Path(
        duration_s=sum(block.duration_s for block in sound) * (rounds - 1),
        block_ms=block_ms[len(sound) :],
        event_ms=[block_ms[number] for number, _ in ended],
        delays_s=[block_ends_s[number % len(sound)] - end_s for number, end_s in ended],
    )


class _SegmentEnds(Sink):
    """A sink that records the number of the block that ended each segment, and where that ends."""

    def __init__(self, block_ms: list[float]) -> None:
        """``block_ms`` has an entry for each block that has been processed."""
        self._block_ms = block_ms
        self.ends: list[tuple[int, float]] = []

    def handle(self, event: Event) -> None:
        if isinstance(event, SegmentEnded):
            self.ends.append((len(self._block_ms), event.time.timestamp()))


def _stopwatch(items: Iterable[T], taken_ms: list[float]) -> Iterator[T]:
    """``items``; appends to ``taken_ms`` how long the consumer works on each."""
    for item in items:
        start = time.perf_counter_ns()
        yield item
        taken_ms.append((time.perf_counter_ns() - start) / 1e6)


def _operators(loaded: Bundle, runtime: RuntimeName, threads: int, runs: int) -> tuple[float, ...]:
    """How much longer an invoke takes when the model ends after each operator than before it.

    The truncated models take turns, so that a machine that slows down does so for all.
    """
    network = graph(loaded, runtime)
    shorter = [
        Int8Interpreter(truncate(loaded.model, count, network.output(operator)), runtime, threads)
        for count, operator in enumerate(network.operators, 1)
    ]
    taken_ms = np.empty((runs, len(shorter)))
    for model in shorter:
        model.invoke(np.zeros(model.input.shape, np.int8))
    for run in range(-_WARM_UP_RUNS, runs):
        for number, model in enumerate(shorter):
            start = time.perf_counter_ns()
            model.native.invoke()
            if run >= 0:
                taken_ms[run, number] = (time.perf_counter_ns() - start) / 1e6
    added = np.diff(np.percentile(taken_ms, _UNDISTURBED_PERCENTILE, axis=0), prepend=0.0)
    return tuple(added.round(5).tolist())


def _has_xnnpack(interpreter: Int8Interpreter) -> bool:
    return any(one["op_name"] == "DELEGATE" for one in interpreter.native._get_ops_details())


def _timed(call: Callable[[T], object], inputs: Iterable[T], runs: int) -> Latency:
    """Latency of ``call`` on ``inputs``, repeated ``runs`` times after a warm-up."""
    repeated = cycle(inputs)
    for one in islice(repeated, _WARM_UP_RUNS):
        call(one)
    taken_ms: list[float] = []
    for one in _stopwatch(islice(repeated, runs), taken_ms):
        call(one)
    return _latency(taken_ms)


def _latency(taken_ms: list[float]) -> Latency:
    p50, p90, p99, most = np.percentile(taken_ms, [50, 90, 99, 100]).round(5).tolist()
    return Latency(p50, p90, p99, most)
