"""How the library reports the progress of a long step, whatever displays it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """Called once for each completed unit of work; ``note`` is shown beside it."""

    def __call__(self, note: str = "") -> None:
        """Count one."""


class Progress(Protocol):
    """Opens the display of one step of ``total`` units, ``done`` of which were completed before."""

    def __call__(self, description: str, total: int, done: int = 0) -> AbstractContextManager[Step]:
        """Show ``description`` until the context ends."""


@contextmanager
def silent(description: str, total: int, done: int = 0) -> Iterator[Step]:
    """A ``Progress`` that shows nothing."""
    yield lambda note="": None


def say_nothing(message: str) -> None:
    """Discard a message."""
