"""Which clips a recipe's labels leave."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from undertone.emotions import EMOTIONS
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.clips import with_labels

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
