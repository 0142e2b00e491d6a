"""Recipes: a mistake in one is reported in one sentence."""

from pathlib import Path

import msgspec
import pytest
from miniature import train

from undertone.errors import ConfigError
from undertone.recognition.bandwidth import NEEDED_SHARE
from undertone_training import recipe as recipes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hops = 3", "unknown field `hops`"),
        ("[schedule]\nepoch = 3", "unknown field `epoch` - at `$.schedule`"),
        ('[schedule]\nepochs = "many"', "Expected `int`, got `str` - at `$.schedule.epochs`"),
        ("[schedule]\nearly_stopping = 5", "set one of them to 0"),
        ("width = 0", "at `$.width`"),
        ("lead_s = 9", "at `$.lead_s`"),
        ('network = "spectral"\n[mfcc]\npitch = true', 'network can\'t be "spectral"'),
        ("[mfcc]\npitch = true\nframe_length = 512", "pitch needs a frame_length of 533 or more"),
        ("tail_s = 0.9", "tail_s can't be longer than pause_s, which is 0.32"),
        ("width = ", "is not valid TOML"),
        ('features = "mfcc"', "features must be one of device, mfcc-mean"),
        ('[distillation]\ncorpora = ["tess"]', "name distillation.teachers"),
        (
            '[distillation]\nteachers = ["compact"]\ncorpora = ["tess", "ravdess"]',
            "distillation.corpora must not contain ravdess, which the model is tested on",
        ),
        (
            'corpus = "nemo"\n[distillation]\nteachers = ["compact"]\ncorpora = ["nemo"]',
            "distillation.corpora must not contain nemo, which the model is trained on",
        ),
        (
            'corpus = "nemo"\n[distillation]\nteachers = ["compact"]\ncorpora = ["ravdess"]',
            "distillation.corpora must not contain ravdess, which",
        ),
        ('beside = ["nemo"]\n[regularization]\nmixup = 0.0', "beside needs schedule.epoch_windows"),
        (
            'beside = ["nemo"]\n[regularization]\nmixup = 0.2\n[schedule]\nepoch_windows = 100',
            "regularization.mixup = 0: clips of corpora with other emotions can't be mixed",
        ),
        (
            'beside = ["nemo"]\n[regularization]\nmixup = 0.0\n[schedule]\nepoch_windows = 100\n'
            '[distillation]\nteachers = ["compact"]',
            "beside and distillation exclude each other",
        ),
        ('labels = ["happy", "bored"]', "labels must be among neutral, calm,"),
        ('labels = ["happy", "bored"]', "not bored"),
        ('labels = ["happy"]', "at `$.labels`"),
        ("voice_prior_frames = -1.0", "at `$.voice_prior_frames`"),
        ("[regularization]\nknown_clips = []", "at `$.regularization.known_clips`"),
        ("[regularization]\nknown_clips = [-1]", "at `$.regularization.known_clips[0]`"),
        ("[augmentation]\nband_hz = [0.0, 8000.0]", "at `$.augmentation.band_hz[0]`"),
        ("[augmentation]\nnarrow = 1.5", "at `$.augmentation.narrow`"),
        ("[augmentation]\ncoded = -0.5", "at `$.augmentation.coded`"),
        ('[augmentation]\nalike = "room"', "Invalid enum value 'room' - at `$.augmentation.alike`"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(content)
    assert train("fit", "--recipe", tmp_path / "mine.toml", "--data", tmp_path) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_misspelt_recipe_suggests_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("fit", "--recipe", "compct", "--data", tmp_path) == 2
    assert "did you mean 'compact'?" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="can't be read"):
        recipes.load("nowhere.toml")


def test_the_recipe_of_several_corpora_can_be_read_and_written() -> None:
    recipe = recipes.load("everyday-compact")
    assert recipe.beside
    assert msgspec.convert(msgspec.to_builtins(recipe), recipes.Recipe) == recipe
    assert recipe.voice_prior_frames > 0
    assert max(recipe.regularization.known_clips) > 0
    assert 0 in recipe.regularization.known_clips  # or else nothing works before anything is known


def test_sound_as_narrow_as_the_narrowest_copies_gets_a_verdict() -> None:
    assert recipes.load("compact").needed_share == NEEDED_SHARE
    for lowest_hz, expected in ((3400.0, 0.4), (8000.0, NEEDED_SHARE)):
        narrow = recipes.Augmentation(narrow=0.5, band_hz=(lowest_hz, 8000.0))
        share = recipes.Recipe("mine", augmentation=narrow).needed_share
        assert share == pytest.approx(expected, abs=0.01)
        assert share * 8000 < lowest_hz


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"voice_prior_frames": 200.0}, "known_clips and voice_prior_frames go together"),
        ({"regularization": {"known_clips": [0, 2]}}, "known_clips and voice_prior_frames go"),
        ({"labels": ["happy", "sad", "happy"]}, "labels must differ from each other"),
        ({"augmentation": {"band_hz": [8000.0, 3400.0]}}, "band_hz must be two frequencies"),
        ({"augmentation": {"band_hz": [3400.0, 9000.0]}}, "band_hz must be two frequencies"),
        (
            {
                "schedule": {"epoch_windows": 10},
                "distillation": {"teachers": ["tiny"], "corpora": ["tess"]},
            },
            "epoch_windows and distillation.corpora exclude each other",
        ),
        (
            {
                "level": "none",
                "voice_prior_frames": 200.0,
                "regularization": {"known_clips": [0, 2]},
            },
            'voice_prior_frames needs level = "energy-mean"',
        ),
        (
            {
                "corpus": "tess",
                "beside": ["nemo"],
                "schedule": {"epoch_windows": 10},
                "regularization": {"mixup": 0.0},
            },
            "beside goes with corpus = ravdess only",
        ),
        ({"drawn": [1.0, 2.0]}, "drawn needs one number for corpus and one for each of beside"),
    ],
)
def test_settings_that_would_train_something_else_are_refused(
    changed: dict[str, object], sentence: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert({"name": "x", **changed}, recipes.Recipe)
