"""The study: its trials, with a made-up figure for each; interruptions and several processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from miniature import SPACE, assert_drawn, load_space

from undertone_training import recipe as recipes
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS
from undertone_training.errors import RunError, TrialError
from undertone_training.report.pictures import png
from undertone_training.report.search import importance
from undertone_training.search import space as spaces
from undertone_training.search.study import Search, Specification, Trial, preview


@pytest.fixture
def specification(tmp_path: Path) -> Specification:
    return Specification(recipes.load("smoke"), load_space(tmp_path, SPACE), 0, "clips")


def evaluate(trial: Trial) -> Iterator[float]:
    """The less dropout the better, on every fold."""
    for _ in DEVELOPMENT_FOLDS:
        yield 1 - trial.recipe.regularization.dropout


def values(search: Search) -> list[object]:
    return [dict(each.values) for each in search.results()]


def test_a_search_finds_what_is_better_and_prunes_what_is_worse(
    tmp_path: Path, specification: Specification
) -> None:
    search = Search(tmp_path / "study", specification)
    search.run(30, evaluate)
    states = [each.state for each in search.results()]
    assert states[:4] == ["complete"] * 4
    assert {"complete", "pruned"} == set(states)
    assert all(each.folds < 4 for each in search.results() if each.state == "pruned")
    assert search.best is not None
    assert search.best.regularization.dropout < 0.05
    assert search.ranking()[0].name == search.best.name
    shares = search.importances()
    assert next(iter(shares)) == "regularization.dropout"
    picture = tmp_path / "importance.png"
    picture.write_bytes(png(importance(shares, "made up")))
    assert_drawn(picture)
    drawn = values(search)
    assert {type(each["regularization.time_masks"]) for each in drawn} == {int}  # type: ignore[index]
    assert {each["width"] for each in drawn} == {0.25, 0.5}  # type: ignore[index]


def test_an_interrupted_search_continues_as_if_nothing_had_happened(
    tmp_path: Path, specification: Specification
) -> None:
    whole = Search(tmp_path / "whole", specification)
    whole.run(6, evaluate)
    begun: list[str] = []

    def interrupted(trial: Trial) -> Iterator[float]:
        begun.append(trial.recipe.name)
        for fold, uar in enumerate(evaluate(trial)):
            if (trial.recipe.name, fold) == ("smoke-002", 2):
                raise KeyboardInterrupt
            yield uar

    with pytest.raises(KeyboardInterrupt):
        Search(tmp_path / "study", specification).run(6, interrupted)
    assert begun == ["smoke-000", "smoke-001", "smoke-002"]
    again = Search(tmp_path / "study", specification)
    assert [(each.state, each.folds) for each in again.results()][2] == ("interrupted", 2)
    tried: list[str] = []
    again.run(6, evaluate, on_trial_end=lambda one: tried.append(one.name))
    assert tried == ["smoke-002", "smoke-003", "smoke-004", "smoke-005"]
    assert again.results() == whole.results()
    again.run(6, evaluate, on_trial_end=lambda one: tried.append(one.name))
    assert len(tried) == 4  # nothing is left to do
    again.run(7, evaluate, should_continue=lambda: False)
    assert again.finished == 6


PROGRAM = """
import sys
from pathlib import Path
from undertone_training import recipe
from undertone_training.search import space
from undertone_training.search.study import Search, Specification

folder, hangs_in = Path(sys.argv[1]), sys.argv[2]
smoke = recipe.load("smoke")
specification = Specification(smoke, space.load(folder / "mine.toml", smoke), 0, "clips")

def evaluate(trial):
    print(trial.recipe.name, flush=True)
    for fold in range(4):
        if (trial.recipe.name, fold) == (hangs_in, 2):
            print("hangs", flush=True)
            sys.stdin.read()
        yield 1 - trial.recipe.regularization.dropout

