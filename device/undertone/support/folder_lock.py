"""A lock on a folder itself, which no deleted file can release."""

import fcntl
import os
from pathlib import Path


def lock_folder(folder: Path) -> int:
    """A descriptor of ``folder`` that holds the lock on it until it is closed.

    Raises BlockingIOError if another process holds the lock, and OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
