"""Search spaces: how they are read, which one is taken, and what is wrong with one."""

import re
from pathlib import Path

import msgspec
import pytest
from miniature import SPACE, load_space, train

from undertone.errors import ConfigError
from undertone_training import recipe as recipes
from undertone_training.search import space as spaces


def test_a_space_is_read_with_quoted_and_with_plain_keys(tmp_path: Path) -> None:
    space = load_space(tmp_path, SPACE)
    assert list(space) == [
        "regularization.dropout", "regularization.time_masks", "width", "song",
        "schedule.learning_rate",
    ]  # fmt: skip
    assert str(space["width"]) == "0.25 to 0.5 by 0.25"
    assert space["song"].choices == (True, False)


@pytest.mark.parametrize("name", recipes.names())
def test_every_packaged_recipe_has_a_space_that_fits(name: str) -> None:
    recipe = recipes.load(name)
    assert spaces.load(spaces.name_for(recipe), recipe)
    assert spaces.load(spaces.DEFAULT, recipe)


def test_the_space_of_a_recipe_is_its_own_or_its_networks_or_the_one_for_all() -> None:
    mine = recipes.load("smoke")
    assert (mine.name, mine.network) == ("smoke", "compact")
    assert spaces.name_for(mine) == "compact"
    other = msgspec.structs.replace(mine, network="spectral")
    assert spaces.name_for(other) == "default"
    assert spaces.name_for(msgspec.structs.replace(other, name="compact")) == "compact"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("width = 1", "unknown field `width`"),
        ("[space]", "add a key to search"),
        ("[space]\nwidth = ", "is not valid TOML"),
        ("[space]\nwidth = { low = 1 }", "width: it needs low and high, or choices"),
        ("[space]\nwidth = { low = 1, hihg = 2 }", "width: Object contains unknown field `hihg`"),
        ("[space]\nwidth = 1", "width: Expected `object`, got `int`"),
        ("[space]\nwidth = { low = 2, high = 1 }", "width: low must be below high"),
        ("[space]\nwidth = { low = 0, high = 1, log = true }", "above 0 for log"),
        ("[space]\nwidth = { low = 1, high = 2, choices = [1] }", "choices can't be combined"),
        ("[space]\nwidth = { low = 0, high = 1 }", "Expected `float` > 0.0 - at `$.width`"),
        (
            "[space]\nwide = { low = 0, high = 1 }",
            "no recipe has the key wide: did you mean 'width'",
        ),
        ('[space]\nname = { choices = ["a"] }', "no recipe has the key name"),
        ("[space.schedule]\nepoch = { low = 1, high = 2 }", "mean 'schedule.epochs'?"),
        ("[space.schedule]\nepochs = { low = 1.5, high = 2 }", "Expected `int`, got `float`"),
        ('[space]\nsong = { choices = ["yes"] }', "Expected `bool`, got `str` - at `$.song`"),
    ],
)
def test_a_wrong_space_is_one_sentence(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    args = ("--recipe", "smoke", "--space", tmp_path / "mine.toml", "--data", tmp_path)
    assert train("tune", *args) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_changed_recipe_is_a_file_that_fit_reads(tmp_path: Path) -> None:
    recipe = spaces.changed(recipes.load("smoke"), {"width": 0.5, "schedule.learning_rate": 0.01})
    (tmp_path / "other-name.toml").write_text(spaces.to_toml(recipe))
    assert recipes.load(tmp_path / "other-name.toml") == recipe
    assert recipe.schedule.learning_rate == 0.01
    with pytest.raises(ConfigError, match="set one of them to 0"):
        spaces.changed(recipe, {"schedule.early_stopping": 3})


def test_the_example_in_the_documentation_is_a_space(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "tuning.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(load_space(tmp_path, example)) == 4
