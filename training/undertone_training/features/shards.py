"""Shards: files with the frames of some hundred clips, and with what says which clips these are.

A shard is an uncompressed Arrow IPC file with one record batch, which is mapped into memory.  The
small columns come first and are all that is read to know what the shard contains; frames are read
where they are used, without a copy.

Why Arrow and not Zarr: clips differ in length, which is a column of lists in Arrow and has no
place in Zarr's arrays of equal chunks; names, digests and frames are in one file that is renamed
into place, so that no manifest can disagree with the data; and pyarrow is there already.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from undertone.errors import AudioSourceError
from undertone_training import object_storage
from undertone_training.corpora.clip import AudioRef
from undertone_training.errors import RunError

Frames = NDArray[np.float32]

SUFFIX = ".arrow"


class FileState(NamedTuple):
    """A recording as the file system describes it; with equal ones its content is the same.

    path: absolute, or a URL.  member: its name in the zip archive ``path``, whose size and time
    these are.  size: in bytes.  mtime_ns: when it was last changed.
    """

    path: str
    member: str | None
    size: int
    mtime_ns: int


def state_of(source: AudioRef) -> FileState:
    """The recording's state now; raises AudioSourceError."""
    try:
        found = source.path.stat()
    except OSError as error:
        raise AudioSourceError(
            f"{source} can't be read ({error.strerror}): scan the folder again."
        ) from error
    path = object_storage.url_of(source.path)
    return FileState(path, source.member, found.st_size, found.st_mtime_ns)


class Entry(NamedTuple):
    """One row of a shard.

    digest: SHA-256 of the recording's content.
    alike: what decides how the copies are changed, beside their numbers.
    segments, copies: frames as in ``ClipFeatures``; both None if they are in another shard, with
        the same ``digest`` and ``alike``.
    """

    file: FileState
    digest: bytes
    alike: str
    segments: Sequence[Frames] | None
    copies: Sequence[Frames] | None


def write(file: BinaryIO, entries: Sequence[Entry], frame_width: int) -> None:
    """Write a shard; ``frame_width``: number of values in each frame.  Raises OSError."""
    frames = [
        None if each.segments is None else [*each.segments, *(each.copies or ())]
        for each in entries
    ]
    whole = np.concatenate(
        [np.empty((0, frame_width), np.float32), *(one for each in frames for one in each or ())]
    )
    ends = np.cumsum([0, *(sum(map(len, each or ())) for each in frames)])
    columns = {
        "path": pa.array([os.fsencode(each.file.path) for each in entries], pa.binary()),
        "member": pa.array([each.file.member for each in entries], pa.string()),
        "size": pa.array([each.file.size for each in entries], pa.int64()),
        "mtime_ns": pa.array([each.file.mtime_ns for each in entries], pa.int64()),
        "digest": pa.array([each.digest for each in entries], pa.binary()),
        "alike": pa.array([each.alike for each in entries], pa.string()),
        "here": pa.array([each is not None for each in frames], pa.bool_()),
        "segments": pa.array([_lengths(each.segments) for each in entries], pa.list_(pa.int32())),
        "copies": pa.array([_lengths(each.copies) for each in entries], pa.list_(pa.int32())),
        "frames": pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()),
            pa.FixedSizeListArray.from_arrays(pa.array(whole.ravel()), frame_width),
        ),
    }
    batch = pa.record_batch(columns)
    with pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _lengths(arrays: Sequence[Frames] | None) -> list[int]:
    return [len(each) for each in arrays or ()]


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Raise RunError for an error of the storage."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"Features can't be stored in {folder} ({error.strerror}): make room, or name another "
            "folder with --cache."
        ) from error


class DamagedShardError(Exception):
    """A shard that was cut short, or is none."""


def _mapped(path: Path) -> pa.RecordBatch:
    """All of a shard; raises DamagedShardError, or RunError if it can't be opened."""
    try:
        return pa.ipc.open_file(pa.memory_map(os.fspath(path))).get_batch(0)
    except (pa.ArrowException, OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        if number is None:
            raise DamagedShardError from error
        raise RunError(
            f"The features in {path} can't be read ({os.strerror(number)}): run the command "
            "again, or name another folder with --cache."
        ) from error


class Known(NamedTuple):
    """What a shard says of one of its clips; ``here``: whether it has the frames."""

    file: FileState
    digest: bytes
    alike: str
    here: bool


def manifest(path: Path) -> list[Known]:
    """Which clips are in a shard; raises as ``_mapped`` does."""
    batch = _mapped(path)
    try:
        batch.validate(full=True)
        names = ("path", "member", "size", "mtime_ns", "digest", "alike", "here")
        rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        return [Known(FileState(os.fsdecode(row[0]), *row[1:4]), *row[4:]) for row in rows]
    except (pa.ArrowException, KeyError) as error:
        raise DamagedShardError from error


class Shard:
    """The frames of a shard, mapped into memory."""

    def __init__(self, path: Path) -> None:
        """Map it; raises as ``_mapped`` does."""
        batch = _mapped(path)
        column = batch.column("frames")
        self._starts, values = _lists(column, np.float32)
        self._frames: Frames = values.reshape(-1, column.type.value_type.list_size)
        self._segments = _lists(batch.column("segments"), np.int32)
        self._copies = _lists(batch.column("copies"), np.int32)

    def frames(self, row: int) -> tuple[tuple[Frames, ...], tuple[Frames, ...]]:
        """The frames of each segment and of each copy of a clip, as views."""
        start = int(self._starts[row])
        found: list[tuple[Frames, ...]] = []
        for offsets, lengths in (self._segments, self._copies):
            arrays = []
            for length in lengths[offsets[row] : offsets[row + 1]].tolist():
                arrays.append(self._frames[start : start + length])
                start += length
            found.append(tuple(arrays))
        return found[0], found[1]


def _lists(column: pa.Array, dtype: DTypeLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where each list of a column begins and ends, and all values, as they are in the file."""
    _, offsets, *_, values = column.buffers()
    return np.frombuffer(offsets, np.int32), np.frombuffer(values, dtype)
