"""Recipes: a mistake in one is reported in one sentence."""

from pathlib import Path

import pytest
from miniature import train

from undertone.errors import ConfigError
from undertone_training import recipe as recipes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hops = 3", "unknown field `hops`"),
        ("[schedule]\nepoch = 3", "unknown field `epoch` - at `$.schedule`"),
        ('[schedule]\nepochs = "many"', "Expected `int`, got `str` - at `$.schedule.epochs`"),
        ("[schedule]\nearly_stopping = 5", "set one of them to 0"),
        ("width = 0", "at `$.width`"),
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
