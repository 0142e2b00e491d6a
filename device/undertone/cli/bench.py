"""``undertone bench``: what bundles cost on this machine."""

import json
import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from undertone.cli import options
from undertone.errors import BenchmarkError
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.bench.limits import Limits
    from undertone.bench.report import Table
    from undertone.bench.result import Benchmark
    from undertone.bench.run import Plan
    from undertone.recognition.interpreter import RuntimeName

_OF_PYTHON = {"__init__.py", "__pycache__"}
"""What stands beside the bundles in ``models/*``."""

_WIDTH_OF_A_FILE = 160
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  undertone bench
  undertone bench models/* --runtime all --threads 1,2 --plot bench.svg
  undertone bench --runs 1000 --format json --output after.json
  undertone bench --compare before.json after.json
  undertone bench --check limits.toml
"""
)
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...")
@click.option(
    "--runs",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="Calls of each stage, after a warm-up.",
)
@click.option(
    "--seconds",
    type=options.Number(0.1, 3600),
    default=10.0,
    show_default=True,
    help="Seconds of silence, and of speech, that are listened to in real time.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
)
@click.option("--output", type=_FILE, metavar="FILE", help="Write here.  [default: stdout]")
@click.option("--plot", type=_FILE, metavar="FILE.svg", help="Draw accuracy against latency here.")
@click.option("--read", "stored", type=_FILE, metavar="FILE", help="Show this; measure nothing.")
@click.option(
    "--compare",
    type=_FILE,
    nargs=2,
    metavar="A B",
    help="Set two stored benchmarks side by side; measure nothing.",
)
@click.option(
    "--check", type=_FILE, metavar="LIMITS", help="Exit status 1 where a limit is broken (TOML)."
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --format json.")
@options.model
@options.any_runtime
@options.several_threads
def command(
    bundles: tuple[str, ...],
    runs: int,
    seconds: float,
    form: str,
    output: Path | None,
    plot: Path | None,
    stored: Path | None,
    compare: tuple[Path, Path] | None,
    check: Path | None,
    schema: bool,
    model: str,
    runtime: 'RuntimeName | Literal["all"]',
    threads: tuple[int, ...],
) -> None:
    """Measure size, latency, memory and processor time of each BUNDLE, a name or a path.

    docs/benchmark.md says how each figure is measured and what it does not say.
    """
    from undertone.bench import limits, report, result
    from undertone.bench.plot import svg

    if schema:
        _write(output, result.schema())
        return
    if compare:
        a, b = map(result.read, compare)
        _write(output, _compared(a, b, form))
        return
    limited = limits.load(check) if check else None
    for path in filter(None, (output, plot)):
        _refuse_unwritable(path)
    if stored:
        benchmark = result.read(stored)
    else:
        names = [name for name in bundles if Path(name).name not in _OF_PYTHON] or [model]
        benchmark = _measure(_plan(names, runtime, threads, runs, seconds))
    if form == "json":
        _write(output, result.to_json(benchmark))
    else:
        _write(output, _shown(report.tables(benchmark), form, output))
    if plot:
        _write(plot, svg(benchmark))
    if limited:
        _check(benchmark, limited)


def _check(benchmark: "Benchmark", limited: "Limits") -> None:
    """Tell every limit that is broken; then the exit status is 1."""
    from undertone.bench import limits

    if limited.baseline:
        _warn_of_other_machine(limited.baseline, benchmark)
    broken = list(limits.broken(benchmark, limited))
    for sentence in broken:
        click.echo(f"undertone: {printable(sentence)}", err=True)
    if broken:
        click.get_current_context().exit(1)


def _plan(
    names: Sequence[str],
    runtime: 'RuntimeName | Literal["all"]',
    threads: tuple[int, ...],
    runs: int,
    seconds: float,
) -> "Plan":
    from undertone.bench.run import Plan
    from undertone.recognition import bundle
    from undertone.recognition.interpreter import choose_runtime, installed_runtimes

    several = installed_runtimes() if runtime == "all" else []
    chosen = several or [choose_runtime("auto" if runtime == "all" else runtime)]
    return Plan(tuple(map(bundle.load, names)), tuple(chosen), threads, runs, seconds)


def _measure(plan: "Plan") -> "Benchmark":
    """The benchmark, with a bar on stderr where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from undertone.bench.run import run

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("measuring", total=plan.steps)
        begun = 0

        def step(part: str) -> None:
            nonlocal begun
            progress.update(task, description=part, completed=begun)
            begun += 1

        return run(plan, step)


def _compared(a: "Benchmark", b: "Benchmark", form: str) -> str:
    from undertone.bench.compare import compare
    from undertone.bench.report import comparison

    _warn_of_other_machine(a, b)
    compared = list(compare(a, b))
    if form != "json":
        return _shown(comparison(compared), form, None)
    found = [
        {
            "bundle": measurement.bundle,
            "runtime": measurement.runtime,
            "threads": measurement.threads,
            "figures": {one.name: {"a": one.a, "b": one.b, "ratio": one.ratio} for one in figures},
        }
        for measurement, figures in compared
    ]
    return json.dumps(found, indent=2) + "\n"


def _warn_of_other_machine(a: "Benchmark", b: "Benchmark") -> None:
    from undertone.bench.compare import other_machine

    if warning := other_machine(a, b):
        click.echo(f"undertone: {printable(warning)}", err=True)


def _shown(tables: "Iterable[Table]", form: str, output: Path | None) -> str:
    from undertone.bench.report import markdown

    return markdown(tables) if form == "markdown" else _for_people(tables, output)


def _for_people(tables: "Iterable[Table]", output: Path | None) -> str:
    """The tables as wide as the terminal that they are for, or as they need."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = output is None and sys.stdout.isatty()
    text = StringIO()
    console = Console(
        file=text, force_terminal=on_terminal, width=None if on_terminal else _WIDTH_OF_A_FILE
    )
    for table in tables:
        shown = Table(box=None, pad_edge=False, title=Text(printable(table.title), "bold"))
        shown.title_justify = "left"
        for number, name in enumerate(table.head):
            shown.add_column(Text(printable(name)), justify="right" if number else "left")
        for row in table.rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        console.print(shown)
        console.print()
    return text.getvalue()


def _write(output: Path | None, text: str) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise _cannot_write(output, error) from error


def _refuse_unwritable(path: Path) -> None:
    """Before minutes are spent on what can't be kept; nothing is left or changed."""
    is_new = not path.exists()
    try:
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> BenchmarkError:
    return BenchmarkError(f"Can't write {path}: {error.strerror}; name another file.")
