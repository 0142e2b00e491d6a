"""Classifies an upload with the library, as ``undertone classify`` does with a file."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from undertone.audio.block import Block
from undertone.audio.files import read_sound
from undertone.errors import AudioSourceError
from undertone.files.batch import FileResult
from undertone.recognition.pipeline import ClassifiedSegment, classify
from undertone.web.models import Model
from undertone.web.preview import Preview, PreviewBuilder

LONGEST_S = 4 * 3600.0
"""A few megabytes of compressed silence can last for months."""

_BLOCK_S = 1.0
"""Longer blocks than from a microphone take half the time, and latency does not matter here."""


@dataclass(frozen=True)
class ClassifiedUpload:
    """The result of a recording.

    preview: None if it can't be read.  is_too_long: whether that is why there is an error.
    """

    result: FileResult
    preview: Preview | None = None
    is_too_long: bool = False


class _TooLongError(AudioSourceError):
    """The recording takes longer than may be classified here."""


OnProgress = Callable[[float, Sequence[ClassifiedSegment]], None]
"""Called with the fraction of a recording that is done, 0 to 1, and its segments so far."""


def classify_upload(
    name: str,
    data: bytes,
    model: Model,
    threshold: float | None,
    on_progress: OnProgress,
    longest_s: float = LONGEST_S,
) -> ClassifiedUpload:
    """Classify the audio file in ``data``; ``name`` is only shown, never used as a path.

    A file that is not audio, or too long, gives a result with an error.
    """
    builder = PreviewBuilder(model.bundle.manifest)
    with _file_in_memory(data) as file:

        def watch(block: Block, segments: Sequence[ClassifiedSegment]) -> None:
            if block.time_s > longest_s:
                raise _TooLongError(
                    f"{name} is longer than {longest_s / 3600:g} hours: shorten it, or run "
                    "`undertone classify` on it."
                )
            builder.push(block.samples)
            done = os.lseek(file.fileno(), 0, os.SEEK_CUR) / len(data)
            on_progress(min(1.0, done), segments)

        try:
            blocks = read_sound(file, name, _BLOCK_S)
            verdict = classify(blocks, model.classifier, threshold, watch=watch)
        except AudioSourceError as error:
            failed = FileResult(Path(name), None, str(error))
            return ClassifiedUpload(failed, is_too_long=isinstance(error, _TooLongError))
    return ClassifiedUpload(FileResult(Path(name), verdict), builder.finish())


@contextmanager
def _file_in_memory(data: bytes) -> Iterator[IO[bytes]]:
    """A file with a descriptor, which libsndfile needs, that is on no disk."""
    with os.fdopen(os.memfd_create("upload"), "w+b") as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield file
