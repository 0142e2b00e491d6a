"""What the training commands share: common options, progress on the screen, and tables."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import platformdirs

from undertone.errors import UndertoneError
from undertone_training import object_storage

if TYPE_CHECKING:
    from undertone_training.corpora.clip import Clip
    from undertone_training.features.cache import FeatureCache
    from undertone_training.progress import Step

Item = TypeVar("Item")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

SEED = click.IntRange(0, 2**32 - 1)  # the range that NumPy and Keras accept


class _Folder(click.Path):
    """A folder, or the URL of one in object storage, which becomes the folder of its copy.

    kept: as in ``object_storage.copy_of``; None refuses URLs.
    """

    def __init__(self, kept: bool | None) -> None:
        super().__init__(file_okay=False, path_type=Path)
        self._kept = kept

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises StorageError."""
        if isinstance(value, str) and "://" in value:
            if self._kept is None:
                self.fail(f"{value} is in object storage; here, only a folder will do.", param, ctx)
            return object_storage.copy_of(value, self._kept)
        return super().convert(value, param, ctx)


FOLDER, STORED_FOLDER, _KEPT_FOLDER = _Folder(None), _Folder(kept=False), _Folder(kept=True)

data: Decorator = click.option(
    "--data",
    type=_KEPT_FOLDER,
    envvar="UNDERTONE_DATA",
    required=True,
    show_envvar=True,
    help="Folder of the corpora, or the URL of one in object storage, s3://BUCKET/FOLDER.",
)
cache: Decorator = click.option(
    "--cache",
    type=_KEPT_FOLDER,
    envvar="UNDERTONE_CACHE",
    default=lambda: platformdirs.user_cache_path("undertone") / "features",
    show_default="features in the user's cache folder",
    show_envvar=True,
    help="Folder or URL of computed features.",
)


def _runs(kind: click.Path) -> Decorator:
    return click.option(
        "--runs",
        type=kind,
        default=Path("runs"),
        show_default=True,
        help="Folder of the runs; each gets a folder of its own.",
    )


runs, stored_runs = _runs(FOLDER), _runs(STORED_FOLDER)
recipe: Decorator = click.option(
    "--recipe",
    "recipe_name",
    default="compact",
    show_default=True,
    metavar="NAME|FILE",
    help="Recipe: the name of a packaged one, or a TOML file.",
)
jobs: Decorator = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Number of processes, each with a single thread.  [default: one per core]",
)
jobs_at_once: Decorator = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Number of processes, each with a single thread.  [default: one per core for features, "
    "one in all for TensorFlow, with a thread per core]",
)
scheduler: Decorator = click.option(
    "--scheduler",
    metavar="ADDRESS",
    envvar="UNDERTONE_SCHEDULER",
    show_envvar=True,
    help="Instead of --jobs: the Dask scheduler whose workers do it, such as tcp://HOST:8786. They "
    "need the same folders at the same paths.",
)


@contextmanager
def progress(description: str, total: int, done: int = 0) -> "Iterator[Step]":
    """A bar on a terminal, otherwise a plain line after every tenth of the steps."""
    description = object_storage.readable(description)
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
            yield lambda note="": bar.update(task, advance=1, note=note)
        return

    def step(note: str = "") -> None:
        nonlocal done
        done += 1
        if done * 10 // total > (done - 1) * 10 // total:
            click.echo(f"{description}: {done} of {total} {note}".rstrip(), err=True)

    yield step


def feature_cache(folder: Path, jobs: int | None, scheduler: str | None = None) -> "FeatureCache":
    """The cache in ``folder``, whose work shows a bar."""
    from undertone_training.features.cache import FeatureCache
    from undertone_training.jobs import Jobs

    where = Jobs(jobs, scheduler, register_features, load_tensorflow_in_a_job, say)
    return FeatureCache(folder, where, progress, say)


def echo(what: str, err: bool = False) -> None:
    """Print a line that may name folders; copies are named by their URLs."""
    click.echo(object_storage.readable(what), err=err)


def say(what: str) -> None:
    """Tell the user what is not a result."""
    echo(what, err=True)


_SHARED = {"data", "cache", "runs", "study"}
"""Folders that workers use as well; their current folder is another one."""


class Command(click.Command):
    """A command that accepts the reference systems' recipes, whose runs may be in any folder."""

    def invoke(self, ctx: click.Context) -> Any:
        """Register the reference systems' features, then run the command."""
        if ctx.params.get("scheduler"):
            if ctx.params.get("jobs"):
                raise click.UsageError("The workers decide how many jobs run: leave --jobs out.")
            for name in _SHARED & ctx.params.keys():
                if ctx.params[name]:
                    ctx.params[name] = ctx.params[name].absolute()
        register_features()
        try:
            return super().invoke(ctx)
        except UndertoneError as error:
            error.args = (object_storage.readable(str(error)),)
            raise
        finally:
            object_storage.push()


def register_features() -> None:
    """Let recipes name the reference systems' features."""
    import undertone_training.references.features  # noqa: F401


def load_tensorflow(threads: int | None = None) -> None:
    """Import TensorFlow silently, and register the reference systems' networks."""
    from undertone_training.tensorflow_loader import load_tensorflow

    load_tensorflow(threads)
    import undertone_training.references.networks  # noqa: F401


def load_tensorflow_in_a_job() -> None:
    """The same in another process, one of several."""
    register_features()
    load_tensorflow(threads=1)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> None:
    """Print a table; ``sides``: l or r for each column, left- or right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False)
    for heading, side in zip(head, sides, strict=True):
        drawn.add_column(heading, justify="left" if side == "l" else "right", overflow="fold")
    for cells in rows:
        drawn.add_row(*map(Text, cells))  # as Text: the name of a folder may look like markup
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 250  # a file or a pipe has no width to wrap at
    console.print(drawn)


def column_table(
    items: Sequence[Item], columns: Mapping[str, Callable[[Item], str]], left: int = 1
) -> None:
    """Print a row for each item, the first ``left`` cells left-aligned.

    columns: what each column shows of an item, by its heading.
    """
    rows = [[cell(item) for cell in columns.values()] for item in items]
    table(list(columns), rows, "l" * left + "r" * (len(columns) - left))


def write_output(path: Path, content: bytes) -> None:
    """Write what --output names; raises RunError."""
    from undertone_training.errors import RunError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise RunError(
            f"{path} can't be written ({error.strerror}): name another file with --output."
        ) from error


def clips_by_id(data: Path) -> "Mapping[str, Clip]":
    """Every clip below ``data`` by its id."""
    from undertone_training.corpora import scan
    from undertone_training.corpora.clips import ById

    return ById(scan(data).clips)
