"""Caches the features of clips: the MFCC of the segments found by the device's speech gate.

A reference system's features are computed from the whole clip: one segment of a fixed shape.

The cache's key is a hash of the recording's bytes and of every parameter that determines the
frames, so only what a changed clip, gate, MFCC or augmentation affects is computed again.
"""

import hashlib
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_gate import GateConfig
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.errors import RunError
from undertone_training.features.gate import packaged_sha256, require_fitting, speech_of
from undertone_training.features.waveform_augmentation import augmented, augmenter
from undertone_training.progress import Progress, silent
from undertone_training.recipe import Augmentation, FeatureExtractor, Recipe

Frames = NDArray[np.float32]

FORMAT = 4
"""Increased when this module changes what it stores."""


@dataclass(frozen=True)
class ClipFeatures:
    """Frames of one clip: the segments of the clip itself, then its augmented copies.

    segments: what the device would classify, each (frames, coefficients); none if the gate
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
    """Computes features in ``jobs`` processes (None: one per core) and keeps them in ``folder``."""

    folder: Path
    jobs: int | None = None
    progress: Progress = silent

    def compute(
        self,
        clips: Sequence[Clip],
        recipe: Recipe,
        description: str = "features",
        noise: NoiseRecordings | None = None,
    ) -> list[ClipFeatures]:
        """Features of ``clips`` in their order, from the cache or computed into it.

        noise: makes the recipe's augmented copies, for training, some of them with this noise;
            None makes no copies.
        Raises AudioSourceError for a recording that cannot be read, RunError if the cache cannot
        be written.
        """
        work = self._work(clips, recipe, noise)
        with self.progress(description, len(work)) as step:
            if self._workers == 1 or len(work) < 8:
                return [_counted(_features(each), step) for each in work]
            # "spawn": a forked child of a program with native threads (TensorFlow) can hang
            with ProcessPoolExecutor(
                self._workers,
                mp_context=get_context("spawn"),
                initializer=threadpool_limits,
                initargs=(1,),
            ) as pool:
                return [_counted(each, step) for each in pool.map(_features, work, chunksize=8)]

    def estimate(
        self, clips: Sequence[Clip], recipe: Recipe, noise: NoiseRecordings | None, sample: int = 5
    ) -> Estimate:
        """Estimate the cost of ``compute`` from a ``sample`` of the clips; raises as it does."""
        chosen = clips[:: -(-len(clips) // sample)]
        first, *others = self._work([*chosen[:1], *chosen], recipe, noise)
        _features(first)  # loads the libraries, which is done once only
        start_s = time.monotonic()
        features = [_features(each) for each in others]
        share = len(clips) / len(chosen)
        wait_s = (time.monotonic() - start_s) * share / self._workers
        arrays = [array for each in features for array in (*each.segments, *each.copies)]
        durations_s = [len(clip.source.read()) / SAMPLE_RATE_HZ for clip in chosen]
        size_bytes = sum(array.nbytes for array in arrays) * share
        return Estimate(len(clips), sum(durations_s) * share, wait_s, size_bytes)

    @property
    def _workers(self) -> int:
        return self.jobs or os.cpu_count() or 1

    def _work(
        self, clips: Sequence[Clip], recipe: Recipe, noise: NoiseRecordings | None
    ) -> list["_Job"]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        front_end = recipe.front_end
        augmentation = None if noise is None else recipe.augmentation
        noise = noise or NoiseRecordings(())
        digest = noise.digest
        return [_Job(clip, front_end, augmentation, noise, digest, self.folder) for clip in clips]


@dataclass(frozen=True)
class _Job:
    clip: Clip
    front_end: MfccConfig | FeatureExtractor
    augmentation: Augmentation | None
    noise: NoiseRecordings
    noise_digest: str
    folder: Path


def _counted(features: ClipFeatures, step: Callable[[], None]) -> ClipFeatures:
    step()
    return features


def _features(job: _Job) -> ClipFeatures:
    content = job.clip.source.content()
    path = job.folder / f"{_key(job, content)}.npz"
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as stored:
                n = int(stored["n_segments"])
                arrays = [stored[str(index)] for index in range(len(stored.files) - 1)]
            return ClipFeatures(job.clip, tuple(arrays[:n]), tuple(arrays[n:]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass  # damaged by a power cut: computed again
    features = _compute(job)
    arrays = [*features.segments, *features.copies]
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            np.savez(
                file,
                n_segments=len(features.segments),
                **{str(index): array for index, array in enumerate(arrays)},
            )
        partial.replace(path)  # a killed run leaves no partial file under the final name
    except OSError as error:
        raise _unwritable(job.folder, error) from error
    return features


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(
        f"Features can't be stored in {folder} ({error.strerror}): make room, or name another "
        "folder with --cache."
    )


def _key(job: _Job, content: bytes) -> str:
    front_end = (
        {
            "gate": msgspec.to_builtins(GateConfig()),
            "detector": packaged_sha256(),
            "mfcc": msgspec.to_builtins(job.front_end),
        }
        if isinstance(job.front_end, MfccConfig)
        else job.front_end.key
    )
    parameters = {
        "format": FORMAT,
        **front_end,
        "augmentation": msgspec.to_builtins(job.augmentation),
        "noise": job.noise_digest,
        **({"alike": _alike(job)} if job.augmentation else {}),
    }
    digest = hashlib.sha256(msgspec.json.encode(parameters, order="sorted"))
    digest.update(content)
    return digest.hexdigest()[:40]


def _alike(job: _Job) -> str:
    """What decides how the copies of a clip are changed, beside their numbers."""
    clip = job.clip
    if job.augmentation and job.augmentation.alike == "speaker":
        return f"{clip.corpus}/{clip.speaker}"
    return clip.clip_id


def _segment_frames(front_end: MfccConfig | FeatureExtractor) -> Callable[[Samples], list[Frames]]:
    """From a recording to the frames of each of its segments."""
    if not isinstance(front_end, MfccConfig):
        return lambda samples: [front_end.compute(samples)]
    require_fitting(front_end)
    return lambda samples: [segment.frames.astype(np.float32) for segment in speech_of(samples)]


def _compute(job: _Job) -> ClipFeatures:
    frames_of = _segment_frames(job.front_end)
    samples = job.clip.source.read()
    segments = frames_of(samples)
    copies: list[Frames] = []
    if segments and job.augmentation is not None:
        transform = augmenter(job.augmentation, job.noise)
        for copy in range(job.augmentation.copies):
            seed = zlib.crc32(f"{_alike(job)}/{copy}".encode())
            found = frames_of(augmented(samples, transform, seed))
            copies.append(np.concatenate([segments[0][:0], *found]))
    return ClipFeatures(job.clip, tuple(segments), tuple(copies))
