"""The protocol ``known-voice``: which other clips become known before a clip is tested."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from miniature import write
from msgspec import structs

from undertone import samples
from undertone.audio.block import Block
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import classify, voice_in
from undertone.recognition.voice import together
from undertone_training.corpora import Clip, scan
from undertone_training.evaluation.known_voice import (
    AMOUNTS_S,
    drawn,
    known_voice,
    mostly_neutral,
    notes_on,
)


def knowing_voices() -> Classifier:
    """Of a packaged bundle, as if its network knew voices."""
    packaged = bundle.load("ravdess8-tiny")
    manifest = packaged.manifest
    normalization = structs.replace(manifest.normalization, voice_prior_frames=200.0)
    return Classifier(
        replace(packaged, manifest=structs.replace(manifest, normalization=normalization))
    )


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Ten clips of anna of 1 s each, whose samples tell their number, and one of bo."""
    for number in range(10):
        sound = np.full(16_000, number + 1, np.int16)
        write(tmp_path / f"own/x/anna/{('sad', 'calm')[number % 2]}/{number}.wav", sound)
    write(tmp_path / "own/x/bo/sad/0.wav", np.full(16_000, 99, np.int16))
    return list(scan(tmp_path).clips)


def number_of(clip: Clip) -> int:
    return int(clip.source.read()[0])


@pytest.mark.parametrize(("seconds", "expected"), [(0, 0), (0.5, 1), (1, 1), (5, 5), (60, 9)])
def test_recordings_are_drawn_until_there_is_enough_or_no_more(
    clips: list[Clip], seconds: float, expected: int
) -> None:
    anna = [clip for clip in clips if clip.speaker == "anna"]
    for tested in anna:
        numbers = [number_of(other) for other in drawn(tested, anna, seconds)]
        assert len(numbers) == len(set(numbers)) == expected
        assert number_of(tested) not in numbers
        assert numbers == [number_of(other) for other in drawn(tested, anna[::-1], seconds)]


def test_each_clip_has_a_draw_of_its_own(clips: list[Clip]) -> None:
    anna = [clip for clip in clips if clip.speaker == "anna"]
    draws = {tuple(number_of(other) for other in drawn(tested, anna, 5)) for tested in anna}
    assert len(draws) > 5


def test_every_amount_is_known_and_only_of_the_same_speaker(tmp_path: Path) -> None:
    sounds = list(samples.clips()[:3])
    for index, path in enumerate(sounds):
        for speaker in ("anna", "bo"):
            place = tmp_path / f"own/x/{speaker}/sad/{index}.flac"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    clips = list(scan(tmp_path).clips)
    tested = [clip for clip in clips if clip.speaker == "anna"][:1]
    classifier = knowing_voices()
    found = list(known_voice(tested, clips, classifier))
    amounts = [f"{seconds:.0f} s known" for seconds in AMOUNTS_S]
    assert [each.condition for each in found] == [*amounts, "60 s known, 10 dB louder"]
    nothing, *others, louder = (each.predictions.probabilities for each in found)
    # anna has two other clips of about 3.4 s each, of which 5 s take both; bo's are never known
    known = (
        voice_in([Block(other.source.read(), 0.0)], classifier)
        for other in drawn(tested[0], clips[:3], 60)
    )
    by_hand = together([voice for voice in known if voice])
    (block,) = [Block(tested[0].source.read(), 0.0)]
    expected = classify([block], classifier, voice=by_hand).overall
    assert expected is not None
    for row in others:
        np.testing.assert_allclose(row[0], list(expected.scores.values()))
        assert abs(row - nothing).max() > 1e-3
    assert abs(louder - others[-1]).max() > 1e-4  # a voice has a level


@pytest.mark.parametrize(
    ("seconds_of_neutral", "neutral", "emotional"), [(60, 48, 12), (30, 30, 7), (2, 2, 0)]
)
def test_four_fifths_of_mostly_neutral_speech_are_neutral_and_no_clip_is_heard_twice(
    tmp_path: Path, seconds_of_neutral: int, neutral: int, emotional: int
) -> None:
    second = np.ones(16_000, np.int16)
    for emotion, count in (("neutral", seconds_of_neutral), ("sad", 31)):
        for number in range(count):
            write(tmp_path / f"own/x/anna/{emotion}/{number}.wav", second)
    *clips, tested = scan(tmp_path).clips
    assert tested.emotion == "sad"
    known = mostly_neutral(tested, [*clips, tested])
    assert [each.emotion for each in known] == ["neutral"] * neutral + ["sad"] * emotional
    assert len({each.clip_id for each in known}) == len(known)
    assert tested not in known


def test_what_the_speakers_do_not_allow_is_left_out_with_a_note(tmp_path: Path) -> None:
    spoken = [("anna", "calm"), ("anna", "sad"), ("bo", "sad"), ("bo", "happy")]
    for number, (speaker, emotion) in enumerate(spoken):
        sound = samples.clips()[number].read_bytes()
        place = tmp_path / f"own/x/{speaker}/{emotion}/0.flac"
        place.parent.mkdir(parents=True)
        place.write_bytes(sound)
    clips = list(scan(tmp_path).clips)
    found = list(known_voice(clips, clips, knowing_voices()))
    (row,) = [each for each in found if "neutral" in each.condition]
    assert row.predictions.clip_ids == ("x/anna/sad/0.flac",)
    assert notes_on(found) == [
        "x, 60 s known, mostly neutral: 3 of 4 clips are left out, because their speakers have no "
        "other neutral recording",
        "x, 60 s of 4 voices known: left out, because there are fewer than 4 speakers",
    ]


def test_a_bundle_without_knowledge_of_voices_is_tested_without_it(clips: list[Clip]) -> None:
    classifier = Classifier(bundle.load("ravdess8-tiny"))
    (only,) = known_voice(clips[:1], clips, classifier)
    assert only.condition == "0 s known"
