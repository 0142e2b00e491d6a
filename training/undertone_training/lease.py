"""Lets long jobs, wherever they run, go on only as long as a command waits for their results.

The command renews a file on the shared storage.  Once the file is gone, or has not been renewed for
a minute, the jobs end: after Ctrl-C as after the death of the command.
"""

import os
import time
from pathlib import Path
from typing import Self
from uuid import uuid4

from undertone_training.errors import RunError

_RENEWED_S, _VALID_S = 5, 60


class Lease:
    """Its file in a folder.  The command calls ``renew`` and ``end``, the jobs ``require``.

    It ends at the latest with its ``with`` block.
    """

    def __init__(self, folder: Path) -> None:
        """Raises RunError if the folder can't be written."""
        self._path = folder / f".waiting-{uuid4().hex}"
        self._renewed_s = self._seen_s = -float("inf")
        self._seen_ns = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.renew()
        except OSError as error:
            raise RunError(
                f"{folder} can't be written ({error.strerror}): choose another place with --runs, "
                "or make room."
            ) from error

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """``end``."""
        self.end()

    def renew(self) -> None:
        """Say that somebody is waiting; to be called every few seconds."""
        if time.monotonic() - self._renewed_s > _RENEWED_S:
            self._path.touch()
            self._renewed_s = time.monotonic()

    def end(self) -> None:
        """Let the jobs end."""
        self._path.unlink(missing_ok=True)

    def require(self) -> None:
        """Raise RunError if nobody is waiting; to be called from time to time.

        Another machine's clock may differ, so only that the file's time changes says something.
        """
        try:
            with self._path.open("rb") as file:  # network file systems look anew when they open
                renewed_ns = os.fstat(file.fileno()).st_mtime_ns
        except FileNotFoundError:
            renewed_ns = -1
        now_s = time.monotonic()
        if renewed_ns not in (-1, self._seen_ns):
            self._seen_ns, self._seen_s = renewed_ns, now_s
        if renewed_ns == -1 or now_s - self._seen_s > _VALID_S:
            raise RunError(
                "The command that asked for this has not been heard of for a minute: the same "
                "command continues."
            )
