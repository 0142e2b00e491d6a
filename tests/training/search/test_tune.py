"""The command tune, on a miniature RAVDESS whose actors all have the same voices."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from miniature import SPACE, assert_drawn, train

from undertone import samples
from undertone.support.installation import add_extra
from undertone_training import recipe as recipes
from undertone_training.evaluation.results import rows_of
from undertone_training.learning.trainer import Trainer, Training

pytestmark = [pytest.mark.xdist_group("tune"), pytest.mark.usefixtures("_eager_training")]

RECIPE = """
width = 0.25
convolutions = [[64, 5, 2], [96, 5, 2]]
song = false
[window]
frames = 32
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


def command(corpus: Path, *args: object) -> list[object]:
    return [
        "tune", "--recipe", corpus / "mini.toml", "--space", corpus / "mine.toml", "--jobs", 1,
        "--data", corpus / "data", "--cache", corpus / "cache", "--runs", corpus / "runs", *args,
    ]  # fmt: skip


def tune(corpus: Path, *args: object) -> int:
    return train(*command(corpus, *args))


def test_without_a_space_that_of_the_recipe_is_taken(
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
    assert output.err.startswith("the data folder lacks actor 03")
    assert "optuna" not in output.err
    said = output.out
    assert "schedule.learning_rate: 0.001 to 0.1 by its logarithm" in said
    assert "0 of 2 trials are finished" in said
    assert said.count("  dropout 0.") == 2
    assert not (corpus / "runs").exists()


def test_a_search_trains_continues_and_leaves_its_best_recipe(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of actors 21-24 are no audio, and nothing reads them."""
    study = corpus / "runs" / "mini-tune"
    trainings: list[str] = []
    real = Trainer.train

    def counted(trainer: Trainer, training: Training, **others: object) -> None:
        if len(trainings) == 6:
            raise KeyboardInterrupt
        trainings.append(str(training.run.folder.relative_to(study)))
        real(trainer, training, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "train", counted)
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
    # the two short trainings may be equal: then there is no importance to draw
    assert_drawn(study / "history.png")
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
    assert "2 of 9 trials are finished: the same command continues" in capsys.readouterr().out


def test_trials_in_processes_of_their_own_are_reported_and_continued_as_others(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "apart"
    args = ("--trials", 1, "--study", study, "--jobs", 2)  # the last --jobs is what counts
    assert tune(corpus, *args) == 0
    said = capsys.readouterr().out
    assert said.count("mini-000: complete, UAR ") == 1
    assert "; 1 of 1 trials\n" in said
    assert (study / "best.toml").read_bytes() == (study / "mini-000/recipe.toml").read_bytes()
    assert not list(study.glob(".*"))
    assert tune(corpus, *args) == 0
    assert "mini-000: complete, UAR " not in capsys.readouterr().out


def test_a_search_on_a_cluster_needs_a_database_and_no_number_of_processes(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(corpus, "--scheduler", "tcp://127.0.0.1:1") == 2
    assert "leave --jobs out" in capsys.readouterr().err
    args = [*command(corpus), "--scheduler", "tcp://127.0.0.1:1"]
    del args[args.index("--jobs") : args.index("--jobs") + 2]
    assert train(*args) == 2
    assert "name it with --storage" in " ".join(capsys.readouterr().err.split())


PROGRAM = """
import sys
from functools import partial
from undertone.cli import run
from undertone_training.cli import undertone_train
from undertone_training.learning.trainer import Trainer
from undertone_training.search import study

study.Search = partial(study.Search, heartbeat_s=1, grace_s=10)
real, number, waits_before = Trainer.train, 0, int(sys.argv[1])

def train(trainer, training, **others):
    global number
    number += 1
    print("trains", "/".join(training.run.folder.parts[-3:-1]), flush=True)
    if number == waits_before:
        sys.stdin.readline()
    real(trainer, training, **others)

Trainer.train = train
sys.exit(run(undertone_train, "undertone-train", sys.argv[2:]))
"""


def test_the_trial_of_a_killed_process_is_retried_by_another_in_one_postgresql_database(
    corpus: Path, tmp_path: Path, postgres: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    address = postgres.address(postgres.database(), "guarded")
    args = command(corpus, "--trials", 1, "--study", tmp_path / "shared", "--storage", address)

    def process(waits_before: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *map(str, [waits_before, *args])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PGPASSWORD": "right"},
        )  # fmt: skip

    killed = process(waits_before=2)
    assert killed.stdout
    assert killed.stdout.readline() == "trains mini-000/development-1\n"
    other = process(waits_before=0)
    assert killed.stdout.readline() == "trains mini-000/development-2\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    said, errors = other.communicate(timeout=300)
    assert other.returncode == 0, errors
    trained = [line for line in said.splitlines() if line.startswith("trains ")]
    assert trained == [f"trains mini-000/development-{fold}" for fold in (2, 3, 4)]
    assert "1 of 1 trials" in said
    # another machine, with a folder of its own, has the same best recipe
    elsewhere = tmp_path / "elsewhere" / "shared"
    address = address.replace("guarded@", "guarded:right@")
    assert tune(corpus, "--trials", 1, "--study", elsewhere, "--storage", address) == 0
    output = capsys.readouterr()
    assert "right" not in output.out + output.err
    best = (elsewhere / "best.toml").read_text()
    assert best == (tmp_path / "shared" / "best.toml").read_text()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["best.toml", "history.png"]
    assert said.splitlines()[-1].endswith(output.out.splitlines()[-1].partition(": ")[2])
    # so has a dry run, which leaves a database without the search as it is
    assert tune(corpus, "--trials", 1, "--study", elsewhere, "--storage", address, "--dry-run") == 0
    assert "1 of 1 trials are finished; nothing is left to do" in capsys.readouterr().out
    empty = postgres.address(postgres.database())
    new = tmp_path / "new"
    assert tune(corpus, "--trials", 2, "--study", new, "--storage", empty, "--dry-run") == 0
    assert "0 of 2 trials are finished" in capsys.readouterr().out
    assert postgres.tables(empty) == 0


def test_a_database_that_cannot_be_used_ends_the_program(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UNDERTONE_STORAGE", "postgresql://me:secret@127.0.0.1:1/searches")
    for more in ((), ("--dry-run",)):
        assert tune(corpus, "--study", tmp_path / "study", *more) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(
            "undertone-train: postgresql://me@127.0.0.1:1/searches can't be used"
        )


def test_without_psycopg_the_extra_is_named(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert tune(corpus, "--storage", "postgresql://me@host/searches") == 1
    assert capsys.readouterr().err.endswith(f"is not installed: {add_extra('cluster')}.\n")


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
    assert done.stderr == f"undertone-train: optuna is not installed: {add_extra('training')}.\n"
