"""A lock on a folder itself, which no deleted file can release."""

import fcntl
import os
from pathlib import Path


def lock_folder(folder: Path, *, shared: bool = False) -> int:
    """A descriptor of ``folder`` that holds the lock on it until it is closed.

    shared: others may hold it, too, if they share it.  Raises BlockingIOError if somebody else
    holds the lock, and OSError.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
