"""Clips in little memory, and which of them a recipe's labels leave."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from undertone.emotions import EMOTIONS
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.clips import ById, Clips, with_labels

CLIPS = [
    Clip(
        corpus="mine",
        clip_id=f"{emotion}-{number}",
        speaker="anna",
        emotion=emotion,
        source=AudioRef(Path(f"{emotion}-{number}.wav")),
    )
    for number in range(2)
    for emotion in EMOTIONS
]
WITHOUT_CALM = tuple(emotion for emotion in EMOTIONS if emotion != "calm")

names = st.binary(min_size=1, max_size=9).map(os.fsdecode)
names = names.filter(lambda name: not {"\0", "/"} & {*name} and name not in (".", ".."))
files = st.lists(names, min_size=1, max_size=3).map(lambda parts: Path(*parts))
sources = st.builds(AudioRef, files | files.map(Path("/").joinpath)) | st.builds(
    AudioRef, files, st.lists(names, min_size=1, max_size=3).map("/".join)
)
clips_of_all_kinds = st.builds(
    Clip,
    corpus=names,
    clip_id=names,
    speaker=names,
    sex=st.sampled_from([None, "male", "female"]),
    emotion=st.sampled_from(EMOTIONS),
    channel=st.sampled_from(["speech", "song"]),
    intensity=st.sampled_from([None, "normal", "strong"]),
    statement=st.none() | names,
    repetition=st.none() | st.integers(1, 2),
    source=sources,
)


@given(kept=st.lists(clips_of_all_kinds, max_size=8))
def test_clips_come_out_as_they_went_in(kept: list[Clip]) -> None:
    """Of files and archives, with names that are no text, too."""
    clips = Clips(kept)
    assert list(clips) == [clips[number] for number in range(len(kept))] == kept
    assert list(clips[1:5:2]) == kept[1:5:2]
    assert list(clips[::-1]) == kept[::-1]
    if kept:
        assert clips[-1] == kept[-1]
    with pytest.raises(IndexError):
        clips[len(kept)]


def test_a_clip_takes_little_memory() -> None:
    n = 20_000

    def many() -> Iterator[Clip]:
        for number in range(n):
            yield Clip(
                corpus="mine",
                clip_id=f"mine/anna/{number:07}.wav",
                speaker="anna",
                emotion=EMOTIONS[number % 8],
                source=AudioRef(Path(f"/a/long/way/to/the/corpora/own/mine/anna/{number:07}.wav")),
            )

    clips = Clips(many())
    assert len(clips) == n
    assert len(pickle.dumps(clips)) / n < 80  # a clip as an object takes 700 bytes


def test_clips_are_found_by_their_ids() -> None:
    by_id = ById(Clips(CLIPS))
    assert dict(by_id) == {clip.clip_id: clip for clip in CLIPS}
    assert "anna" not in by_id


def test_calm_is_neutral_where_there_is_no_such_label() -> None:
    found = {clip.clip_id: clip.emotion for clip in with_labels(CLIPS, WITHOUT_CALM)}
    assert len(found) == len(CLIPS)
    assert found.pop("calm-0") == found.pop("calm-1") == "neutral"
    assert all(clip_id.startswith(emotion) for clip_id, emotion in found.items())


def test_all_emotions_leave_the_clips_as_they_are() -> None:
    assert list(with_labels(CLIPS, EMOTIONS)) == CLIPS


def test_calm_goes_where_neutral_is_no_label_either() -> None:
    assert {clip.emotion for clip in with_labels(CLIPS, ("happy", "sad"))} == {"happy", "sad"}
    assert {clip.emotion for clip in with_labels(CLIPS, ("calm", "sad"))} == {"calm", "sad"}


@given(labels=st.lists(st.sampled_from(EMOTIONS), unique=True))
def test_there_is_no_other_label_and_nothing_else_changes(labels: list[str]) -> None:
    found = with_labels(CLIPS, labels)
    assert {clip.emotion for clip in found} == set(labels)
    assert list(with_labels(found, labels)) == list(found)
    by_id = {clip.clip_id: clip for clip in CLIPS}
    kept = [clip for clip in CLIPS if clip.emotion in labels]
    if "neutral" in labels and "calm" not in labels:
        kept = [clip for clip in CLIPS if clip.emotion in (*labels, "calm")]
    assert [clip.clip_id for clip in found] == [clip.clip_id for clip in kept]  # and their order
    for clip in found:
        assert (clip.corpus, clip.speaker, clip.source) == (
            by_id[clip.clip_id].corpus, "anna", by_id[clip.clip_id].source,
        )  # fmt: skip
