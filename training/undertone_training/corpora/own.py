"""Recordings of one's own, in ``own`` below the folder of the corpora, without any code.

A folder ``own/NAME`` is a corpus NAME with its recordings in ``SPEAKER/EMOTION/``.  Or the table
``own/NAME.csv`` lists them, in columns called path (as seen from the table), speaker and emotion.
"""

import csv
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from undertone.emotions import EMOTIONS
from undertone.support.suggestion import suggestion
from undertone_training import object_storage
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.errors import CorpusError

FOLDER = "own"
"""The folder of these corpora, inside the folder of all corpora."""

COLUMNS = ("path", "speaker", "emotion")

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def find(data: Path, taken: Collection[str]) -> dict[str, Path]:
    """The folder or table of each corpus, by its name; a table precedes a folder of its name.

    taken: names of the published corpora, which none may have.  Raises CorpusError for an unusable
    name.
    """
    places: dict[str, Path] = {}
    try:
        inside = list((data / FOLDER).iterdir()) if (data / FOLDER).is_dir() else []
    except OSError as error:
        raise CorpusError(f"{data / FOLDER} can't be read: {error.strerror}.") from error
    for path in sorted(inside, key=lambda path: (path.suffix != ".csv", path.name)):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix == ".csv"):
            continue
        name = path.name.removesuffix(".csv")
        if name in taken:
            raise CorpusError(f"{path} has the name of a published corpus: give it another name.")
        if not _NAME.fullmatch(name):
            raise CorpusError(
                f"{path} can't give a corpus its name: rename it, with lower-case letters, digits, "
                "'_' and '-' only."
            )
        places.setdefault(name, path)
    return places


def from_folder(corpus: str, folder: Path, recordings: Iterable[Path]) -> Iterator[Clip]:
    """The clips among ``recordings``, audio files below ``folder``; raises CorpusError."""
    found = False
    for path in recordings:
        inside = path.relative_to(folder)
        if len(inside.parts) < 3:
            raise CorpusError(
                f"{path} is in no folder of a speaker and an emotion: move it to {folder}/SPEAKER/"
                "EMOTION/."
            )
        speaker, emotion, *_ = inside.parts
        found = True
        yield _clip(corpus, inside.as_posix(), speaker, emotion, path, str(path))
    if not found:
        raise CorpusError(
            f"There is no recording in {folder}: put some into {folder}/SPEAKER/EMOTION/, or "
            "remove the folder."
        )


def from_table(corpus: str, path: Path) -> Iterator[Clip]:
    """The clips that a table lists; raises CorpusError, with the line, for what can't be used."""
    first_lines: dict[str, int] = {}
    object_storage.fetch([path])
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise CorpusError(
                    f"{path} has no column {missing[0]}: its first line must name the columns "
                    f"{','.join(COLUMNS)}, with commas between them."
                )
            for row in rows:
                at = f"{path}, line {rows.line_num}"
                written, speaker, emotion = ((row[name] or "").strip() for name in COLUMNS)
                if not (written and speaker and emotion):
                    raise CorpusError(f"{at} lacks a path, a speaker or an emotion: complete it.")
                recording = path.parent / written
                if not os.path.isfile(recording):  # noqa: PTH113  False for what can be no name
                    raise CorpusError(
                        f"{at}: there is no file {recording}: paths are as seen from the folder of "
                        "the table."
                    )
                first = first_lines.setdefault(os.path.realpath(recording), rows.line_num)
                if first != rows.line_num:
                    raise CorpusError(f"{at} names the file of line {first} again: remove one.")
                yield _clip(corpus, written, speaker, emotion, recording, at)
    except OSError as error:
        raise CorpusError(f"{path} can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            f"{path} is no table that can be read ({error}): save it as CSV in UTF-8."
        ) from error
    if not first_lines:
        raise CorpusError(f"{path} lists no recording: add lines, or remove the table.")


def _clip(corpus: str, name: str, speaker: str, emotion: str, recording: Path, where: str) -> Clip:
    label = emotion.lower()
    if label not in EMOTIONS:
        hint = suggestion(label, EMOTIONS, f"there are {', '.join(EMOTIONS)}.")
        raise CorpusError(f"{where}: there is no emotion {emotion!r}: {hint}")
    return Clip(
        source=AudioRef(recording),
        corpus=corpus,
        clip_id=f"{corpus}/{name}",
        speaker=speaker,
        emotion=label,
    )
