"""What the training commands share: where data, cache and runs are, and how progress looks."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import platformdirs

if TYPE_CHECKING:
    from undertone_training.corpora.clip import Clip
    from undertone_training.corpora.noise import NoiseRecordings
    from undertone_training.features.cache import ClipFeatures
    from undertone_training.recipe import Recipe

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

SEED = click.IntRange(0, 2**32 - 1)  # what NumPy and Keras take
FOLDER = click.Path(file_okay=False, path_type=Path)

data: Decorator = click.option(
    "--data",
    type=FOLDER,
    envvar="UNDERTONE_DATA",
    required=True,
    show_envvar=True,
    help="Folder that holds the corpora.",
)
cache: Decorator = click.option(
    "--cache",
    type=FOLDER,
    envvar="UNDERTONE_CACHE",
    default=lambda: platformdirs.user_cache_path("undertone") / "features",
    show_default="features in the user's cache folder",
    show_envvar=True,
    help="Folder of computed features.",
)
runs: Decorator = click.option(
    "--runs",
    type=FOLDER,
    default=Path("runs"),
    show_default=True,
    help="Folder that gets a folder for each run.",
)
recipe: Decorator = click.option(
    "--recipe",
    "recipe_name",
    default="compact",
    show_default=True,
    metavar="NAME|FILE",
    help="Recipe: the name of a packaged one, or a TOML file.",
)
jobs: Decorator = click.option(
    "--jobs", type=click.IntRange(min=1), help="Processes.  [default: one a core]"
)


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """A step function: a bar on a terminal; elsewhere a plain line at every tenth.

    done: steps that were taken before.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(description, total=total, completed=done, note="")
            yield lambda note: bar.update(task, advance=1, note=note)
        return

    def step(note: str) -> None:
        nonlocal done
        done += 1
        if done * 10 // total > (done - 1) * 10 // total:
            click.echo(f"{description}: {done} of {total} {note}".rstrip(), err=True)

    yield step


def load_tensorflow() -> None:
    """Import TensorFlow without its notices; before any module that imports it.

    Its errors are exceptions and are seen; ``TF_CPP_MIN_LOG_LEVEL=0`` brings its log back.
    """
    from undertone.support.native_output import STDERR, silenced

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # heeded only when set before the import
    with silenced(STDERR):  # and what it logs before it heeds it
        importlib.import_module("tensorflow")
        importlib.import_module("keras")


def features_of(
    clips: "Sequence[Clip]",
    recipe: "Recipe",
    cache: Path,
    jobs: int | None,
    description: str,
    noise: "NoiseRecordings | None" = None,
) -> "list[ClipFeatures]":
    """Features of ``clips``, from the cache or computed, with a bar.

    ``noise``: makes augmented copies, for training, some with this noise; None makes none.
    """
    from undertone_training.features.cache import prepare

    augmentation = None if noise is None else recipe.augmentation
    with progress(description, len(clips)) as step:
        return prepare(clips, recipe.front, augmentation, noise, cache, jobs, lambda: step(""))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> None:
    """Print a table; ``sides``: l or r for each column."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False)
    for heading, side in zip(head, sides, strict=True):
        drawn.add_column(heading, justify="left" if side == "l" else "right", overflow="fold")
    for cells in rows:
        drawn.add_row(*map(Text, cells))  # a folder may have any name
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 250  # a file or a pipe has no edge to fold at
    console.print(drawn)


def held_out_features(
    clips: "Mapping[str, Clip]",
    recipe: "Recipe",
    cache: Path,
    jobs: int | None,
    ids: "Sequence[str]",
) -> "list[ClipFeatures]":
    """Features of the clips with these ids, for a recipe's folds to judge."""
    from undertone_training.evaluation.test_clips import chosen

    return features_of(chosen(clips, ids), recipe, cache, jobs, "folds")


def clips_by_id(data: Path) -> "dict[str, Clip]":
    """Every clip below ``data`` by its id."""
    from undertone_training.corpora import scan

    return {clip.clip_id: clip for clip in scan(data).clips}
