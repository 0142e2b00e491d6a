"""Features of clips, cached: cut by the device's gate and computed by the device's MFCC.

Or by a reference system, which hears the whole clip: one segment of a fixed shape.

The cache's key is a hash of the recording's bytes and of every parameter that shapes the
frames, so that a changed clip, gate, MFCC or augmentation is computed anew and nothing else.
"""

import dataclasses
import hashlib
import os
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

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition.mfcc import Mfcc, MfccConfig
from undertone.recognition.speech_gate import GateConfig, SpeechGate, pymicro_vad_detector, segments
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.errors import RunError
from undertone_training.features.waveform_augmentation import augmented, augmenter
from undertone_training.recipe import Augmentation
from undertone_training.references.features import ReferenceFeatures

Front = MfccConfig | ReferenceFeatures
Frames = NDArray[np.float32]

FORMAT = 2
"""Raised when this module changes what it stores."""


@dataclass(frozen=True)
class ClipFeatures:
    """Frames of one clip: a list of segments, then the augmented copies of the whole.

    segments: what the device would classify, each (frames, coefficients); none where the
        gate heard no speech.
    copies: of each augmented copy that is heard, its segments' frames one after another.
    """

    clip: Clip
    segments: tuple[NDArray[np.float32], ...]
    copies: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class _Job:
    clip: Clip
    front: Front
    augmentation: Augmentation | None
    noise: NoiseRecordings
    noise_digest: str
    folder: Path


def prepare(
    clips: Sequence[Clip],
    front: Front,
    augmentation: Augmentation | None,
    noise: NoiseRecordings | None,
    folder: Path,
    jobs: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[ClipFeatures]:
    """Features of ``clips`` in their order, from the cache in ``folder`` or computed into it.

    augmentation None makes no copies (clips that are only tested); ``noise`` is for them and
    may be None.  ``progress`` is called after each clip.  Raises AudioSourceError for a
    recording that can't be read, RunError where the cache can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    noise = noise or NoiseRecordings(())
    digest = noise.digest
    work = [_Job(clip, front, augmentation, noise, digest, folder) for clip in clips]
    results = []
    workers = jobs or os.cpu_count() or 1
    if workers == 1 or len(work) < 8:
        for job in work:
            results.append(_features(job))
            progress()
        return results
    # "spawn": a forked child of a program with native threads (TensorFlow) can hang
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        for result in pool.map(_features, work, chunksize=8):
            results.append(result)
            progress()
    return results


def speech_of(samples: Samples) -> list[tuple[int, int]]:
    """First and end sample of each segment that the device's gate lets through."""
    gate = SpeechGate(detector=pymicro_vad_detector())
    return [
        (start := round(segment.time_s * SAMPLE_RATE_HZ), start + len(segment.samples))
        for segment in segments([Block(samples, 0.0)], gate)
    ]


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
            pass  # damaged by a power cut: made anew
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
        partial.replace(path)  # a killed run leaves no half file under the final name
    except OSError as error:
        raise _unwritable(job.folder, error) from error
    return features


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(
        f"Features can't be kept in {folder} ({error.strerror}): make room, or name another "
        "folder with --cache."
    )


def _key(job: _Job, content: bytes) -> str:
    front = (
        {
            "gate": dataclasses.asdict(GateConfig()),
            "mfcc": msgspec.to_builtins(job.front),
        }
        if isinstance(job.front, MfccConfig)
        else job.front.key
    )
    parameters = {
        "format": FORMAT,
        **front,
        "augmentation": msgspec.to_builtins(job.augmentation),
        "noise": job.noise_digest,
    }
    digest = hashlib.sha256(msgspec.json.encode(parameters, order="sorted"))
    digest.update(content)
    return digest.hexdigest()[:40]


def _hearing(front: Front) -> Callable[[Samples], list[Frames]]:
    """From a recording to the frames of each of its segments."""
    if isinstance(front, ReferenceFeatures):
        return lambda samples: [front.compute(samples)]
    mfcc = Mfcc(front)
    return lambda samples: [
        mfcc.compute(samples[start:end]).astype(np.float32) for start, end in speech_of(samples)
    ]


def _compute(job: _Job) -> ClipFeatures:
    hear = _hearing(job.front)
    samples = job.clip.source.read()
    segments = hear(samples)
    copies: list[Frames] = []
    if segments and job.augmentation is not None:
        transform = augmenter(job.augmentation, job.noise)
        for copy in range(job.augmentation.copies):
            seed = zlib.crc32(f"{job.clip.clip_id}/{copy}".encode())
            if heard := hear(augmented(samples, transform, seed)):  # else the device would not
                copies.append(np.concatenate(heard))
    return ClipFeatures(job.clip, tuple(segments), tuple(copies))
