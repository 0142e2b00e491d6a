"""Finds the clips of every corpus below a folder, by their published names."""

import os
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path, PurePosixPath

from undertone.audio.files import AUDIO_SUFFIXES
from undertone_training import object_storage
from undertone_training.corpora import (
    ased,
    casia,
    cremad,
    emodb,
    emovo,
    nemo,
    noise,
    own,
    ravdess,
    savee,
    tess,
    turev,
    urdu,
)
from undertone_training.corpora.clip import AudioRef, Clip, Corpus, UnusableNameError
from undertone_training.corpora.clips import Clips
from undertone_training.errors import CorpusError
from undertone_training.lazy import ordered

CORPORA: dict[str, Corpus] = {
    module.CORPUS.name: module.CORPUS
    for module in (
        ravdess, nemo, tess, emodb, cremad, savee, emovo, urdu, turev, casia, ased,
    )
}  # fmt: skip

_COMPANIONS = frozenset().union(*(corpus.companions for corpus in CORPORA.values()))
_DOCUMENTS = ("readme", "license", "licence")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was left out, and why; the reason is worded the same for all of its kind."""

    source: AudioRef
    reason: str

    def __str__(self) -> str:
        """The file and the reason."""
        return f"{self.source}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Scan:
    """The clips that were found, ordered by corpus and clip_id, and what was left out."""

    clips: Sequence[Clip]
    problems: tuple[Problem, ...]

    def complaints(self) -> list[str]:
        """A line for each kind of problem: the first file, how many more, and why."""
        lines = []
        by_reason = sorted(self.problems, key=lambda problem: problem.reason)
        for _, group in groupby(by_reason, key=lambda problem: problem.reason):
            first, *others = group
            more = f" (and {len(others)} more)" if others else ""
            lines.append(f"{first.source}{more}: {first.reason}")
        return lines


def unknown_corpus(name: str, there: Iterable[str]) -> str:
    """A sentence for a corpus that is neither a published one nor one of those ``there``."""
    known = dict.fromkeys([*CORPORA, *sorted(there)])
    return f"There is no corpus called {name}: known are {', '.join(known)}."


def scan(folder: Path, corpora: Collection[str] | None = None) -> Scan:
    """Find the clips of ``corpora`` (by default of every one) in a folder or zip archive.

    Folders and the zip archives in them are searched. Of two copies of a clip, a file takes
    precedence over an archive, one in a folder over one in a folder inside it, otherwise the first
    by path. Unknown files, second copies and names with impossible codes are listed in
    ``problems``; see ``own`` for one's own recordings.

    Raises CorpusError if ``folder`` does not exist, if a name in ``corpora`` is unknown, if one of
    ``corpora`` (if none are given, every corpus) has no clip there, or for a mistake in one's own.
    """
    object_storage.expect(folder)
    if not folder.exists():
        raise CorpusError(f"There is no folder {folder}: name the one that contains the corpora.")
    places = own.find(folder, CORPORA)
    order = [*CORPORA, *sorted(places)]
    unknown = set(corpora or ()).difference(order)
    if unknown:
        raise CorpusError(unknown_corpus(sorted(unknown)[0], places))
    problems: list[Problem] = []
    wanted = set(corpora or order)
    clips = Clips(
        chain(
            _published(folder, wanted, problems),
            *(_own(name, place, problems) for name, place in places.items() if name in wanted),
        )
    )
    missing = sorted(set(corpora) - {clip.corpus for clip in clips}) if corpora else []
    if missing or not clips:
        raise CorpusError(
            f"There are no clips of {missing[0] if missing else 'a known corpus'} in {folder}: "
            f"name the folder that contains the corpora under their published file names."
        )
    return Scan(
        ordered(clips, lambda each: (order.index(each.corpus), each.clip_id)), tuple(problems)
    )


def _published(folder: Path, wanted: Collection[str], problems: list[Problem]) -> Iterator[Clip]:
    """The clips of the ``wanted`` corpora, known by their published names, each once."""
    seen: set[tuple[str, str]] = set()
    for source in _sources(folder, problems):
        try:
            clip = _recognise(source)
        except UnusableNameError as error:
            problems.append(Problem(source, str(error)))
            continue
        if clip.corpus not in wanted:
            continue
        if (clip.corpus, clip.clip_id) in seen:
            problems.append(Problem(source, "a second copy of a clip"))
            continue
        seen.add((clip.corpus, clip.clip_id))
        yield clip


def _own(name: str, place: Path, problems: list[Problem]) -> Iterator[Clip]:
    """The clips of one's own corpus; raises CorpusError."""
    if place.suffix == ".csv":
        return own.from_table(name, place)
    return own.from_folder(name, place, _recordings(place, problems))


def _recordings(place: Path, problems: list[Problem]) -> Iterator[Path]:
    """Every audio file below ``place``."""
    for path in _walk(place, problems):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            yield path
        elif not _is_document(path.name):
            problems.append(Problem(AudioRef(path), "not an audio file"))


def _recognise(source: AudioRef) -> Clip:
    """The clip with this file's name; raises UnusableNameError if it is not the name of a clip."""
    if source.name.suffix.lower() not in AUDIO_SUFFIXES:
        raise UnusableNameError("not an audio file")
    for corpus in CORPORA.values():
        clip = corpus.parse(source)
        if clip:
            return clip
    raise UnusableNameError("a name of no known corpus")


def _sources(folder: Path, problems: list[Problem]) -> Iterator[AudioRef]:
    """Every file below ``folder``, then every member of its archives, that may be a recording."""
    archives = []
    for path in [folder] if folder.is_file() else _walk(folder, problems):
        if path.suffix.lower() == ".zip":
            archives.append(path)
        elif not _is_document(path.name):
            yield AudioRef(path)
    for path in archives:
        object_storage.fetch([path])
        try:
            with zipfile.ZipFile(path) as archive:
                names = sorted(archive.namelist())
        except (zipfile.BadZipFile, OSError):
            problems.append(Problem(AudioRef(path), "not a readable zip archive"))
            continue
        for name in names:
            parts = PurePosixPath(name).parts
            hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
            if parts and not (name.endswith("/") or hidden or _is_document(parts[-1])):
                yield AudioRef(path, name)


def _walk(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """Every visible file below ``folder``, following links to folders, but no folder twice.

    By name, those of a folder before those of the folders in it.
    """
    seen: set[str] = set()

    def closed(error: OSError) -> None:
        problems.append(Problem(AudioRef(Path(error.filename)), "a folder that can't be opened"))

    for parent, folders, names in os.walk(folder, onerror=closed, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if parent == str(folder):  # neither is a published corpus
            folders[:] = [name for name in folders if name not in (noise.FOLDER, own.FOLDER)]
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _is_document(name: str) -> bool:
    """Whether a file of this name accompanies a corpus without being a recording."""
    return name in _COMPANIONS or name.lower().startswith(_DOCUMENTS)
