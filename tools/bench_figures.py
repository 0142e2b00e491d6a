"""Write docs/benchmark.md's figures and pictures anew, from the measurements in docs/bench/.

``make bench`` and ``make growth`` run it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pages import rewritten, table
from undertone.bench import plot, report, result
from undertone.support.svg import add, picture, written

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmark.md"
FOLDER = ROOT / "docs" / "bench"
PICTURES = ROOT / "docs" / "pictures"
BEGIN = "<!-- figures: written by tools/bench_figures.py -->"

Rows = Sequence[Mapping[str, Any]]

WIDTH, HEIGHT = 960, 320
LEFT, TOP, BOTTOM, GAP = 64, 48, 48, 80


def figures(benchmarks: Iterable[result.Benchmark], growth: Mapping[str, Any]) -> str:
    """The page's part, without its markers; ``growth`` as tools/growth.py printed it."""
    parts = [report.markdown(report.tables(benchmark)) for benchmark in benchmarks]
    return "\n".join([*parts, "\n\n".join(of_growth(growth))])


def of_growth(growth: Mapping[str, Any]) -> Iterator[str]:
    """The three tables of how it grows."""
    machine = growth["machine"]
    busy = machine["load_before"] is not None and machine["load_before"] >= 1
    yield (
        f"### Growth\n\nMeasured on {machine['processor']}, cores: {machine['cores']}, Python "
        f"{machine['python']}; load before it began: {machine['load_before']}."
        + (" The machine was busy: times by the clock are too long." if busy else "")
    )
    yield table(
        ["one recording of", "wall", "processor, a second of sound", "peak memory"],
        (
            (
                f"{one['audio_s']:,} s",
                f"{one['wall_s']:.2f} s",
                f"{1000 * one['processor_s'] / one['audio_s']:.1f} ms",
                mb(one["peak_memory_bytes"]),
            )
            for one in growth["length"]
        ),
    )
    yield table(
        [
            "recordings of 3 to 5 s",
            "`--jobs`",
            "wall",
            "a second",
            "processor, each",
            "peak memory, all processes",
        ],
        (
            (
                f"{one['files']:,}",
                str(one["jobs"]),
                f"{one['wall_s']:.1f} s",
                f"{one['files_per_s']:.1f}",
                f"{1000 * one['processor_s'] / one['files']:.0f} ms",
                mb(one["peak_memory_bytes"]),
            )
            for one in growth["files"]
        ),
    )
    yield table(
        ["microphones", "of one core", "the dearest", "memory, all processes"],
        (
            (
                str(one["microphones"]),
                f"{100 * one['cpu_share']:.1f} %",
                f"{100 * one['cpu_share_of_the_dearest']:.1f} %",
                mb(one["memory_bytes"]),
            )
            for one in growth["microphones"]
        ),
    )


def mb(size: int) -> str:
    """Bytes in MB."""
    return f"{size / 2**20:.1f} MB"


def growth_picture(growth: Mapping[str, Any]) -> str:
    """Memory by length, throughput by jobs, and the share of a core by microphones, as bars."""
    root = picture(WIDTH, HEIGHT)
    most = max(one["files"] for one in growth["files"])
    charts = (
        (
            "Peak memory in MB, by length",
            [(f"{one['audio_s']} s", one["peak_memory_bytes"] / 2**20) for one in growth["length"]],
        ),
        (
            f"Files a second, of {most:,}, by --jobs",
            [(str(o["jobs"]), o["files_per_s"]) for o in growth["files"] if o["files"] == most],
        ),
        (
            "% of one core, by microphones",
            [(str(one["microphones"]), 100 * one["cpu_share"]) for one in growth["microphones"]],
        ),
    )
    width = (WIDTH - LEFT - len(charts) * GAP + GAP) / len(charts)
    for number, (title, bars) in enumerate(charts):
        left = LEFT / 2 + number * (width + GAP)
        add(root, "text", title, x=round(left, 1), y=28, font_weight="bold")
        pitch = width / len(bars)
        scale = (HEIGHT - TOP - BOTTOM - 20) / max(value for _, value in bars)
        for index, (name, value) in enumerate(bars):
            middle = round(left + (index + 0.5) * pitch, 1)
            y, height = round(HEIGHT - BOTTOM - value * scale, 1), round(value * scale, 1)
            x = round(middle - 0.35 * pitch, 1)
            add(root, "rect", x=x, y=y, width=round(0.7 * pitch, 1), height=height, fill="#4C78A8")
            shown = f"{value:.1f}"
            add(root, "text", shown, x=middle, y=y - 6, text_anchor="middle", font_size=11)
            bottom = HEIGHT - BOTTOM + 20
            add(root, "text", name, x=middle, y=bottom, text_anchor="middle", font_size=11)
    return written(root)


def benchmarks() -> list[result.Benchmark]:
    """One of each machine."""
    return [result.read(path) for path in sorted(FOLDER.glob("machine-*.json"))]


def growth() -> dict[str, Any]:
    """How it grows."""
    found: dict[str, Any] = json.loads((FOLDER / "growth.json").read_bytes())
    return found


def current() -> str:
    """The page as the measurements in this tree want it."""
    return rewritten(PAGE.read_text(), BEGIN, figures(benchmarks(), growth()))


def main() -> None:
    """Rewrite the page and both pictures in place, and the schema."""
    PAGE.write_text(current())
    (FOLDER / "schema.json").write_text(result.schema())
    (PICTURES / "growth.svg").write_text(growth_picture(growth()))
    for benchmark in benchmarks():
        name = f"benchmark-{benchmark.machine.architecture}.svg"
        (PICTURES / name).write_text(plot.svg(benchmark))


if __name__ == "__main__":
    main()
