"""The search for recipes: its space, its trials with a made-up judge, and one real search."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from undertone import samples
from undertone.cli import run
from undertone.errors import ConfigError
from undertone_training import recipe as recipes
from undertone_training.cli import undertone_train
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS
from undertone_training.errors import RunError, TrialError
from undertone_training.evaluation.results import rows_of
from undertone_training.learning.runs import Run
from undertone_training.report.pictures import png
from undertone_training.report.search import importance
from undertone_training.search import space as spaces
from undertone_training.search.study import Question, Search, Trial, preview

# TensorFlow is imported into one worker only.
pytestmark = pytest.mark.xdist_group("tensorflow")

SPACE = """
[space]
regularization.dropout = { low = 0.0, high = 0.5 }
"regularization.time_masks" = { low = 0, high = 4 }
width = { low = 0.25, high = 0.5, step = 0.25 }
song = { choices = [true, false] }
[space.schedule]
learning_rate = { low = 0.001, high = 0.1, log = true }
"""


def train(*args: object) -> int:
    return run(undertone_train, "undertone-train", [str(arg) for arg in args])


def load(folder: Path, text: str) -> spaces.Space:
    path = folder / "mine.toml"
    path.write_text(text)
    return spaces.load(path, recipes.load("smoke"))


# The space


def test_a_space_is_read_with_quoted_and_with_plain_keys(tmp_path: Path) -> None:
    space = load(tmp_path, SPACE)
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


def test_a_recipe_gets_its_own_space_or_its_networks_or_the_one_for_all() -> None:
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
        ("[space]", "it has nothing to change"),
        ("[space]\nwidth = ", "is not valid TOML"),
        ("[space]\nwidth = { low = 1 }", "width: it needs low and high, or choices"),
        ("[space]\nwidth = { low = 1, hihg = 2 }", "width: Object contains unknown field `hihg`"),
        ("[space]\nwidth = 1", "width: Expected `object`, got `int`"),
        ("[space]\nwidth = { low = 2, high = 1 }", "width: low must be below high"),
        ("[space]\nwidth = { low = 0, high = 1, log = true }", "above 0 for log"),
        ("[space]\nwidth = { low = 1, high = 2, choices = [1] }", "choices stand alone"),
        ("[space]\nwidth = { low = 0, high = 1 }", "Expected `float` > 0.0 - at `$.width`"),
        ("[space]\nwide = { low = 0, high = 1 }", "no recipe has the key wide: did you mean width"),
        ('[space]\nname = { choices = ["a"] }', "no recipe has the key name"),
        ("[space.schedule]\nepoch = { low = 1, high = 2 }", "mean schedule.epochs?"),
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


# The trials, judged by a rule


@pytest.fixture
def question(tmp_path: Path) -> Question:
    return Question(recipes.load("smoke"), load(tmp_path, SPACE), 0, "clips")


def judge(trial: Trial) -> Iterator[float]:
    """The less dropout the better, on every fold."""
    for _ in DEVELOPMENT_FOLDS:
        yield 1 - trial.recipe.regularization.dropout


def values(search: Search) -> list[object]:
    return [dict(each.values) for each in search.tried()]


def test_a_search_finds_what_is_better_and_prunes_what_is_worse(
    tmp_path: Path, question: Question
) -> None:
    search = Search(tmp_path / "study", question)
    search.run(30, judge)
    states = [each.state for each in search.tried()]
    assert states[:4] == ["complete"] * 4
    assert {"complete", "pruned"} == set(states)
    assert all(each.folds < 4 for each in search.tried() if each.state == "pruned")
    assert search.best is not None
    assert search.best.regularization.dropout < 0.05
    assert search.ranking()[0].name == search.best.name
    shares = search.importances()
    assert next(iter(shares)) == "regularization.dropout"
    assert png(importance(shares, "made up")).startswith(b"\x89PNG")
    drawn = values(search)
    assert {type(each["regularization.time_masks"]) for each in drawn} == {int}  # type: ignore[index]
    assert {each["width"] for each in drawn} == {0.25, 0.5}  # type: ignore[index]


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    tmp_path: Path, question: Question
) -> None:
    whole = Search(tmp_path / "whole", question)
    whole.run(6, judge)
    begun: list[str] = []

    def interrupted(trial: Trial) -> Iterator[float]:
        begun.append(trial.recipe.name)
        for fold, uar in enumerate(judge(trial)):
            if (trial.recipe.name, fold) == ("smoke-002", 2):
                raise KeyboardInterrupt
            yield uar

    with pytest.raises(KeyboardInterrupt):
        Search(tmp_path / "study", question).run(6, interrupted)
    assert begun == ["smoke-000", "smoke-001", "smoke-002"]
    again = Search(tmp_path / "study", question)
    assert [(each.state, each.folds) for each in again.tried()][2] == ("running", 2)
    tried: list[str] = []
    again.run(6, judge, after=lambda one: tried.append(one.name))
    assert tried == ["smoke-002", "smoke-003", "smoke-004", "smoke-005"]
    assert again.tried() == whole.tried()
    again.run(6, judge, after=lambda one: tried.append(one.name))
    assert len(tried) == 4  # nothing is left to do
    again.run(7, judge, go_on=lambda: False)
    assert again.finished == 6


def test_two_processes_share_a_search(tmp_path: Path, question: Question) -> None:
    program = f"""
