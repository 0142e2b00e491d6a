"""Opens regular files only: opening a FIFO waits for its other end, and a device may be endless."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading; raises OSError, also for anything else."""
    return open(path, "rb", opener=regular_descriptor)


def regular_descriptor(
    path: str | Path, flags: int, mode: int = 0o666, *, dir_fd: int | None = None
) -> int:
    """Like ``os.open``, but raises OSError for anything but a regular file or a folder.

    The opened file is checked, not the path, which could be replaced in between.
    """
    not_waiting = flags | os.O_NONBLOCK  # do not wait for the other end of a FIFO
    descriptor = os.open(path, not_waiting, mode, dir_fd=dir_fd)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))
