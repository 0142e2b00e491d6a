"""An upload judged by the library, as ``undertone classify`` judges a file."""

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
"""A few megabytes of silence, well packed, are months of it."""

_BLOCK_S = 1.0
"""Read at a time: nobody waits for what is in it, and an hour takes half as long."""


@dataclass(frozen=True)
class Heard:
    """What became of a recording, and its picture where it could be read."""

    result: FileResult
    sketch: Preview | None = None


Told = Callable[[float, Sequence[ClassifiedSegment]], None]
"""Told how much of a recording is done, 0 to 1, and its segments so far."""


def judge(
    name: str,
    data: bytes,
    model: Model,
    threshold: float | None,
    told: Told,
    longest_s: float = LONGEST_S,
) -> Heard:
    """Judge the audio file in ``data``; ``name`` is what its owner calls it, and no path of ours.

    What is no sound, or too long, is a result like any other.
    """
    sketcher = PreviewBuilder(model.bundle.manifest)
    with _file_in_memory(data) as file:

        def watch(block: Block, segments: Sequence[ClassifiedSegment]) -> None:
            if block.time_s > longest_s:
                raise AudioSourceError(
                    f"{name} is longer than {longest_s / 3600:g} hours: cut it, or run "
                    "`undertone classify` on it."
                )
            sketcher.push(block.samples)
            done = os.lseek(file.fileno(), 0, os.SEEK_CUR) / len(data)
            told(min(1.0, done), segments)

        try:
            blocks = read_sound(file, name, _BLOCK_S)
            verdict = classify(blocks, model.classifier, threshold, watch)
        except AudioSourceError as error:
            return Heard(FileResult(Path(name), None, str(error)))
    return Heard(FileResult(Path(name), verdict), sketcher.finish())


@contextmanager
def _file_in_memory(data: bytes) -> Iterator[IO[bytes]]:
    """A file with a descriptor, which libsndfile wants, and no place on any disk."""
    with os.fdopen(os.memfd_create("upload"), "w+b") as file:
        file.write(data)
        file.flush()
        file.seek(0)
        yield file