import sys
from pathlib import Path
from undertone_training import recipe
from undertone_training.search import space
from undertone_training.search.study import Question, Search

def judge(trial):
    print(trial.recipe.name, flush=True)
    for fold in range(4):
        yield 1 - trial.recipe.regularization.dropout

smoke = recipe.load("smoke")
question = Question(smoke, space.load({str(tmp_path / "mine.toml")!r}, smoke), 0, "clips")
Search(Path({str(tmp_path / "study")!r}), question).run(8, judge)
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [worker.communicate(timeout=300)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted([*said[0], *said[1]]) == [f"smoke-{number:03}" for number in range(8)]
    assert Search(tmp_path / "study", question).finished == 8


def test_a_recipe_that_can_not_be_trained_is_told_and_left(
    tmp_path: Path, question: Question
) -> None:
    def diverging(trial: Trial) -> Iterator[float]:
        if trial.recipe.name == "smoke-001":
            raise TrialError("the training diverged")
        yield from judge(trial)

    # a pair of settings that exclude each other, for some trials
    space = {"schedule.early_stopping": spaces.Knob(choices=(0, 0, 3))}
    search = Search(tmp_path / "study", msgspec.structs.replace(question, space=space))
    search.run(8, diverging)
    tried = search.tried()
    assert (tried[1].state, tried[1].uar) == ("pruned", None)
    assert "the training diverged" in {each.reason for each in tried}
    assert any("set one of them to 0" in each.reason for each in tried)
    assert search.best is not None
    assert search.best.schedule.early_stopping == 0


def test_a_preview_draws_what_would_be_tried(tmp_path: Path, question: Question) -> None:
    shown = preview(question, [], 3)
    search = Search(tmp_path / "study", question)
    search.run(3, judge)
    assert values(search) == shown
    (following,) = preview(question, search.trials, 1)
    search.run(4, judge)
    assert values(search)[3] == following


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": recipes.load("compact")}, "another recipe"),
        ({"space": {"width": spaces.Knob(0.25, 1.0)}}, "another search space"),
        ({"seed": 1}, "another seed"),
        ({"clips": "fewer"}, "other clips"),
    ],
)
def test_a_folder_holds_one_search(
    tmp_path: Path, question: Question, change: dict[str, object], says: str
) -> None:
    Search(tmp_path / "study", question)
    with pytest.raises(RunError, match=f"a search with {says}: choose another place"):
        Search(tmp_path / "study", msgspec.structs.replace(question, **change))


def test_a_folder_that_can_not_be_used_is_one_sentence(question: Question, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="choose another place with --study"):
        Search(Path("/dev/null/study"), question)
    (tmp_path / "study.log").write_text("no log\n\n")
    with pytest.raises(RunError, match="is damaged"):
        Search(tmp_path, question)


# The command, on a miniature RAVDESS whose actors all speak alike

