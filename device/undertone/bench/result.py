"""What a benchmark finds: a JSON object with a schema.

Times are in milliseconds, sizes in bytes, and a share of the processor is that of one core.  What
this machine can't tell is null.  docs/benchmark.md says how each figure is measured.
"""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from undertone.audio.block import BLOCK_LENGTH, PIECE_LENGTH, SAMPLE_RATE_HZ
from undertone.errors import BenchmarkError
from undertone.recognition.interpreter import InstalledRuntime
from undertone.support.regular_file import open_regular

SCHEMA_VERSION: Final = 2

_LARGEST_FILE_BYTES = 2**24
_BLOCK_MS = 1000 * BLOCK_LENGTH / SAMPLE_RATE_HZ
_PIECE_S = PIECE_LENGTH / SAMPLE_RATE_HZ

Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen dataclass whose unknown, missing and mistyped keys are errors that name the key."""


class Latency(_Strict, frozen=True):
    """Percentiles over all calls after the warm-up."""

    p50_ms: Amount
    p90_ms: Amount
    p99_ms: Amount
    max_ms: Amount


class Stages(_Strict, frozen=True):
    """Latency of each stage alone, and of the whole path.

    resample: 0.1 s of sound from 48 kHz.
    gate_silence, gate_speech: 0.1 s through the speech gate.
    detector: 0.1 s of speech through the voice-activity detector alone; 0 without one.
    mfcc: the frames that 0.3 s of speech completes, which is what becomes frames at once.
    window_mfcc: ``python_speech_features.mfcc`` of a whole window, to compare with.
    quantise, invoke: one window, normalised and quantised, and run through the model.
    tracker: the verdict on a segment of eight windows.
    journal: one event, down to the disk.
    path: 0.1 s of sound from its arrival to the end of everything that it causes.
    event: the same, of those 0.1 s alone in which a segment comes to its end.
    """

    resample: Latency
    gate_silence: Latency
    gate_speech: Latency
    detector: Latency
    mfcc: Latency
    window_mfcc: Latency
    quantise: Latency
    invoke: Latency
    tracker: Latency
    journal: Latency
    path: Latency
    event: Latency


class ColdStart(_Strict, frozen=True):
    """``undertone classify`` of one clip, from the start of the process to its end."""

    p50_ms: Amount
    max_ms: Amount
    peak_memory_bytes: Count


class Memory(_Strict, frozen=True):
    """Resident memory as one thing after the other is loaded.

    python: the bare interpreter; libraries: the device path imported; runtime: TFLite imported;
    model: the bundle opened; listening: after 40 s of speech and pauses; peak: the most of all.
    """

    python_bytes: Count
    libraries_bytes: Count
    runtime_bytes: Count
    model_bytes: Count
    listening_bytes: Count
    peak_bytes: Count


class Listening(_Strict, frozen=True):
    """``undertone listen``, given sound in real time."""

    cpu_share: Amount
    memory_bytes: Count


class Measurement(_Strict, frozen=True):
    """One bundle with one runtime and number of threads.

    xnnpack: whether the runtime gave the model to XNNPACK.
    real_time_factor: seconds of computing for a second of speech and pauses, on the whole path.
    event_delay_s: the longest from the end of speech to the sound that ends its segment.
    operator_ms: what each operator of the bundle's ``operators`` adds to the time of an invoke.
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
        """What tells it from the others of a benchmark."""
        return self.bundle, self.runtime, self.threads

    @property
    def cpu_share_without_detector(self) -> float:
        """``speech.cpu_share`` less what the detector alone takes of a core."""
        return self.speech.cpu_share - self.stages.detector.p50_ms / _BLOCK_MS

    @property
    def mfcc_saving(self) -> float:
        """How many times a new second's MFCC is cheaper than a call on the window at each hop."""
        return self.stages.window_mfcc.p50_ms / (self.stages.mfcc.p50_ms / _PIECE_S)

    @property
    def title(self) -> str:
        """The key in words."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.bundle}, {self.runtime}, {threads}"


class Operator(_Strict, frozen=True):
    """One operator of the network, in the order of execution."""

    name: str
    output_shape: tuple[int, ...]
    parameters: Count
    multiply_accumulates: Count


class Accuracy(_Strict, frozen=True):
    """What the bundle's manifest says of its int8 model, and under which protocol."""

    protocol: str
    uar: float
    accuracy: float


class Model(_Strict, frozen=True):
    """What a bundle costs on any machine.

    multiply_accumulates: of one window, which the network hears with each of its vocal tracts;
        those of an operator are of one inference.
    arena_bytes: the memory that the runtime's planner lays out for the tensors of one inference.
    accuracy: null where the manifest has no figures.
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


class State(_Strict, frozen=True):
    """What may change on a machine while it is measured.

    frequency_mhz, temperature_c: of the fastest core and the hottest sensor.
    throttled: what slows a Raspberry Pi down at this moment.
    load: processes that want a core, over the last minute.
    """

    frequency_mhz: float | None
    temperature_c: float | None
    throttled: tuple[str, ...] | None
    load: float | None


class Machine(_Strict, frozen=True):
    """Where it was measured; ``before`` and ``after`` all measurements.

    governor: the kernel's rule for the processor's frequency.
    throttled_since_boot: what has ever slowed a Raspberry Pi down since it was started.
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


class Benchmark(_Strict, frozen=True):
    """One run of ``undertone bench``.

    time: when it began, RFC 3339.  runs: calls of each stage.  listened_s: seconds of silence,
    and of speech, in real time.
    """

    schema_version: Literal[2]
    version: str
    time: str
    runs: Annotated[int, Meta(ge=1)]
    listened_s: Amount
    machine: Machine
    models: tuple[Model, ...]
    measurements: tuple[Measurement, ...]

    def model(self, measurement: Measurement) -> Model:
        """The model that ``measurement`` is of."""
        return next(model for model in self.models if model.bundle == measurement.bundle)

    def figures(self, measurement: Measurement) -> dict[str, float]:
        """Every figure of a measurement and its model by its name; all are costs."""
        model = self.model(measurement)
        return {f"model.{name}": getattr(model, name) for name in _OF_MODEL} | {
            name: attrgetter(name)(measurement) for name in _numbers(Measurement)
        }


_OF_MODEL = ("file_bytes", "parameters", "multiply_accumulates", "arena_bytes")


def figure_names() -> list[str]:
    """The names of all figures, as ``stages.invoke.p50_ms``: the keys of the JSON with dots."""
    return [*(f"model.{name}" for name in _OF_MODEL), *_numbers(Measurement)]


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

    Raises BenchmarkError, which names the key, where there is none or it is not valid.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST_FILE_BYTES)
        return msgspec.json.decode(content, type=Benchmark)
    except OSError as error:
        raise BenchmarkError(f"Can't read {path}: {error.strerror}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchmarkError(
            f"{path} is no benchmark of this version ({error}): measure again with "
            "`undertone bench --format json`."
        ) from error
