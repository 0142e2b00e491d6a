"""``undertone-train fetch``: the official archives of a corpus."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.corpora.fetch import Progress


@click.command(
    epilog="""\b
Examples:
  undertone-train fetch ravdess --to corpora
  undertone-train fetch ravdess --to corpora --song

The same command continues an interrupted download where it stopped.
"""
)
@click.argument("corpus", type=click.Choice(["ravdess"]))
@click.option(
    "--to",
    "folder",
    type=common.FOLDER,
    envvar="UNDERTONE_DATA",
    default=Path("corpora"),
    show_default=True,
    show_envvar=True,
    help="Folder of the corpora.",
)
@click.option("--song", is_flag=True, help="Also the sung clips (226 MB).")
@click.option("--url", hidden=True, help="Base URL of the archives, instead of the public record.")
def command(corpus: str, folder: Path, song: bool, url: str | None) -> None:
    """Download the spoken clips of CORPUS (208 MB) and check them; they need no unpacking.

    RAVDESS may be used for non-commercial purposes (CC BY-NC-SA 4.0).
    """
    from undertone_training.corpora.fetch import RECORD_URL, SONG, SPEECH, fetch

    for archive in (SPEECH, SONG) if song else (SPEECH,):
        with _progress(archive.name) as progress:
            path = fetch(archive, folder, url or RECORD_URL, progress)
        click.echo(f"{path}: complete, MD5 {archive.md5}")


@contextmanager
def _progress(name: str) -> "Iterator[Progress]":
    """A bar on a terminal, otherwise a plain line after every tenth."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    shown = -1

    def show(done: int, total: int | None) -> None:
        nonlocal shown
        tenth = done * 10 // total if total else 0
        if tenth != shown:
            shown = tenth
            of_total = f" of {total / 1e6:.0f}" if total else ""
            click.echo(f"{name}: {done / 1e6:.0f}{of_total} MB", err=True)

    yield show
