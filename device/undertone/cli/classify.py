"""``undertone classify``: what recordings sound like."""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.files.batch import FileResult
    from undertone.recognition.interpreter import RuntimeName

_MOST_KINDS = 5  # of skipped files that are told one by one


@click.command(
    epilog="""\b
Examples:
  undertone classify interview.wav
  undertone classify recordings/ --format csv > emotions.csv
  undertone classify *.flac --format json | jq .label
  undertone classify archive/ --jobs 4 --format json > emotions.jsonl
"""
)
@click.argument("paths", nargs=-1, required=True, type=options.AnyPath())
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json: one object a line.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Files judged at the same time, each by a process of its own.",
)
@options.model
@options.threshold
@options.runtime
@options.threads
def command(
    paths: tuple[Path, ...],
    form: str,
    jobs: int,
    model: str,
    threshold: float | None,
    runtime: "RuntimeName",
    threads: int,
) -> None:
    """Say what emotions PATHS sound like: audio files of any format, or folders of them.

    A file that can't be read is named, the others are done, and the exit status is 1.  Files in
    folders that are not audio by their names are skipped and counted.
    """
    from undertone.audio.files import find_audio_files
    from undertone.files.batch import Judge, classify_files
    from undertone.recognition import bundle

    loaded = bundle.load(model)
    files, others = find_audio_files(paths)
    if others:
        click.echo(f"undertone: {_skipped(others)}", err=True)
    judge = Judge(loaded.folder, runtime, threads, threshold)
    results = classify_files(files, judge, min(jobs, len(files)))
    if len(files) > 1 and (form == "table" or not sys.stdout.isatty()):
        results = _progress(results, len(files))
    show = {"table": _table, "json": _json, "csv": _csv}[form]
    if show(results, loaded.manifest.labels):
        click.get_current_context().exit(1)


def _skipped(others: Counter[str]) -> str:
    """How many files were skipped and of which kinds, the commonest first."""
    total = others.total()
    named = sorted(others.items(), key=lambda kind: (-kind[1], kind[0]))[:_MOST_KINDS]
    kinds = [f"{count} {printable(suffix) or 'without a suffix'}" for suffix, count in named]
    if rest := total - sum(count for _, count in named):
        kinds.append(f"{rest} of other kinds")
    what = "1 file of an unknown kind was" if total == 1 else f"{total} files of unknown kinds were"
    return f"{what} skipped ({', '.join(kinds)})."


def _progress(results: "Iterator[FileResult]", total: int) -> "Iterator[FileResult]":
    """A bar on stderr, where that is a terminal, while no result is to be seen."""
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(results, "classifying", total, console=Console(stderr=True), transient=True)


def _json(results: "Iterable[FileResult]", labels: Sequence[str]) -> int:
    from undertone.files.results import to_line

    failed = 0
    for result in results:
        click.echo(to_line(result))
        failed += result.error is not None
    return failed


def _csv(results: "Iterable[FileResult]", labels: Sequence[str]) -> int:
    from undertone.files.results import csv_header, csv_row

    failed = 0
    writer = csv.writer(sys.stdout)
    writer.writerow(csv_header(labels))
    for result in results:
        writer.writerow(csv_row(result, labels))
        failed += result.error is not None
    return failed


def _table(results: "Iterable[FileResult]", labels: Sequence[str]) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from undertone.emotions import colour

    failed = 0
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    for heading in ("verdict", "most probable", "", "speech", ""):
        table.add_column(heading, no_wrap=True)
    for result in results:
        if result.verdict is None:
            failed += 1
            table.add_row(Text(printable(str(result.path))), Text("failed", "red"))
            click.echo(f"undertone: {printable(result.error or '')}", err=True)
            continue
        verdict, overall = result.verdict.verdict, result.verdict.overall
        speech_s = sum(segment.duration_s for segment in result.verdict.segments)
        table.add_row(
            Text(printable(str(result.path))),
            Text(verdict, f"bold {colour(verdict)}"),
            Text(overall.scores.label, colour(overall.scores.label)) if overall else "",
            f"{overall.scores.confidence:.0%}" if overall else "",
            f"{speech_s:.1f} s",
            (overall and overall.reason) or "",
        )
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to fold at
    console.print(table)
    return failed
