"""The lock on a journal: one process at a time writes it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from undertone.errors import JournalError


def acquire(folder: Path) -> int:
    """The descriptor that holds the lock on ``folder`` until it is closed.

    It is open for reading only, so that the card can still be remounted read-only.
    Raises JournalError where another process holds it, and OSError.
    """
    path = folder / ".lock"
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.write_text(f"{os.getpid()}\n")
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalError(
            f"The journal in {folder} is being written by another undertone (process {holder}): "
            "stop that one, or choose another folder with --journal."
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock for a while; raises as :func:`acquire`."""
    descriptor = acquire(folder)
    try:
        yield
    finally:
        os.close(descriptor)
