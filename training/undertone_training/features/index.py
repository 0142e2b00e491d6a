"""What the shards of a folder contain."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from undertone_training import object_storage
from undertone_training.features.shards import (
    SUFFIX,
    DamagedShardError,
    FileState,
    manifest,
    storing,
)

Rows = NDArray[np.intp]

_KEY = "S16"
"""Keys of this length are equal only for equal things; NumPy sorts them."""


def key(what: FileState | bytes, alike: str) -> bytes:
    """What features are found by: the recording's file or its digest, and how it is changed."""
    text = repr((tuple(what) if isinstance(what, FileState) else what, alike))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class Index:
    """The manifests of all shards in ``folder``, in 40 bytes for each row.

    Rows are numbered through all shards.  shards: their files; one that is damaged is removed.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Read the manifests; ``say`` is told of damage.  Raises RunError."""
        self.shards: list[Path] = []
        self._ends: list[int] = []
        self._files, self._contents, self._here = bytearray(), bytearray(), bytearray()
        object_storage.bring(folder)
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                self.add(path)
            except DamagedShardError:
                say(f"{path} is damaged: what was in it is computed again")
                with storing(folder):
                    object_storage.remove(path)

    def __bool__(self) -> bool:
        """Whether there are any features."""
        return bool(self._here)

    def add(self, path: Path) -> None:
        """Read one more; raises DamagedShardError."""
        object_storage.fetch([path])
        for known in manifest(path):
            self._files += key(known.file, known.alike)
            self._contents += key(known.digest, known.alike)
            self._here.append(known.here)
        self.shards.append(path)
        self._ends.append(len(self._here))

    def of_files(self, keys: bytes | bytearray) -> Rows:
        """The row with the features of each recording, which is not read; -1 if not known.

        keys: one after another, as ``key`` makes them of files.
        """
        rows = _find(keys, self._files)
        known = np.flatnonzero(rows >= 0)
        contents = np.frombuffer(self._contents, _KEY)[rows[known]]
        rows[known] = self.with_contents(contents.tobytes())
        return rows

    def with_contents(self, keys: bytes) -> Rows:
        """The same for recordings with known content; ``keys``: made of digests."""
        here = np.flatnonzero(np.frombuffer(self._here, np.bool_))
        rows = _find(keys, np.frombuffer(self._contents, _KEY)[here].tobytes())
        return np.where(rows >= 0, here[rows], -1) if len(here) else rows

    def places(self, rows: Rows) -> tuple[Rows, Rows]:
        """The number of each row's shard in ``shards``, and its number in it."""
        ends = np.array(self._ends)
        shards = np.searchsorted(ends, rows, side="right")
        starts = np.concatenate([[0], ends])[shards]
        return shards.astype(np.int32), (rows - starts).astype(np.int32)


def _find(keys: bytes | bytearray, known: bytes | bytearray) -> Rows:
    """Where each of ``keys`` is among ``known``, or -1."""
    wanted, there = np.frombuffer(keys, _KEY), np.frombuffer(known, _KEY)
    if not len(there):
        return np.full(len(wanted), -1)
    order = np.argsort(there)
    rows = order[np.searchsorted(there, wanted, sorter=order) % len(there)]
    return np.where(there[rows] == wanted, rows, -1)
