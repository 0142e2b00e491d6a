"""Many clips in little memory."""

import os
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from msgspec.structs import replace

from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.lazy import Lazy, mapped, where


class Clips(Sequence[Clip]):
    """Clips, each of which is made when it is asked for.

    What many have in common is kept once; the ids and the names of the files are in one buffer. A
    clip takes some 100 bytes, and as an object a kilobyte.
    """

    def __init__(self, clips: Iterable[Clip] = ()) -> None:
        """Keep what ``clips`` yields."""
        self._common: list[tuple[Any, ...]] = []
        self._voices, self._labels = array("I"), array("I")
        self._names, self._ends = bytearray(), array("Q", [0])
        numbers: dict[tuple[Any, ...], int] = {}

        def number(common: tuple[Any, ...]) -> int:
            if common not in numbers:
                numbers[common] = len(self._common)
                self._common.append(common)
            return numbers[common]

        for clip in clips:
            path, member = os.fspath(clip.source.path), clip.source.member
            place, name = os.path.split(path) if member is None else (path, member)
            voice = (clip.corpus, clip.speaker, clip.sex, place, member is not None)
            self._voices.append(number(voice))
            label = (clip.emotion, clip.channel, clip.intensity, clip.statement, clip.repetition)
            self._labels.append(number(label))
            self._names += f"{clip.clip_id}\0{name}".encode("utf-8", "surrogatepass")
            self._ends.append(len(self._names))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._voices)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Clip]: ...

    def __getitem__(self, index: int | slice) -> Clip | Sequence[Clip]:
        """One clip, or a sequence of some, which are not made yet."""
        if isinstance(index, slice):
            return Lazy(self.__getitem__, range(len(self))[index])
        index = range(len(self))[index]
        names = self._names[self._ends[index] : self._ends[index + 1]]
        clip_id, name = names.decode("utf-8", "surrogatepass").split("\0")
        corpus, speaker, sex, place, in_archive = self._common[self._voices[index]]
        emotion, channel, intensity, statement, repetition = self._common[self._labels[index]]
        return Clip(
            corpus=corpus,
            clip_id=clip_id,
            speaker=speaker,
            sex=sex,
            emotion=emotion,
            channel=channel,
            intensity=intensity,
            statement=statement,
            repetition=repetition,
            source=AudioRef(Path(place), name) if in_archive else AudioRef(Path(place, name)),
        )


class ById(Mapping[str, Clip]):
    """Clips by their ids."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        """Of ``clips``."""
        self._clips = clips
        self._numbers = {clip.clip_id: number for number, clip in enumerate(clips)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        """The ids."""
        return iter(self._numbers)

    def __getitem__(self, clip_id: str) -> Clip:
        """The clip with this id; raises KeyError."""
        return self._clips[self._numbers[clip_id]]


def with_labels(clips: Sequence[Clip], labels: Collection[str]) -> Sequence[Clip]:
    """The clips whose emotion is one of ``labels``; calm ones count as neutral without calm."""

    other = {emotion: COUNTED_AS[emotion] for emotion in COUNTED_AS.keys() - {*labels}}

    def counted(clip: Clip) -> Clip:
        return replace(clip, emotion=other[clip.emotion]) if clip.emotion in other else clip

    return where(mapped(counted, clips) if other else clips, lambda clip: clip.emotion in labels)


COUNTED_AS = {"calm": "neutral"}
"""Only RAVDESS has calm voices, so that a network can tell them from neutral ones by the studio."""
