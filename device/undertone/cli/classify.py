"""``undertone classify``: the emotions in recordings."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from undertone.cli import options
from undertone.cli.output import notice
from undertone.errors import AudioSourceError
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.files.batch import ClassifierConfig, FileResult
    from undertone.files.voices import KnownVoice
    from undertone.recognition.bundle import Manifest
    from undertone.recognition.interpreter import RuntimeName

T = TypeVar("T")

_MOST_SUFFIXES = 5  # of skipped files that are counted one by one


@click.command(
    epilog="""\b
Examples:
  undertone classify interview.wav
  undertone classify recordings/ --format csv > emotions.csv
  undertone classify *.flac --format json | jq .label
  undertone classify archive/ --jobs 4 --format json > emotions.jsonl
  undertone classify anna/today/ --voice anna/
"""
)
@click.argument("paths", nargs=-1, required=True, type=options.AnyPath())
@options.output_format("table", "json", "csv", note="json: one object per line.")
@click.option(
    "--voice",
    "voices",
    type=options.AnyPath(),
    multiple=True,
    metavar="PATH",
    help="A recording of the voice in PATHS, or a folder of them, for a model that can use it; "
    "may be repeated.  A file of PATHS that is among them is not used for itself.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Number of files to classify at the same time, each in its own process.",
)
@options.model
@options.threshold
@options.runtime
@options.threads
def command(
    paths: tuple[Path, ...],
    form: str,
    voices: tuple[Path, ...],
    jobs: int,
    model: str,
    threshold: float | None,
    runtime: "RuntimeName",
    threads: int,
) -> None:
    """Classify the emotion in PATHS: audio files of any format, or folders of them.

    A file that can't be read is reported and the others are classified; the exit status is then 1.
    Files in folders whose names are not those of audio files are skipped and counted.
    """
    from undertone.audio.files import find_audio_files
    from undertone.files.batch import ClassifierConfig, classify_files
    from undertone.files.results import to_line, write_csv
    from undertone.recognition import bundle

    loaded = bundle.load(model)
    config = ClassifierConfig(loaded.folder, runtime, threads, threshold)
    known = None
    if voices:
        _require_knowledge_of_voices(loaded.manifest)
        known = _known_voice(voices, config, jobs)
    files, others = find_audio_files(paths)
    if others:
        notice(_skipped(others))
    results = classify_files(files, config, min(jobs, len(files)), known)
    if len(files) > 1 and (form == "table" or not sys.stdout.isatty()):
        results = _progress(results, len(files), "classifying")
    failed: list[FileResult] = []
    noted = _noting(results, failed)
    if form == "table":
        _print_table(noted)
    elif form == "csv":
        write_csv(noted, loaded.manifest.labels, sys.stdout)
    else:
        for result in noted:
            click.echo(to_line(result))
    if failed:
        click.get_current_context().exit(1)


def _skipped(others: Counter[str]) -> str:
    """How many files were skipped, and how many of the most frequent suffixes."""
    total = others.total()
    named = sorted(others.items(), key=lambda kind: (-kind[1], kind[0]))[:_MOST_SUFFIXES]
    kinds = [f"{count} {suffix or 'without a suffix'}" for suffix, count in named]
    if rest := total - sum(count for _, count in named):
        kinds.append(f"{rest} of other kinds")
    what = "1 file of an unknown kind was" if total == 1 else f"{total} files of unknown kinds were"
    return f"{what} skipped ({', '.join(kinds)})."


def _require_knowledge_of_voices(manifest: "Manifest") -> None:
    """Raise UsageError, naming models that can use a voice, if the one of ``manifest`` can't."""
    from undertone.recognition import bundle

    if manifest.normalization.voice_prior_frames:
        return
    named = [
        name
        for name in bundle.installed_bundles()
        if bundle.load(name).manifest.normalization.voice_prior_frames
    ]
    choice = f"choose {' or '.join(named)} with --model, or " if named else ""
    raise click.UsageError(
        f"The model {manifest.name} can't use a known voice: {choice}leave out --voice."
    )


def _known_voice(voices: tuple[Path, ...], config: "ClassifierConfig", jobs: int) -> "KnownVoice":
    """The voice in the recordings in ``voices``.

    Raises AudioSourceError if one of them can't be read, and UsageError if it has no speech.  In a
    folder, a file that can't be read is reported and left out.
    """
    from undertone.audio.files import find_audio_files
    from undertone.files.batch import voices_in
    from undertone.files.voices import KnownVoice

    known = []
    for path in voices:
        files, _ = find_audio_files([path])
        results = voices_in(files, config, min(jobs, len(files)))
        found = []
        for result in _progress(results, len(files), "learning the voice"):
            if result.voice:
                found.append((result.path, result.voice))
            if result.error and result.path == path:
                raise AudioSourceError(result.error)
            if result.error:
                notice(result.error)
        if not found:
            raise click.UsageError(
                f"No speech was found in {printable(str(path))}: name recordings with speech "
                "after --voice."
            )
        known += found
    return KnownVoice(known)


def _progress(results: "Iterator[T]", total: int, what: str) -> "Iterator[T]":
    """Show a progress bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(results, what, total, console=Console(stderr=True), transient=True)


def _noting(results: "Iterable[FileResult]", failed: "list[FileResult]") -> "Iterator[FileResult]":
    """``results``; prints their warnings, and adds those with an error to ``failed``."""
    for result in results:
        if result.warning:
            notice(result.warning)
        if result.error is not None:
            failed.append(result)
        yield result


def _print_table(results: "Iterable[FileResult]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from undertone.emotions import colour

    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    for heading in ("verdict", "most probable", "", "activation", "speech", ""):
        table.add_column(heading, no_wrap=True)
    for result in results:
        if result.verdict is None:
            table.add_row(Text(printable(str(result.path))), Text("failed", "red"))
            notice(result.error or "")
            continue
        verdict, overall = result.verdict.verdict, result.verdict.overall
        speech_s = sum(segment.duration_s for segment in result.verdict.segments)
        table.add_row(
            Text(printable(str(result.path))),
            Text(verdict, f"bold {colour(verdict)}"),
            Text(overall.label, colour(overall.label)) if overall else "",
            f"{overall.confidence:.0%}" if overall else "",
            "" if overall is None or overall.activation is None else f"{overall.activation:.0%}",
            f"{speech_s:.1f} s",
            (overall and overall.reason) or "",
        )
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no width to wrap at
    console.print(table)
