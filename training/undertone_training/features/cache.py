"""Keeps the features of clips on disk: the MFCC of the segments found by the device's speech gate.

A reference system's features are computed from the whole clip: one segment of a fixed shape.

A folder of the cache has the features with the same parameters, in shards that jobs write.  A clip
whose file has the name, size and time of before is not read again; one whose content is that of
before is read, but not computed again.
"""

import fcntl
import hashlib
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.errors import AudioSourceError
from undertone_training import object_storage
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features.extraction import Extraction
from undertone_training.features.index import Index, Rows, key
from undertone_training.features.shards import (
    SUFFIX,
    Entry,
    FileState,
    Frames,
    Shard,
    state_of,
    storing,
    write,
)
from undertone_training.jobs import Jobs
from undertone_training.lazy import Lazy
from undertone_training.progress import Progress, say_nothing, silent
from undertone_training.recipe import Recipe

PARAMETERS = "parameters.json"

_FEWEST, _MOST = 8, 128
"""Clips in a shard, but fewer if no more are missing there."""
_PARTS = 64
"""Shards that clips are spread over, as far as that allows."""

_MAPPED_BYTES = 2**27
"""Of a feature set that are mapped at a time, in whole shards."""


@dataclass(frozen=True)
class ClipFeatures:
    """Frames of one clip: the segments of the clip itself, then its augmented copies.

    segments: what the device would classify, each (frames, width); none if the gate
        detects no speech.
    copies: for each augmented copy, the frames of its segments one after another; none at all if
        the clip itself has no speech.
    """

    clip: Clip
    segments: tuple[Frames, ...]
    copies: tuple[Frames, ...]


@dataclass(frozen=True)
class Estimate:
    """The estimated cost of computing features, extrapolated from a few clips.

    duration_s: of the sound. wait_s: of the computation. size_bytes: on disk.
    """

    n_clips: int
    duration_s: float
    wait_s: float
    size_bytes: float


