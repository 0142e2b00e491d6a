"""The lock on a journal, which only one process at a time may write."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from undertone.errors import JournalError
from undertone.journal.files import unreadable
from undertone.support.folder_lock import lock_folder
from undertone.support.regular_file import open_regular, regular_descriptor

_HOLDER = ".lock"
"""The file that names the process.  The lock is on the folder itself, so deleting this file does
not release it."""

_ATTEMPTS = 4
_BETWEEN_ATTEMPTS_S = 0.02


def acquire(folder: Path) -> int:
    """A descriptor of ``folder`` that holds the lock on it until it is closed.

    Raises JournalError if another process holds the lock, and OSError.
    """
    try:
        descriptor = _lock_patiently(folder)
    except BlockingIOError:
        raise JournalError(
            f"The journal in {folder} is being written by another undertone "
            f"(process {_holder(folder)}): "
            "stop that one, or choose another folder with --journal."
        ) from None
    with suppress(OSError):  # a disk that refuses this refuses events too; they can wait
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(regular_descriptor(_HOLDER, flags, 0o640, dir_fd=descriptor), "w") as holder:
            holder.write(f"{os.getpid()}\n")
    return descriptor


def _lock_patiently(folder: Path) -> int:
    """Try for a moment: :func:`is_locked` holds a free lock for an instant."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(BlockingIOError):
            return lock_folder(folder)
        time.sleep(_BETWEEN_ATTEMPTS_S)
    return lock_folder(folder)


def is_locked(folder: Path) -> bool:
    """Whether a process, this one or another, holds the lock on ``folder``.

    A killed process no longer holds it, whatever the journal's last line says.  To find out, a free
    lock is taken for an instant, shared; :func:`acquire` waits for that.  Raises JournalError if
    the folder can't be opened.
    """
    try:
        os.close(lock_folder(folder, shared=True))
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    except OSError as error:
        raise unreadable(folder, error) from error
    return False


def is_held(descriptor: int, folder: Path) -> bool:
    """Whether the lock is still that of ``folder``, which may have been deleted or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock for a while; raises as :func:`acquire`."""
    descriptor = acquire(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _holder(folder: Path) -> str:
    try:
        with open_regular(folder / _HOLDER) as holder:
            return holder.read(20).decode(errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"
