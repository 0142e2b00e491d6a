"""One benchmark, or a comparison of two, as tables for a terminal or for Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from undertone.bench.compare import Compared
from undertone.bench.result import Benchmark, Latency, Measurement, Memory, Model, Stages, State
from undertone.support.printable import printable

_STAGES = {
    "resample": "resample 0.1 s from 48 kHz",
    "gate_silence": "speech gate, 0.1 s of silence",
    "gate_speech": "speech gate, 0.1 s of speech",
    "mfcc": "MFCC of 0.128 s",
    "detector": "speech detector alone, 0.128 s",
    "window_mfcc": "python_speech_features.mfcc of a window",
    "quantise": "quantise a window",
    "invoke": "invoke the model",
    "tracker": "verdict on a segment",
    "journal": "write an event to disk",
    "path": "whole path, 0.1 s",
    "event": "whole path, the 0.1 s that end a segment",
}
_MEMORY = {
    "python_bytes": "Python alone",
    "libraries_bytes": "with the libraries",
    "runtime_bytes": "with the runtime",
    "model_bytes": "with the model",
    "listening_bytes": "after 40 s of sound",
    "peak_bytes": "peak",
}


@dataclass(frozen=True)
class Table:
    """A title, the column names, and rows with a cell for each column; the first column is text."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(benchmark: Benchmark) -> Iterator[Table]:
    """The tables of a benchmark."""
    yield _machine(benchmark)
    yield _models(benchmark.models)
    yield _whole(benchmark.measurements)
    yield _memory(benchmark.measurements)
    for model in benchmark.models:
        of_model = [one for one in benchmark.measurements if one.bundle == model.bundle]
        yield _stages(model, of_model)
        yield _operators(model, of_model)


def comparison(compared: Iterable[tuple[Measurement, Sequence[Compared]]]) -> Iterator[Table]:
    """The tables of two benchmarks side by side, one for each measurement."""
    for measurement, figures in compared:
        rows = [(one.name, _plain(one.a), _plain(one.b), _ratio(one.ratio)) for one in figures]
        yield Table(measurement.title, ["figure", "A", "B", "B / A"], rows)


def markdown(tables: Iterable[Table]) -> str:
    """The tables as Markdown, each under its title as a heading."""
    return "\n".join(
        f"### {_escaped(table.title)}\n\n{markdown_table(table)}\n" for table in tables
    )


def markdown_table(table: Table) -> str:
    """One table, with its first column aligned left and the others right."""
    lines = [table.head, ["---", *["---:"] * (len(table.head) - 1)], *table.rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _machine(benchmark: Benchmark) -> Table:
    machine = benchmark.machine
    memory = f"{machine.memory_bytes / 2**30:.1f} GB" if machine.memory_bytes else "unknown"
    since_boot = machine.throttled_since_boot
    rows = [
        ("processor", f"{machine.processor}, {machine.architecture}, cores: {machine.cores}"),
        ("memory", memory),
        ("system", f"{machine.system}, Python {machine.python}"),
        ("frequency governor", machine.governor or "unknown"),
        ("before", _state(machine.before)),
        ("after", _state(machine.after)),
        ("throttled since boot", _throttled(since_boot)),
        ("undertone", f"{benchmark.version}, {benchmark.time}"),
        ("measured", f"runs: {benchmark.runs}, seconds of listening: {benchmark.listened_s:g}"),
    ]
    return Table("Machine", ["property", "value"], rows)


def _state(state: State) -> str:
    parts = [
        f"{state.frequency_mhz:.0f} MHz" if state.frequency_mhz else "frequency unknown",
        "temperature unknown" if state.temperature_c is None else f"{state.temperature_c:.1f} °C",
        f"throttled: {_throttled(state.throttled)}",
        "load unknown" if state.load is None else f"load {state.load:g}",
    ]
    return ", ".join(parts)


def _throttled(reasons: tuple[str, ...] | None) -> str:
    return "unknown" if reasons is None else ", ".join(reasons) or "no"


def _models(models: Sequence[Model]) -> Table:
    head = [
        "Bundle",
        "file",
        "parameters",
        "multiply-accumulates",
        "arena",
        "UAR (int8)",
        "protocol",
    ]
    rows = [
        (
            model.bundle,
            f"{model.file_bytes / 1024:.1f} KB",
            f"{model.parameters:,}",
            f"{model.multiply_accumulates / 1e6:.2f} M",
            f"{model.arena_bytes / 1024:.1f} KB",
            _percent(model.accuracy.uar, 1) if model.accuracy else "not evaluated",
            model.accuracy.protocol if model.accuracy else "",
        )
        for model in models
    ]
    return Table("Size", head, rows)


def _stages(model: Model, measurements: Sequence[Measurement]) -> Table:
    assert len(_STAGES) == len(Stages.__struct_fields__)
    head = ["p50 / p90 / p99 / max, ms", *(_run_with(one) for one in measurements)]
    rows = [
        (title, *(_latency(getattr(one.stages, name)) for one in measurements))
        for name, title in _STAGES.items()
    ]
    return Table(f"Latency: {model.bundle}", head, rows)


def _run_with(measurement: Measurement) -> str:
    return f"{measurement.runtime}, threads: {measurement.threads}"


def _latency(one: Latency) -> str:
    return " / ".join(f"{ms:.3f}" for ms in (one.p50_ms, one.p90_ms, one.p99_ms, one.max_ms))


def _whole(measurements: Sequence[Measurement]) -> Table:
    head = ["Measurement", "version", "XNNPACK", "real-time factor", "CPU in silence",
            "CPU in speech", "CPU in speech without the detector", "event after speech",
            "MFCC cheaper by", "cold start p50 / max"]  # fmt: skip
    rows = [
        (
            one.title,
            one.runtime_version,
            "yes" if one.xnnpack else "no",
            f"{one.real_time_factor:.4f}",
            _percent(one.silence.cpu_share, 2),
            _percent(one.speech.cpu_share, 2),
            _percent(one.cpu_share_without_detector, 2),
            f"{one.event_delay_s:.2f} s",
            f"{one.mfcc_saving:.0f} x",
            f"{one.cold_start.p50_ms:.0f} / {one.cold_start.max_ms:.0f} ms",
        )
        for one in measurements
    ]
    return Table("Listening and cold start", head, rows)


def _memory(measurements: Sequence[Measurement]) -> Table:
    head = ["Resident memory, MB", *_MEMORY.values(), "listen", "classify, peak"]
    assert len(_MEMORY) == len(Memory.__struct_fields__)
    rows = [
        (
            one.title,
            *(_mb(getattr(one.memory, name)) for name in _MEMORY),
            _mb(one.speech.memory_bytes),
            _mb(one.cold_start.peak_memory_bytes),
        )
        for one in measurements
    ]
    return Table("Memory", head, rows)


def _operators(model: Model, measurements: Sequence[Measurement]) -> Table:
    """The work and the time that each operator adds, the time for every measurement."""
    work = max(1, sum(operator.multiply_accumulates for operator in model.operators))
    head = ["Operator, µs", "output", "share of work", *map(_run_with, measurements)]
    rows = [
        (
            f"{number + 1} {operator.name}",
            " × ".join(map(str, operator.output_shape)),
            _percent(operator.multiply_accumulates / work, 1),
            *(f"{1000 * one.operator_ms[number]:.1f}" for one in measurements),
        )
        for number, operator in enumerate(model.operators)
    ]
    return Table(f"Operators: {model.bundle}", head, rows)


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f}"


def _plain(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3f}"


def _escaped(text: str) -> str:
    return printable(text).replace("|", "\\|")
