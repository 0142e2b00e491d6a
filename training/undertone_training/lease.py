"""Lets long jobs, wherever they run, go on only as long as a command waits for their results.

The command renews a file on the shared storage.  Once the file is gone, or has not been renewed for
a minute, the jobs end: after Ctrl-C as after the death of the command.
"""

import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from undertone_training import object_storage
from undertone_training.errors import RunError, StorageError

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

    def renew(self) -> bool:
        """Say that somebody is waiting, to be called every second; whether it was time to."""
        if is_time := time.monotonic() - self._renewed_s > _RENEWED_S:
            self._path.touch()
            object_storage.put(self._path, self._path)
            self._renewed_s = time.monotonic()
        return is_time

    def end(self) -> None:
        """Let the jobs end."""
        with suppress(StorageError):  # then they end when it has not been renewed
            object_storage.remove(self._path)

    def require(self) -> None:
        """Raise RunError if nobody is waiting; to be called from time to time.

        Another machine's clock may differ, so only that the file's time changes says something.
        """
        renewed_ns = object_storage.renewed_ns(self._path)
        now_s = time.monotonic()
        if renewed_ns not in (-1, self._seen_ns):
            self._seen_ns, self._seen_s = renewed_ns, now_s
        if renewed_ns == -1 or now_s - self._seen_s > _VALID_S:
            raise RunError(
                "The command that asked for this has not been heard of for a minute: the same "
                "command continues."
            )
