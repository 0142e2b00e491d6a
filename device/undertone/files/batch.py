"""Many recordings, one after another or in several processes: a result each, in their order."""

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
"""Files that may wait or be done for each worker while an earlier one takes its time."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file: its verdict, or the sentence why there is none."""

    path: Path
    verdict: FileVerdict | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Everything needed to classify a recording, in any process."""

    bundle: Path
    runtime: RuntimeName = "auto"
    threads: int = 1
    threshold: float | None = None


def classify_files(paths: Iterable[Path], judge: Judge, jobs: int = 1) -> Iterator[FileResult]:
    """Judge every file, ``jobs`` at a time; results come in the order of ``paths``.

    A file that can't be read is a result like any other.  Raises BundleError,
    RuntimeMissingError, and WorkerError where a process was killed.
    """
    if jobs == 1:
        for path in paths:
            yield _classify(path, judge)
        return
    from undertone.files.workers import Workers  # not for one file: it takes 30 ms to import

    waiting: deque[Future[FileResult]] = deque()
    with Workers(jobs) as workers:
        for path in paths:
            waiting.append(workers.submit(_classify, path, judge))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _classify(path: Path, judge: Judge) -> FileResult:
    classifier = _classifier(judge.bundle, judge.runtime, judge.threads)
    try:
        return FileResult(path, classify(read_blocks(path), classifier, judge.threshold))
    except AudioSourceError as error:
        return FileResult(path, None, str(error))


@cache
def _classifier(folder: Path, runtime: RuntimeName, threads: int) -> Classifier:
    """One for all files of a process."""
    return Classifier(bundle.load(folder), runtime, threads)
