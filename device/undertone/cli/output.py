"""What several commands print: notices, tables, and files that may be impossible to write."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

import click

from undertone.errors import OutputError
from undertone.support.printable import printable

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

to_file: Decorator = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file.  [default: standard output]",
)
"""Give a command ``output``, a path or None."""


def notice(text: str) -> None:
    """Print a line about what happens to stderr."""
    click.echo(f"undertone: {printable(text)}", err=True)


def count(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table to a terminal; cells are strings or rich's Text."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None)
    for row in rows:
        table.add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in row))
    Console().print(table)


@contextmanager
def opened(output: Path | None) -> Iterator[TextIO]:
    """The file, or standard output for None, open for text.

    Raises OutputError if it can't be written; BrokenPipeError passes through.
    """
    with (
        writing(output),
        output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as stream,
    ):
        yield stream
        stream.flush()


@contextmanager
def writing(output: Path | None) -> Iterator[None]:
    """Turn an OSError that writing ``output`` raises into an OutputError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"Can't write {output or 'to standard output'}: {error.strerror}; make room, or name "
            "another file."
        ) from error


def require_writable(path: Path) -> None:
    """Raise OutputError if ``path`` can't be written; creates and changes nothing."""
    is_new = not path.exists()
    with writing(path):
        path.open("a").close()
        if is_new:
            path.unlink()