Search(folder / "study", specification, heartbeat_s=1, grace_s=int(sys.argv[3])).run(8, evaluate)
"""


def worker(folder: Path, hangs_in: str = "", grace_s: int = 60) -> subprocess.Popen[str]:
    """A process that works on the search in ``folder``, but hangs in the third fold of a trial."""
    command = (sys.executable, "-c", PROGRAM, str(folder), hangs_in, str(grace_s))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_share_a_search(tmp_path: Path, specification: Specification) -> None:
    workers = [worker(tmp_path) for _ in range(2)]
    said = [each.communicate(timeout=300)[0].split() for each in workers]
    assert [each.returncode for each in workers] == [0, 0]
    assert sorted([*said[0], *said[1]]) == [f"smoke-{number:03}" for number in range(8)]
    assert Search(tmp_path / "study", specification).finished == 8


def test_the_trial_of_a_killed_process_is_retried_by_another(
    tmp_path: Path, specification: Specification
) -> None:
    killed = worker(tmp_path, hangs_in="smoke-001")
    assert killed.stdout
    said = iter(killed.stdout.readline, "")
    assert [next(said) for _ in range(3)] == ["smoke-000\n", "smoke-001\n", "hangs\n"]
    other = worker(tmp_path, grace_s=3)
    assert other.stdout
    assert other.stdout.readline() == "smoke-002\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    rest = other.communicate(timeout=300)[0].split()
    assert other.returncode == 0
    assert sorted(rest) == ["smoke-001", *(f"smoke-{number:03}" for number in range(3, 8))]
    search = Search(tmp_path / "study", specification)
    assert search.finished == len(search.results()) == 8
    retried = search.results()[1]
    assert (retried.name, retried.folds) == ("smoke-001", 4) or retried.state == "pruned"
    assert sorted(path.name for path in search.folder.glob("smoke-*")) == [
        f"smoke-{number:03}" for number in range(8)
    ]


def test_a_recipe_that_cannot_be_trained_is_reported_and_left(
    tmp_path: Path, specification: Specification
) -> None:
    def diverging(trial: Trial) -> Iterator[float]:
        if trial.recipe.name == "smoke-001":
            raise TrialError("the training diverged")
        yield from evaluate(trial)

    # a pair of settings that exclude each other, for some trials
    space = {"schedule.early_stopping": spaces.Parameter(choices=(0, 0, 3))}
    search = Search(tmp_path / "study", msgspec.structs.replace(specification, space=space))
    search.run(8, diverging)
    tried = search.results()
    assert (tried[1].state, tried[1].uar) == ("pruned", None)
    assert "the training diverged" in {each.reason for each in tried}
    assert any("set one of them to 0" in each.reason for each in tried)
    assert search.best is not None
    assert search.best.schedule.early_stopping == 0


def test_a_preview_draws_what_would_be_tried(tmp_path: Path, specification: Specification) -> None:
    shown = preview(specification, [], 3)
    search = Search(tmp_path / "study", specification)
    search.run(3, evaluate)
    assert values(search) == shown
    (following,) = preview(specification, list(search.trials.values()), 1)
    search.run(4, evaluate)
    assert values(search)[3] == following


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": recipes.load("compact")}, "another recipe"),
        ({"space": {"width": spaces.Parameter(0.25, 1.0)}}, "another search space"),
        ({"seed": 1}, "another seed"),
        ({"clips": "fewer"}, "other clips"),
    ],
)
def test_a_folder_holds_one_search(
    tmp_path: Path, specification: Specification, change: dict[str, object], says: str
) -> None:
    Search(tmp_path / "study", specification)
    with pytest.raises(RunError, match=f"a search with {says}: choose another place"):
        Search(tmp_path / "study", msgspec.structs.replace(specification, **change))


def test_an_unusable_folder_is_one_sentence(specification: Specification, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="choose another place with --study"):
        Search(Path("/dev/null/study"), specification)
    (tmp_path / "study.db").write_text("no database\n" * 99)
    with pytest.raises(RunError, match=r"study\.db can't be used"):
        Search(tmp_path, specification)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "study.log").touch()
    with pytest.raises(RunError, match="a search by an earlier version"):
        Search(tmp_path / "old", specification)


def test_the_name_of_a_folder_may_contain_anything(
    specification: Specification, tmp_path: Path
) -> None:
    search = Search(tmp_path / "50 % {a}?b#c", specification)
    search.run(1, evaluate)
    assert Search(search.folder, specification).finished == 1
