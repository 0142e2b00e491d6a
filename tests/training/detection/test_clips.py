"""Which clips train the speech detector, and which measure the gate."""

from pathlib import Path

import msgspec
import pytest

from undertone_training.corpora import scan
from undertone_training.detection import clips as voices
from undertone_training.errors import CorpusError


def speakers(clips: dict) -> set[tuple[str, str]]:
    return {(clip.corpus, clip.speaker) for each in clips.values() for clip in each}


def test_nobody_who_chooses_the_thresholds_trains_the_detector(corpora: Path) -> None:
    clips = scan(corpora).clips
    trained, chosen = voices.for_training(clips), voices.for_choosing(clips)
    assert speakers(trained) == {("cremad", "1001"), ("nemo", "EB0")}
    assert speakers(chosen) == {("cremad", "1061"), ("nemo", "TP0")}
    assert {corpus for corpus, _ in speakers(trained) | speakers(chosen)} == set(voices.CORPORA)
    assert {*voices.for_babble(clips)} == {clip for each in chosen.values() for clip in each}
    assert voices.for_measuring(clips, "choosing") == chosen


def test_ravdess_measures_the_gate_but_never_trains_it(corpora: Path) -> None:
    clips = scan(corpora / "ravdess").clips
    assert voices.for_measuring(clips, "ravdess") == {"ravdess": list(clips)}
    assert voices.for_babble(clips) == []
    for choose in (voices.for_training, voices.for_choosing):
        with pytest.raises(CorpusError, match="no clips of cremad or nemo"):
            choose(clips)


def test_songs_of_ravdess_do_not_measure_the_gate(corpora: Path) -> None:
    (first, *_) = scan(corpora / "ravdess").clips
    song = msgspec.structs.replace(first, channel="song")
    with pytest.raises(CorpusError, match="no clips of ravdess"):
        voices.for_measuring([song], "ravdess")
