"""Stores the cursor and its state in one small file; after a power cut it is the old or the new."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from undertone.errors import PublishError
from undertone.journal.files import replace_file
from undertone.support.folder_lock import lock_folder
from undertone.support.regular_file import open_regular

_log = logging.getLogger(__name__)

_LARGEST_BYTES = 2**24

_State = TypeVar("_State", bound=msgspec.Struct)


class Store(Generic[_State]):
    """A file that holds one value of a struct."""

    def __init__(self, path: Path, kind: type[_State]) -> None:
        self.path = path
        self._kind = kind
        self._failing = False

    def load(self) -> _State | None:
        """What was stored last; None if nothing was.  Raises PublishError if it can't be read."""
        try:
            with open_regular(self.path) as file:
                return msgspec.json.decode(file.read(_LARGEST_BYTES), type=self._kind)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "it is damaged"
            raise PublishError(
                f"Can't read {self.path}, which says what has been published: {reason}. "
                "Delete it to start again with what is written from then on."
            ) from error

    def save(self, state: _State) -> None:
        """Store ``state``, down to the disk; if that refuses, what follows may be sent twice."""
        try:
            replace_file(self.path, msgspec.json.encode(state))
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.warning(
                    "can't write %s: %s; what is published now will be published again after a "
                    "restart",
                    *(self.path, error.strerror),
                )
            self._failing = True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create ``folder`` and lock it: two programs with one cursor would send everything twice.

    Raises PublishError if another program holds the lock, or if it can't be created.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = lock_folder(folder)
    except BlockingIOError:
        raise PublishError(
            f"Another `undertone publish` keeps its cursor in {folder}: stop that one, or choose "
            "another state folder with UNDERTONE_STATE."
        ) from None
    except OSError as error:
        raise PublishError(
            f"Can't keep what has been published in {folder}: {error.strerror}; "
            "choose another state folder with UNDERTONE_STATE."
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
