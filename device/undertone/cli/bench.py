"""``undertone bench``: what a bundle costs on this machine."""

import json
import sys
from typing import TYPE_CHECKING

import click

from undertone.cli import options

if TYPE_CHECKING:
    from undertone.bench.measure import Benchmark, Latency
    from undertone.interpreter import RuntimeName


@click.command(
    epilog="""\b
Examples:
  undertone bench
  undertone bench --runs 1000 --format json > bench.json
"""
)
@click.option(
    "--runs",
    type=click.IntRange(min=1, max=1_000_000),
    default=200,
    show_default=True,
    help="Calls of each stage, after a warm-up.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@options.model
@options.runtime
@options.threads
def command(runs: int, form: str, model: str, runtime: "RuntimeName", threads: int) -> None:
    """Measure file size, latency of MFCC and of inference, memory and real-time factor."""
    from undertone import bundle
    from undertone.bench.measure import measure

    if sys.stderr.isatty():
        click.echo("measuring…", err=True)
    result = measure(bundle.load(model), runs, runtime, threads)
    if form == "json":
        click.echo(json.dumps(result.to_dict(), indent=2))
    else:
        _table(result)


def _table(result: "Benchmark") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def latency(value: "Latency") -> str:
        return f"{value.p50_ms:.2f} / {value.p95_ms:.2f} / {value.p99_ms:.2f} ms"

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    for name, value in (
        ("bundle", result.bundle),
        ("model file", f"{result.model_bytes / 1024:.1f} KB"),
        ("runtime", f"{result.runtime}, threads: {result.threads}"),
        (f"MFCC of {result.window_s:.2f} s, p50 / p95 / p99", latency(result.mfcc)),
        ("inference, p50 / p95 / p99", latency(result.inference)),
        (
            "real-time factor of the whole path",
            f"{result.real_time_factor:.4f} over {result.audio_s:.0f} s of speech and pauses",
        ),
        ("peak memory", f"{result.peak_memory_bytes / 2**20:.0f} MB"),
        ("machine", f"{result.processor}, Python {result.python}"),
    ):
        table.add_row(name, Text(value))  # a bundle may have any name
    Console().print(table)