@dataclass(frozen=True)
class FeatureCache:
    """Computes features in ``jobs`` and keeps them in ``folder``; ``say``: is told of damage."""

    folder: Path
    jobs: Jobs = field(default_factory=Jobs)
    progress: Progress = silent
    say: Callable[[str], None] = say_nothing

    def compute(
        self,
        clips: Sequence[Clip],
        recipe: Recipe,
        description: str = "features",
        noise: NoiseRecordings | None = None,
        on_estimate: Callable[[Estimate], None] | None = None,
    ) -> Sequence[ClipFeatures]:
        """Features of ``clips`` in their order, from the cache or computed into it.

        Each is read when it is asked for, and not kept.

        noise: makes the recipe's augmented copies, for training, some of them with this noise;
            None makes no copies.
        on_estimate: is told, before it begins, what has to be computed if anything has.
        Raises AudioSourceError for a recording that cannot be read, RunError if the cache cannot
        be read or written.
        """
        if not clips:
            return ()
        extraction = Extraction.of(recipe, noise)
        folder = self._folder(extraction)
        index = Index(folder, self.say)
        files = bytearray()
        for clip in clips:
            files += key(state_of(clip.source), extraction.alike(clip))
        rows = index.of_files(files)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            renamed = self._renamed(clips, missing, extraction, index)
            new = np.setdiff1d(missing, [*renamed])
            if on_estimate and len(new):
                on_estimate(self._estimate(Lazy(clips.__getitem__, new), extraction))
            parts = _parts(missing, len(clips))

            def job(number: int) -> _Job:
                return _job(clips, parts[number], renamed, folder, extraction)

            jobs = Lazy(job, range(len(parts)))
            with self.progress(description, len(clips), len(clips) - len(missing)) as step:
                for part, path in zip(parts, self.jobs.map(_write, jobs), strict=True):
                    index.add(path)
                    for _ in part:
                        step()
            rows = index.of_files(files)
        if len(changed := np.flatnonzero(rows < 0)):
            raise AudioSourceError(
                f"{clips[changed[0]].source} was changed meanwhile: run the command again."
            )
        return _features(clips, *index.places(rows), index.shards)

    @property
    def in_a_job(self) -> "FeatureCache":
        """The same folder for a job, which shows nothing and has no jobs of its own."""
        return FeatureCache(self.folder, Jobs(1))

    def _folder(self, extraction: Extraction) -> Path:
        """Where features with these parameters are; it is there afterwards."""
        text = msgspec.json.format(msgspec.json.encode(extraction.parameters, order="sorted"))
        folder = self.folder / hashlib.sha256(text).hexdigest()[:40]
        with storing(self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / PARAMETERS).exists():
                (folder / PARAMETERS).write_bytes(text)
                object_storage.put(folder / PARAMETERS, folder / PARAMETERS)
        return folder

    def _renamed(
        self, clips: Sequence[Clip], missing: Rows, extraction: Extraction, index: Index
    ) -> dict[int, bytes]:
        """The digests of those whose content is known from another file, or another time."""
        if not index:
            return {}
        renamed: dict[int, bytes] = {}
        parts = _parts(missing, len(clips))
        sources = Lazy(lambda i: [clips[number].source for number in parts[i]], range(len(parts)))
        with self.progress("comparing recordings", len(missing)) as step:
            for part, digests in zip(parts, self.jobs.map(_digests, sources), strict=True):
                alike = (extraction.alike(clips[number]) for number in part)
                keys = b"".join(map(key, digests, alike))
                for number, digest, row in zip(
                    part, digests, index.with_contents(keys), strict=True
                ):
                    step()
                    if row >= 0:
                        renamed[number] = digest
        return renamed

    def _estimate(self, clips: Sequence[Clip], extraction: Extraction, sample: int = 5) -> Estimate:
        """Of the cost of ``clips``, from a ``sample`` of them."""
        chosen = clips[:: -(-len(clips) // sample)]
        extraction(chosen[0])  # loads the libraries, which is done once only
        start_s = time.monotonic()
        features = [extraction(each) for each in chosen]
        share = len(clips) / len(chosen)
        wait_s = (time.monotonic() - start_s) * share / self.jobs.at_once
        arrays = [array for segments, copies in features for array in (*segments, *copies)]
        durations_s = [len(clip.source.read()) / SAMPLE_RATE_HZ for clip in chosen]
        size_bytes = sum(array.nbytes for array in arrays) * share
        return Estimate(len(clips), sum(durations_s) * share, wait_s, size_bytes)


class _Wanted(NamedTuple):
    """A clip, its file, and what decides how its copies are changed."""

    clip: Clip
    file: FileState
    alike: str


@dataclass(frozen=True)
class _Job:
    """Clips whose features are put into one shard.

    renamed: digests of those whose frames are in another shard; the others are computed.
    """

    folder: Path
    extraction: Extraction
    items: tuple[_Wanted, ...]
    renamed: dict[FileState, bytes]

    @property
    def path(self) -> Path:
        """The shard, which has the same name in every process that needs it."""
        what = [(*each.file, each.alike, each.file in self.renamed) for each in self.items]
        return self.folder / f"{hashlib.sha256(repr(what).encode()).hexdigest()[:20]}{SUFFIX}"

    def entry(self, item: _Wanted) -> Entry:
        """The row of the shard; raises AudioSourceError."""
        if digest := self.renamed.get(item.file):
            return Entry(item.file, digest, item.alike, None, None)
        (digest,) = _digests([item.clip.source])
        return Entry(item.file, digest, item.alike, *self.extraction(item.clip))


def _parts(missing: Rows, clips: int) -> list[Rows]:
    """The numbers of missing clips, of which each part is one job.

    They are cut at the same places whatever else is there already, and in random order, so that two
    processes seldom wait for each other's jobs.
    """
    size = max(_FEWEST, min(_MOST, clips // _PARTS))
    cuts = np.flatnonzero(np.diff(missing // size)) + 1
    parts = np.split(missing, cuts)
    random.SystemRandom().shuffle(parts)
    return parts


def _job(
    clips: Sequence[Clip],
    numbers: Rows,
    renamed: Mapping[int, bytes],
    folder: Path,
    extraction: Extraction,
) -> _Job:
    """The job for the clips with these numbers."""
    wanted = {}
    for number in numbers:
        clip = clips[number]
        wanted[_Wanted(clip, state_of(clip.source), extraction.alike(clip))] = number
    known = {each.file: renamed[one] for each, one in wanted.items() if one in renamed}
    return _Job(folder, extraction, tuple(wanted), known)


def _digests(sources: Sequence[AudioRef]) -> list[bytes]:
    """SHA-256 of the recordings; raises AudioSourceError."""
    object_storage.fetch(each.path for each in sources)
    return [hashlib.sha256(each.content()).digest() for each in sources]


def _write(job: _Job) -> Path:
    """Write the job's shard, unless another process has, and return its path.

    Raises AudioSourceError, or RunError if it can't be written.
    """
    path = job.path
    partial = path.with_suffix(".part")
    with storing(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)  # a copy, on this machine
        lock = partial.open("ab")
    with lock:
        with storing(job.folder):
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits for a process with the same job
        if not os.fstat(lock.fileno()).st_nlink:  # which failed
            return _write(job)
        try:
            object_storage.fetch([path], missing_ok=True)  # from another machine
            if path.exists():
                return path
            object_storage.fetch(each.clip.source.path for each in job.items)
            entries = [job.entry(each) for each in job.items]
            with storing(job.folder):
                with partial.open("wb") as file:
                    write(file, entries, job.extraction.frame_width)
                    file.flush()
                    os.fsync(file.fileno())
                object_storage.put(partial, path)
                partial.replace(path)  # a killed job leaves nothing under the final name
            return path
        finally:
            partial.unlink(missing_ok=True)


def _features(
    clips: Sequence[Clip], shard_of: Rows, row_of: Rows, paths: Sequence[Path]
) -> Sequence[ClipFeatures]:
    """The features of clips, each of which has a row of a shard."""
    largest = max((path.stat().st_size for path in paths), default=1)
    mapped = lru_cache(max(1, _MAPPED_BYTES // largest))(lambda shard: Shard(paths[shard]))

    def features(number: int) -> ClipFeatures:
        segments, copies = mapped(shard_of[number]).frames(row_of[number])
        return ClipFeatures(clips[number], segments, copies)

    return Lazy(features, range(len(clips)))