RECIPE = """
width = 0.25
song = false
[window]
frames = 32
[mfcc]
n_coefficients = 8
n_filters = 26
[augmentation]
copies = 0
[schedule]
epochs = 1
batch_size = 16
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tune")
    for actor in (1, 2, 6, 7, 8, 11, 12, 16, 17, 21):
        for code, path in enumerate(samples.clips(), start=1):
            copy = folder / "data" / f"03-01-{code:02}-01-01-01-{actor:02}.flac"
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy) if actor != 21 else copy.write_bytes(b"poison")
    (folder / "mini.toml").write_text(RECIPE)
    (folder / "mine.toml").write_text(SPACE.replace("song = { choices = [true, false] }", ""))
    return folder


def tune(corpus: Path, *args: object) -> int:
    return train(
        "tune", "--recipe", corpus / "mini.toml", "--space", corpus / "mine.toml", "--jobs", 1,
        "--data", corpus / "data", "--cache", corpus / "cache", "--runs", corpus / "runs", *args,
    )  # fmt: skip


def test_without_a_space_the_recipes_own_is_taken(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.toml").write_text('network = "spectral"\n' + RECIPE)
    args = ("--dry-run", "--data", corpus / "data", "--runs", tmp_path)
    assert train("tune", "--recipe", tmp_path / "other.toml", *args) == 0
    said = capsys.readouterr().out
    assert "schedule.learning_rate: 0.0001 to 0.01 by its logarithm" in said
    assert "vocal_tract" not in said
    assert train("tune", "--recipe", corpus / "mini.toml", *args) == 0
    assert "regularization.vocal_tract: 0.0 to 0.2" in capsys.readouterr().out


def test_a_dry_run_shows_the_space_and_touches_nothing(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(corpus, "--dry-run", "--trials", 2) == 0
    output = capsys.readouterr()
    assert output.err.startswith("not at hand is actor 03")
    assert "optuna" not in output.err
    said = output.out
    assert "schedule.learning_rate: 0.001 to 0.1 by its logarithm" in said
    assert "0 of 2 trials are finished" in said
    assert said.count("  dropout 0.") == 2
    assert not (corpus / "runs").exists()


def test_a_search_trains_goes_on_and_leaves_its_best_recipe(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The actors 21-24 are no sound at all, and nobody notices."""
    study = corpus / "runs" / "mini-tune"
    from undertone_training.learning import trainer

    trainings: list[str] = []
    real = trainer.train

    def counted(run: Run, *args: object, **others: object) -> None:
        if len(trainings) == 6:
            raise KeyboardInterrupt
        trainings.append(str(run.folder.relative_to(study)))
        real(run, *args, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "train", counted)
    assert tune(corpus, "--trials", 2) == 130
    assert trainings[-1] == "mini-001/development-2/seed0"
    assert (study / "best.toml").is_file()
    monkeypatch.undo()
    capsys.readouterr()
    assert tune(corpus, "--trials", 2) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line for line in lines if "development-1" in line and "mini-001" in line] == []
    assert "mini-001: complete, UAR " in said.out
    assert any(line.startswith("mini-00") and "complete" in line for line in lines)
    best = recipes.load(study / "best.toml")
    assert f"{study / 'best.toml'}: the recipe of {best.name}" in said.out
    assert best == recipes.load(study / best.name / "recipe.toml")
    # two such short trainings may come out alike: then there is no importance to draw
    assert (study / "history.png").read_bytes().startswith(b"\x89PNG")
    rows = rows_of(study)
    assert {row.name for row in rows} == {"mini-000", "mini-001"}
    assert {(row.form, row.protocol) for row in rows} == {
        ("float", "speaker-independent (9 of 20 actors)")
    }
    # the recipe is repeated in its own folder, with another seed
    args = ("--runs", study, "--jobs", 1, "--data", corpus / "data", "--cache", corpus / "cache")
    assert train("fit", "--recipe", study / "best.toml", "--dry-run", *args) == 0
    assert capsys.readouterr().out.count("finished already") == 4
    assert tune(corpus, "--trials", 2, "--dry-run") == 0
    assert "2 of 2 trials are finished; nothing is left to do" in capsys.readouterr().out
    assert tune(corpus, "--trials", 9, "--budget-minutes", 1e-9) == 0
    assert "2 of 9 trials are finished: the same command goes on" in capsys.readouterr().out


def test_without_optuna_the_extra_is_named(corpus: Path) -> None:
    code = f"""
import sys
sys.modules["optuna"] = None
from undertone.cli import run
from undertone_training.cli import undertone_train
args = ["tune", "--recipe", "smoke", "--data", {str(corpus / "data")!r}]
sys.exit(run(undertone_train, "undertone-train", args))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "undertone-train: optuna is not installed: run pip install 'undertone[training]'.\n"
    )


def test_the_example_of_the_page_is_a_space(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(load(tmp_path, example)) == 4
