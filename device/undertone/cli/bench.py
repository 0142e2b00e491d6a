"""``undertone bench``: what bundles cost on this machine."""

import sys
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from undertone.cli import options
from undertone.cli.output import notice, opened, require_writable, to_file
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.bench.limits import Limits
    from undertone.bench.report import Table
    from undertone.bench.result import Benchmark
    from undertone.bench.run import Plan
    from undertone.recognition.interpreter import RuntimeName

NOT_BUNDLES = {"__init__.py", "__pycache__", "LICENSE.txt", "facts.toml"}
"""What else ``models/*`` matches."""

_FILE_WIDTH = 160
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
    help="Calls of each stage after a warm-up.",
)
@click.option(
    "--seconds",
    type=options.Number(0.1, 3600),
    default=10.0,
    show_default=True,
    help="Seconds of silence, and of speech, to process in real time.",
)
@options.output_format("table", "json", "markdown", note="json: one object; see --schema.")
@to_file
@click.option("--plot", type=_FILE, metavar="FILE.svg", help="Plot accuracy against latency.")
@click.option("--read", "stored", type=_FILE, metavar="FILE", help="Show a stored benchmark.")
@click.option(
    "--compare", type=_FILE, nargs=2, metavar="A B", help="Compare two stored benchmarks."
)
@click.option(
    "--check",
    type=_FILE,
    metavar="LIMITS",
    help="Exit with status 1 if a limit in this TOML file is exceeded.",
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
    """Measure the size, latency, memory and processor time of each BUNDLE.

    BUNDLE is the name of a packaged model or the path of a bundle.  With --read, --compare or
    --schema nothing is measured.  docs/benchmark.md describes the figures and their limits.
    """
    from undertone.bench import limits, report, result
    from undertone.bench.plot import svg
    from undertone.bench.run import plan_of

    if schema:
        _write(output, result.schema())
        return
    if compare:
        a, b = map(result.read, compare)
        _write(output, _compared(a, b, form))
        return
    limited = limits.load(check) if check else None
    for path in filter(None, (output, plot)):  # before minutes are spent on measuring
        require_writable(path)
    if stored:
        benchmark = result.read(stored)
    else:
        names = [name for name in bundles if Path(name).name not in NOT_BUNDLES] or [model]
        benchmark = _measure(plan_of(names, runtime, threads, runs, seconds))
    if form == "json":
        _write(output, result.to_json(benchmark))
    else:
        _write(output, _text(report.tables(benchmark), form, output))
    if plot:
        _write(plot, svg(benchmark))
    if limited:
        _check(benchmark, limited)


def _check(benchmark: "Benchmark", limited: "Limits") -> None:
    """Print every limit that is exceeded, and then exit with status 1."""
    from undertone.bench import limits

    if limited.baseline:
        _warn_of_other_machine(limited.baseline, benchmark)
    broken = list(limits.broken(benchmark, limited))
    for sentence in broken:
        notice(sentence)
    if broken:
        click.get_current_context().exit(1)


def _measure(plan: "Plan") -> "Benchmark":
    """The benchmark, with a progress bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from undertone.bench.run import run

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("measuring", total=plan.steps)
        started = 0

        def step(part: str) -> None:
            nonlocal started
            progress.update(task, description=part, completed=started)
            started += 1

        return run(plan, step)


def _compared(a: "Benchmark", b: "Benchmark", form: str) -> str:
    from undertone.bench.compare import compare, to_json
    from undertone.bench.report import comparison

    _warn_of_other_machine(a, b)
    compared = list(compare(a, b))
    return to_json(compared) if form == "json" else _text(comparison(compared), form, None)


def _warn_of_other_machine(a: "Benchmark", b: "Benchmark") -> None:
    from undertone.bench.compare import other_machine

    if warning := other_machine(a, b):
        notice(warning)


def _text(tables: "Iterable[Table]", form: str, output: Path | None) -> str:
    """The tables as Markdown, or as wide as the terminal (or a file) allows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from undertone.bench.report import markdown

    if form == "markdown":
        return markdown(tables)
    on_terminal = output is None and sys.stdout.isatty()
    text = StringIO()
    console = Console(
        file=text, force_terminal=on_terminal, width=None if on_terminal else _FILE_WIDTH
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
    with opened(output) as stream:
        stream.write(text)
