"""Classifies many recordings, in this process or in several, and keeps their order."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from undertone.audio.files import read_blocks
from undertone.errors import AudioSourceError
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.interpreter import RuntimeName
from undertone.recognition.pipeline import FileVerdict, classify

if TYPE_CHECKING:
    from concurrent.futures import Future

_AHEAD = 16
"""Files per worker that may be queued or finished while an earlier file takes long."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """The result for one file: its verdict, or a sentence that says why there is none."""

    path: Path
    verdict: FileVerdict | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What any process needs to create the classifier; ``threshold``: None means the bundle's."""

    bundle: Path
    runtime: RuntimeName = "auto"
    threads: int = 1
    threshold: float | None = None


def classify_files(
    paths: Iterable[Path], config: ClassifierConfig, jobs: int = 1
) -> Iterator[FileResult]:
    """Classify every file, ``jobs`` at a time; results come in the order of ``paths``.

    A file that can't be read gives a result with an error.  Raises BundleError,
    RuntimeMissingError, and WorkerError if a process was killed.
    """
    if jobs == 1:
        for path in paths:
            yield _classify(path, config)
        return
    from undertone.files.workers import Workers  # only if needed: the import takes 30 ms

    waiting: deque[Future[FileResult]] = deque()
    with Workers(jobs) as workers:
        for path in paths:
            waiting.append(workers.submit(_classify, path, config))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _classify(path: Path, config: ClassifierConfig) -> FileResult:
    classifier = _classifier(config.bundle, config.runtime, config.threads)
    try:
        return FileResult(path, classify(read_blocks(path), classifier, config.threshold))
    except AudioSourceError as error:
        return FileResult(path, None, str(error))


@cache
def _classifier(folder: Path, runtime: RuntimeName, threads: int) -> Classifier:
    """The classifier, shared by all files of a process."""
    return Classifier(bundle.load(folder), runtime, threads)
