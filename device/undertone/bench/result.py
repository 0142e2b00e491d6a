"""The result of a benchmark: a JSON object with a schema.

Times are in milliseconds, sizes in bytes, and processor shares are of one core.  What this machine
can't measure is null.  docs/benchmark.md describes how each figure is measured.
"""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.errors import BenchmarkError
from undertone.recognition.interpreter import InstalledRuntime
from undertone.support.regular_file import open_regular
from undertone.support.strict import Strict

SCHEMA_VERSION: Final = 3

_LARGEST_FILE_BYTES = 2**24
PIECE_LENGTH: Final = 2048
"""Samples of four frames, 0.128 s: as many as the speech gate computes at once."""
_PIECE_S = PIECE_LENGTH / SAMPLE_RATE_HZ

Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]


class Latency(Strict, frozen=True):
    """Percentiles over all calls after the warm-up."""

    p50_ms: Amount
    p90_ms: Amount
    p99_ms: Amount
    max_ms: Amount


class Stages(Strict, frozen=True):
    """Latency of each stage alone, and of the whole path.

    resample: 0.1 s of sound from 48 kHz.
    gate_silence, gate_speech: 0.1 s through the speech gate.
    mfcc: the frames that 0.128 s of speech completes, which the gate computes at once.
    detector: these frames through the speech detector.
    window_mfcc: ``python_speech_features.mfcc`` of a whole window, for comparison.
    quantise, invoke: one window, with its pitch, standardised and quantised, and run through the
        model.
    tracker: the verdict on a segment of eight windows.
    journal: one event, written to disk.
    path: 0.1 s of sound, from its arrival until everything that depends on it is done.
    event: the same, only for the blocks in which a segment ends.
    """

    resample: Latency
    gate_silence: Latency
    gate_speech: Latency
    mfcc: Latency
    detector: Latency
    window_mfcc: Latency
    quantise: Latency
    invoke: Latency
    tracker: Latency
    journal: Latency
    path: Latency
    event: Latency


class ColdStart(Strict, frozen=True):
    """``undertone classify`` of one clip, from the start of the process to its exit."""

    p50_ms: Amount
    max_ms: Amount
    peak_memory_bytes: Count


class Memory(Strict, frozen=True):
    """Resident memory as the parts are loaded one by one.

    python: the bare interpreter; libraries: the device path imported; runtime: TFLite imported;
    model: the bundle opened; listening: after 40 s of speech and pauses; peak: the maximum.
    """

    python_bytes: Count
    libraries_bytes: Count
    runtime_bytes: Count
    model_bytes: Count
    listening_bytes: Count
    peak_bytes: Count


class Listening(Strict, frozen=True):
    """``undertone listen`` with sound that arrives in real time."""

    cpu_share: Amount
    memory_bytes: Count


class Measurement(Strict, frozen=True):
    """One bundle with one runtime and number of threads.

    xnnpack: whether the runtime runs the model with XNNPACK.
    real_time_factor: processing time of a second of speech and pauses, on the whole path.
    event_delay_s: the longest delay from the end of speech to the block that ends its segment.
    operator_ms: what each of the model's ``operators`` adds to the time of an invoke.
    """

    bundle: str
    runtime: InstalledRuntime
    runtime_version: str
    xnnpack: bool
    threads: Annotated[int, Meta(ge=1)]
    stages: Stages
    operator_ms: tuple[float, ...]
    real_time_factor: Amount
    event_delay_s: Amount
    cold_start: ColdStart
    memory: Memory
    silence: Listening
    speech: Listening

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies it within a benchmark."""
        return self.bundle, self.runtime, self.threads

    @property
    def cpu_share_without_detector(self) -> float:
        """``speech.cpu_share`` less the share of the speech detector."""
        return self.speech.cpu_share - self.stages.detector.p50_ms / (1000 * _PIECE_S)

    @property
    def mfcc_saving(self) -> float:
        """How many times cheaper the MFCC is than one of a whole window at every hop."""
        return self.stages.window_mfcc.p50_ms / (self.stages.mfcc.p50_ms / _PIECE_S)

    @property
    def title(self) -> str:
        """The key as text."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.bundle}, {self.runtime}, {threads}"


