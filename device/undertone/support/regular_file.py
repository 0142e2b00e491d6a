"""Opens what must be a regular file: a FIFO waits for its other end, a device may have no end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading; raises OSError, for anything else too."""
    return open(path, "rb", opener=regular_descriptor)


def regular_descriptor(
    path: str | Path, flags: int, mode: int = 0o666, *, dir_fd: int | None = None
) -> int:
    """As ``os.open``; raises OSError for what is neither a regular file nor a folder, too.

    The opened file is checked, not the path, which could be replaced in between.
    """
    not_waiting = flags | os.O_NONBLOCK  # for the other end of a FIFO
    descriptor = os.open(path, not_waiting, mode, dir_fd=dir_fd)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))
