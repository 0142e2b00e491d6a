"""Classifies many recordings, in this process or in several, and keeps their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from undertone.audio.files import read_blocks
from undertone.errors import AudioSourceError
from undertone.files.voices import KnownVoice
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.interpreter import RuntimeName
from undertone.recognition.pipeline import FileVerdict, classify, voice_in
from undertone.recognition.voice import Voice

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

_AHEAD = 16
"""Files per worker that may be queued or finished while an earlier file takes long."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """The result for one file: its verdict, or a sentence that says why there is none.

    warning: a sentence that says what is wrong with the known voice for this file.
    """

    path: Path
    verdict: FileVerdict | None
    error: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceResult:
    """What one file tells of its speaker, None without speech; or a sentence that says why not."""

    path: Path
    voice: Voice | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What any process needs to create the classifier; ``threshold``: None means the bundle's."""

    bundle: Path
    runtime: RuntimeName = "auto"
    threads: int = 1
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class _Knowledge:
    """What is known of the voice in a file, and what the file alone tells, if that is known."""

    voice: Voice | None
    alone: Voice | None


def classify_files(
    paths: Iterable[Path],
    config: ClassifierConfig,
    jobs: int = 1,
    known: KnownVoice | None = None,
) -> Iterator[FileResult]:
    """Classify every file, ``jobs`` at a time; results come in the order of ``paths``.

    known: the voice in all of them.  A file that it was learnt from is classified with what the
        others tell.

    A file that can't be read gives a result with an error.  Raises BundleError,
    RuntimeMissingError, and WorkerError if a process was killed.
    """
    tasks = (
        (path, config, known and _Knowledge(known.without(path), known.alone(path)))
        for path in paths
    )
    return _in_order(_classify, tasks, jobs)


def voices_in(
    paths: Iterable[Path], config: ClassifierConfig, jobs: int = 1
) -> Iterator[VoiceResult]:
    """What each file alone tells of its speaker; otherwise as :func:`classify_files`."""
    return _in_order(_voice_in, ((path, config) for path in paths), jobs)


def _in_order(
    task: Callable[..., T], arguments: Iterable[tuple[Any, ...]], jobs: int
) -> Iterator[T]:
    """What ``task`` returns for each of ``arguments``, in their order."""
    if jobs == 1:
        for each in arguments:
            yield task(*each)
        return
    from undertone.files.workers import Workers  # only if needed: the import takes 30 ms

    waiting: deque[Future[T]] = deque()
    with Workers(jobs) as workers:
        for each in arguments:
            waiting.append(workers.submit(task, *each))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _classify(path: Path, config: ClassifierConfig, known: _Knowledge | None) -> FileResult:
    classifier = _classifier(config.bundle, config.runtime, config.threads)
    voice = known.voice if known else None
    try:
        verdict = classify(read_blocks(path), classifier, config.threshold, voice)
        warning = _warning(path, classifier, known) if known and verdict.segments else None
    except AudioSourceError as error:
        return FileResult(path, None, str(error))
    return FileResult(path, verdict, warning=warning)


def _warning(path: Path, classifier: Classifier, known: _Knowledge) -> str | None:
    if known.voice is None:
        return f"{path} is the only recording of the voice: nothing is known for this file."
    distance = classifier.manifest.voice_distance
    alone = distance and (known.alone or voice_in(read_blocks(path), classifier))
    if distance and alone and distance.between(alone.mean, known.voice.mean) >= distance.far:
        return (
            f"{path} sounds unlike the known voice, so it is probably of another speaker or "
            "microphone: classify it without --voice."
        )
    return None


def _voice_in(path: Path, config: ClassifierConfig) -> VoiceResult:
    classifier = _classifier(config.bundle, config.runtime, config.threads)
    try:
        return VoiceResult(path, voice_in(read_blocks(path), classifier))
    except AudioSourceError as error:
        return VoiceResult(path, None, str(error))


@cache
def _classifier(folder: Path, runtime: RuntimeName, threads: int) -> Classifier:
    """The classifier, shared by all files of a process."""
    return Classifier(bundle.load(folder), runtime, threads)