class Operator(Strict, frozen=True):
    """One operator of the network, in the order of execution."""

    name: str
    output_shape: tuple[int, ...]
    parameters: Count
    multiply_accumulates: Count


class Accuracy(Strict, frozen=True):
    """The accuracy of the int8 model in the bundle's manifest, and its protocol."""

    protocol: str
    uar: float
    accuracy: float


class Model(Strict, frozen=True):
    """What a bundle costs on any machine.

    multiply_accumulates: for one window, over all its test-time augmentations (vocal tracts);
        those of an operator are for one inference.
    arena_bytes: the memory that the runtime's planner allots to the tensors of one inference.
    accuracy: null if the manifest has no figures.
    """

    bundle: str
    sha256: str
    file_bytes: Count
    parameters: Count
    multiply_accumulates: Count
    arena_bytes: Count
    window_s: Amount
    operators: tuple[Operator, ...]
    accuracy: Accuracy | None


class State(Strict, frozen=True):
    """What may change on a machine while it is measured.

    frequency_mhz, temperature_c: of the fastest core and the hottest sensor.
    throttled: what limits a Raspberry Pi's speed now.
    load: the load average over the last minute.
    """

    frequency_mhz: float | None
    temperature_c: float | None
    throttled: tuple[str, ...] | None
    load: float | None


class Machine(Strict, frozen=True):
    """The machine, and its state ``before`` and ``after`` the measurements.

    governor: the kernel's frequency governor.
    throttled_since_boot: what has limited a Raspberry Pi's speed since it booted.
    """

    processor: str
    architecture: str
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    governor: str | None
    before: State
    after: State
    throttled_since_boot: tuple[str, ...] | None


class Benchmark(Strict, frozen=True):
    """One run of ``undertone bench``.

    time: when it began, RFC 3339.  runs: calls of each stage.  listened_s: seconds of silence, and
    of speech, that were sent in real time.
    """

    schema_version: Literal[3]
    version: str
    time: str
    runs: Annotated[int, Meta(ge=1)]
    listened_s: Amount
    machine: Machine
    models: tuple[Model, ...]
    measurements: tuple[Measurement, ...]

    def model(self, measurement: Measurement) -> Model:
        """The model that was measured."""
        return next(model for model in self.models if model.bundle == measurement.bundle)

    def figures(self, measurement: Measurement) -> dict[str, float]:
        """Every figure of a measurement and its model, by name; all are costs."""
        model = self.model(measurement)
        return {f"model.{name}": getattr(model, name) for name in _MODEL_FIGURES} | {
            name: attrgetter(name)(measurement) for name in _numbers(Measurement)
        }


_MODEL_FIGURES = ("file_bytes", "parameters", "multiply_accumulates", "arena_bytes")


def figure_names() -> list[str]:
    """The names of all figures, such as ``stages.invoke.p50_ms``: the JSON keys joined by dots."""
    return [*(f"model.{name}" for name in _MODEL_FIGURES), *_numbers(Measurement)]


def _numbers(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _numbers(field.type, f"{prefix}{field.name}.")
        elif field.type in (Count, Amount):
            yield prefix + field.name


def to_json(benchmark: Benchmark) -> str:
    """The benchmark as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(benchmark), indent=2).decode() + "\n"


def schema() -> str:
    """The JSON Schema of :func:`to_json`."""
    described = msgspec.json.schema(Benchmark)
    return msgspec.json.format(msgspec.json.encode(described), indent=2).decode() + "\n"


def read(path: Path) -> Benchmark:
    """The benchmark stored in ``path``.

    Raises BenchmarkError, which names the key, if it can't be read or is not valid.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST_FILE_BYTES)
        return msgspec.json.decode(content, type=Benchmark)
    except OSError as error:
        raise BenchmarkError(f"Can't read {path}: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchmarkError(
            f"{path} is not a benchmark of this version ({error}): measure again with "
            "`undertone bench --format json`."
        ) from error
