"""The gate that cuts training segments, and the detector in it."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from miniature import train, write_ravdess

from undertone import samples
from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.recognition.mfcc import MfccConfig
from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.corpora.clip import AudioRef
from undertone_training.errors import RunError
from undertone_training.features.cache import FeatureCache
from undertone_training.features.gate import (
    detector_in,
    packaged,
    require_fitting,
    speech_of,
)
from undertone_training.jobs import Jobs


@pytest.mark.parametrize("name", recipes.names())
def test_every_packaged_recipe_has_the_features_of_the_detector(name: str) -> None:
    require_fitting(recipes.load(name).mfcc)


def test_other_features_than_those_of_the_detector_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = msgspec.structs.replace(MfccConfig(), n_coefficients=13)
    with pytest.raises(RunError, match="set nothing but pitch there"):
        require_fitting(other)
    write_ravdess(tmp_path / "data", (1,))
    recipe = tmp_path / "other.toml"
    recipe.write_text("song = false\n[mfcc]\nn_coefficients = 13\n")
    args = ("--recipe", recipe, "--data", tmp_path / "data", "--cache", tmp_path / "cache")
    assert train("prepare", *args, "--jobs", 1) == 1
    assert "set nothing but pitch there" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_a_segment_comes_with_the_frames_that_training_gets(tmp_path: Path) -> None:
    path = samples.clips()[4]
    (segment,) = speech_of(AudioRef(path).read())
    assert segment.is_speech
    assert len(segment.samples) == len(segment.frames) * MfccConfig().hop_length
    assert segment.duration_s == len(segment.samples) / SAMPLE_RATE_HZ
    shutil.copy(path, tmp_path / "03-01-05-01-01-01-01.flac")
    (features,) = FeatureCache(tmp_path / "cache", Jobs(1)).compute(
        scan(tmp_path).clips, recipes.load("smoke")
    )
    np.testing.assert_array_equal(features.segments[0], segment.frames.astype(np.float32))


def test_a_recipe_may_want_wider_segments(tmp_path: Path) -> None:
    path = samples.clips()[4]
    usual = recipes.load("smoke")
    wide = msgspec.structs.replace(usual, lead_s=usual.lead_s + 0.1, tail_s=usual.tail_s + 0.1)
    (segment,) = speech_of(AudioRef(path).read(), wide.gate)
    shutil.copy(path, tmp_path / "03-01-05-01-01-01-01.flac")
    cache = FeatureCache(tmp_path / "cache", Jobs(1))
    clips = scan(tmp_path).clips
    ((narrower,), (features,)) = (
        cache.compute(clips, recipe)[0].segments for recipe in (usual, wide)
    )
    np.testing.assert_array_equal(features, segment.frames.astype(np.float32))
    np.testing.assert_array_equal(features[3:-3], narrower)


def test_one_recording_leaves_nothing_behind_in_the_gate() -> None:
    first, second = (AudioRef(path).read() for path in samples.clips()[:2])
    alone = speech_of(second)
    speech_of(first)
    for one, other in zip(alone, speech_of(second), strict=True):
        assert one.time_s == other.time_s
        np.testing.assert_array_equal(one.frames, other.frames)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "detector.json").unlink(),
        lambda folder: (folder / "speech.tflite").unlink(),
        lambda folder: (folder / "detector.json").write_text("{"),
        lambda folder: (folder / "detector.json").write_text(
            json.dumps({**json.loads((folder / "detector.json").read_text()), "mean": [0.0]})
        ),
    ],
    ids=["no config", "no network", "not JSON", "too few means"],
)
def test_a_damaged_detector_is_one_sentence(damage: object, tmp_path: Path) -> None:
    folder = tmp_path / "detector"
    shutil.copytree(packaged(), folder)
    damage(folder)
    with pytest.raises(RunError, match="or run `undertone-train fit-detector`"):
        detector_in(folder)


def test_what_came_before_a_recording_makes_no_difference() -> None:
    """So that the features of a clip are the same in every order, on any number of processes."""
    sound, _ = soundfile.read(samples.clips()[2], dtype="int16")
    alone = speech_of(sound)
    speech_of((32_000 * np.sin(np.arange(80_000) / 9)).astype(np.int16))
    after = speech_of(sound)
    assert len(after) == len(alone) == 1
    np.testing.assert_array_equal(after[0].frames, alone[0].frames)
