"""Write the figures and charts of docs/benchmark.md.

``make bench``, ``make growth``, ``make publish-cost`` and ``make figures`` run it.  The figures
come from the measurements in docs/bench/, and from docs/soak/, written by ``make soak`` and
``make journal-scale``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from pages import column_table, rewritten, table
from undertone.bench import plot, report, result
from undertone.bench.result import Benchmark, Measurement
from undertone_training.report.pictures import BLUE, INK, plain, sheet

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmark.md"
FOLDER = ROOT / "docs" / "bench"
SOAKS = ROOT / "docs" / "soak"
PICTURES = ROOT / "docs" / "pictures"
BEGIN = "<!-- figures: written by tools/bench_figures.py -->"

Rows = Sequence[Mapping[str, Any]]


def figures(
    benchmarks: Iterable[Benchmark],
    growth: Mapping[str, Any],
    publish: Mapping[str, Any],
    soak: Mapping[str, Any],
) -> str:
    """The page's part, without its markers.

    growth, publish: as tools/growth.py and tools/publish_cost.py printed them.
    soak: ``file``, ``microphone`` and ``summary``, as tools/soak.py and tools/journal_scale.py
        printed them, as far as they were run.
    """
    blocks = []
    for benchmark in benchmarks:
        blocks += [*_cost(benchmark), report.markdown(report.tables(benchmark)).rstrip("\n")]
    return "\n\n".join([*blocks, *of_growth(growth), *of_publish(publish), *_endurance(soak)])


def of_growth(growth: Mapping[str, Any]) -> Iterator[str]:
    """The tables of growth."""
    machine = growth["machine"]
    busy = machine["load_before"] is not None and machine["load_before"] >= 1
    yield (
        f"### Growth\n\nMeasured on {machine['processor']}, cores: {machine['cores']}, Python "
        f"{machine['python']}; load average before: {machine['load_before']}."
        + (" The machine was busy: wall-clock times are too long." if busy else "")
    )
    yield column_table(
        growth["length"],
        {
            "length of the recording": lambda one: f"{one['audio_s']:,} s",
            "wall-clock time": lambda one: f"{one['wall_s']:.2f} s",
            "processor time per second of sound": lambda one: (
                f"{1000 * one['processor_s'] / one['audio_s']:.1f} ms"
            ),
            "peak memory": lambda one: mb(one["peak_memory_bytes"]),
        },
    )
    yield column_table(
        growth["files"],
        {
            "recordings of 3 to 5 s": lambda one: f"{one['files']:,}",
            "`--jobs`": lambda one: str(one["jobs"]),
            "wall-clock time": lambda one: f"{one['wall_s']:.1f} s",
            "recordings per second": lambda one: f"{one['files_per_s']:.1f}",
            "processor time each": lambda one: f"{1000 * one['processor_s'] / one['files']:.0f} ms",
            "peak memory, all processes": lambda one: mb(one["peak_memory_bytes"]),
        },
    )
    yield column_table(
        growth["microphones"],
        {
            "microphones": lambda one: str(one["microphones"]),
            "share of one core": lambda one: f"{100 * one['cpu_share']:.1f} %",
            "largest share": lambda one: f"{100 * one['largest_cpu_share']:.1f} %",
            "memory, all processes": lambda one: mb(one["memory_bytes"]),
        },
    )


def of_publish(publish: Mapping[str, Any]) -> Iterator[str]:
    """The table of publishing."""
    machine, cost = publish["machine"], publish["cost"]
    yield (
        f"### Publishing\n\n[`undertone publish`](publish.md) with a real broker, measured on "
        f"{machine['processor']}; load average before: {machine['load_before']}."
    )
    rows = [
        (
            f"{cost['events']:,} events, for MQTT and alerts",
            f"{cost['cpu_events_s']:.1f} s of processor time",
        ),
        (f"{cost['idle_s']:.0f} s of waiting", f"{cost['idle_cpu_percent']:.2f} % of one core"),
        ("memory", f"{cost['resident_mb']:.1f} MB"),
    ]
    for name in ("broker", "program"):
        of, times = publish[name], publish[name]["kills"]
        rows.append(
            (
                f"the {name} killed {times} times, under {of['events']:,} events",
                f"{of['lost']} lost, {of['doubled']} sent again",
            )
        )
    yield table(["", "measured"], rows)


def _cost(benchmark: Benchmark) -> Iterator[str]:
    """The cost with one thread, one row for each bundle and runtime."""
    machine = benchmark.machine
    columns: dict[str, Callable[[Measurement], str]] = {
        f"Cost on one core: {machine.processor}, Python {machine.python}": (
            lambda one: f"{one.bundle}, {one.runtime}"
        ),
        "file": lambda one: f"{benchmark.model(one).file_bytes / 1024:.0f} KB",
        "one invoke, p50 / p99": (
            lambda one: f"{one.stages.invoke.p50_ms:.3f} / {one.stages.invoke.p99_ms:.3f} ms"
        ),
        "silence": lambda one: f"{100 * one.silence.cpu_share:.2f} %",
        "speech": lambda one: f"{100 * one.speech.cpu_share:.2f} %",
        "memory": lambda one: f"{one.speech.memory_bytes / 2**20:.0f} MB",
        "verdict after speech": (
            lambda one: f"{one.event_delay_s + one.stages.event.max_ms / 1000:.2f} s"
        ),
        "cold start": lambda one: f"{one.cold_start.p50_ms / 1000:.2f} s",
    }
    yield "### In short"
    yield column_table([one for one in benchmark.measurements if one.threads == 1], columns)
    yield (
        "*Silence* and *speech*: share of one core that `undertone listen` uses in real time; "
        "*memory*: its resident memory; *verdict after speech*: the longest time from the end of "
        "speech to its event, most of which is the pause that ends a segment; *cold start*: "
        "`undertone classify` of one clip, from start to end."
    )


def _endurance(soak: Mapping[str, Any]) -> Iterator[str]:
    """How long it listened with injected faults, and the cost of summarising a long journal."""

    def row(title: str, sound: str, run: Mapping[str, Any]) -> tuple[str, ...]:
        injected = sum(fault["thrown"] for fault in run["faults"].values())
        reported = sum(fault["in_the_journal"] for fault in run["faults"].values())
        memory = run["memory"]
        return (
            title,
            sound,
            f"{run['lost']} lost, {run['doubled']} repeated, of {run['segments']:,}",
            f"{reported} of {injected}",
            f"{memory['settled_mb']:.1f} MB, then at most {memory['largest_growth_mb']:+.1f} MB",
        )

    rows = []
    if run := soak.get("file"):
        rows.append(row("a file, as fast as possible", f"{run['audio_h']:.1f} h", run))
    if run := soak.get("microphone"):
        rows.append(row("a virtual microphone", f"{run['real_time_min']:.0f} min", run))
    if rows:
        yield "### Endurance"
        head = ["listening to", "sound", "segments", "faults found in the journal", "memory"]
        yield table(head, rows)
        runs = [soak[name] for name in ("file", "microphone") if name in soak]
        names = {name for run in runs for name in run["faults"]}
        yield f"The injected faults: {', '.join(sorted(names))}."
    if summary := soak.get("summary"):
        without = soak["summary_without_stored_ones"]
        yield (
            f"`undertone journal summary` summarises {soak['events']:,} events "
            f"({soak['size_mb'] / 1024:.1f} GB) in {summary['processor_s']:.1f} s of processor "
            f"time with {summary['peak_memory_mb']:.0f} MB of memory; without stored summaries, "
            f"in {without['processor_s']:.0f} s with {without['peak_memory_mb']:.0f} MB."
        )


def mb(size: int) -> str:
    """Bytes in MB."""
    return f"{size / 2**20:.1f} MB"


def growth_picture(growth: Mapping[str, Any]) -> Figure:
    """Memory by length, throughput by jobs, and the share of a core by microphones, as bars."""
    charts = growth_bars(growth)
    drawn = sheet("Growth", f"{growth['machine']['processor']}", 10.0, 3.6)
    for axes, (title, bars) in zip(drawn.subplots(1, len(charts)), charts.items(), strict=True):
        plain(axes)
        container = axes.bar(list(bars), list(bars.values()), 0.7, color=BLUE)
        axes.bar_label(container, fmt="%.1f", padding=2, color=INK, size=9)
        axes.set_title(title, color=INK, size=10)
        axes.margins(y=0.12)
    return drawn


def growth_bars(growth: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """What ``growth_picture`` shows: by title, a value for each name."""
    most = max(one["files"] for one in growth["files"])
    return {
        "Peak memory in MB, by length": {
            f"{one['audio_s']} s": one["peak_memory_bytes"] / 2**20 for one in growth["length"]
        },
        f"Files per second, of {most:,}, by --jobs": {
            str(one["jobs"]): one["files_per_s"] for one in growth["files"] if one["files"] == most
        },
        "% of one core, by microphones": {
            str(one["microphones"]): 100 * one["cpu_share"] for one in growth["microphones"]
        },
    }


def benchmarks() -> list[result.Benchmark]:
    """One of each machine."""
    return [result.read(path) for path in sorted(FOLDER.glob("machine-*.json"))]


def growth() -> dict[str, Any]:
    """The measurements of tools/growth.py."""
    found: dict[str, Any] = json.loads((FOLDER / "growth.json").read_bytes())
    return found


def publish() -> dict[str, Any]:
    """The measurements of tools/publish_cost.py."""
    found: dict[str, Any] = json.loads((FOLDER / "publish.json").read_bytes())
    return found


def soak() -> dict[str, Any]:
    """The results of the endurance runs."""
    found: dict[str, Any] = {}
    for path in sorted(SOAKS.glob("*.json")):
        found |= json.loads(path.read_bytes())
    return found


def current() -> str:
    """The page with the measurements in this tree."""
    return rewritten(PAGE.read_text(), BEGIN, figures(benchmarks(), growth(), publish(), soak()))


def main() -> None:
    """Rewrite the page, its charts and the schema in place."""
    PAGE.write_text(current())
    (FOLDER / "schema.json").write_text(result.schema())
    with mpl.rc_context({"svg.hashsalt": "undertone"}):  # the same picture is the same file
        described = {"Date": None, "Description": json.dumps(growth_bars(growth()))}
        growth_picture(growth()).savefig(PICTURES / "growth.svg", metadata=described)
    for benchmark in benchmarks():
        name = f"benchmark-{benchmark.machine.architecture}.svg"
        (PICTURES / name).write_text(plot.svg(benchmark))


if __name__ == "__main__":
    main()
