"""The command line of training: its help, its screen, and wrong arguments in one sentence."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from miniature import Pipeline, train, write_ravdess

from undertone_training.cli import COMMANDS

pytestmark = pytest.mark.xdist_group("tensorflow")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("prepare", "--dry-run", "--csv", "/dev/null/clips.csv"), 1, "another file with --csv"),
        (("prepare", "--cache", "/dev/null/cache"), 1, "another folder with --cache"),
        (("fit", "--fold", 1, "--seed", -1), 2, "--seed"),
    ],
)
def test_an_unusable_path_or_number_is_one_sentence(
    arguments: tuple[object, ...],
    status: int,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_ravdess(tmp_path, (1,))
    assert train(arguments[0], "--data", tmp_path, *arguments[1:]) == status
    assert says in capsys.readouterr().err


def test_an_unknown_fold_is_wrong_usage(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("fit", "--recipe", pipeline.recipe, "--fold", 9, *pipeline.data()) == 2
    assert "There is no fold 9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["quantize", "."], "There is no finished run"),
        (["evaluate", "."], "There is no finished run"),
        (
            ["evaluate", "nowhere"],
            "no bundle of that name: known are everyday-compact",
        ),
        (["promote", ".", "--evidence", ".", "--name", "x"], "run `undertone-train fit` first"),
        (["compare", "."], "run `undertone-train evaluate .` first"),
        (["prepare", "--data", "nowhere"], "There is no folder nowhere"),
        (["fit", "--data", "."], "There are no clips of a known corpus"),
    ],
)
def test_a_wrong_folder_is_one_sentence(
    args: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--data" not in args and args[0] != "compare":
        args = [*args, "--data", "."]
    assert train(*args) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_run_that_is_not_quantised_says_what_to_do(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("run.json", "calibration.json", "model.keras", "history.csv"):
        shutil.copy(pipeline.fold.folder / name, tmp_path)
    assert train("evaluate", tmp_path, *pipeline.data()) == 1
    assert "run `undertone-train quantize` first" in capsys.readouterr().err


def test_help_is_instant_and_has_examples() -> None:
    code = f"""
import sys
from undertone.cli import run
from undertone_training.cli import undertone_train
for name in ([], *([name] for name in {list(COMMANDS)!r})):
    assert run(undertone_train, "undertone-train", [*name, "--help"]) == 0
assert not {{"numpy", "tensorflow", "keras", "msgspec", "rich"}} & set(sys.modules), "heavy"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("Usage: undertone-train") == 1 + len(COMMANDS)
    assert done.stdout.count("Example") == 1 + len(COMMANDS)


def test_the_screen_belongs_to_the_program(pipeline: Pipeline) -> None:
    """No notice of TensorFlow or its converter, which write past Python's streams."""
    args = ["quantize", pipeline.fold.folder, *pipeline.data()]
    done = subprocess.run(
        [sys.executable, "-m", "undertone_training.cli", *map(str, args)],
        capture_output=True,
        text=True,
    )
    size_kb = pipeline.fold.tflite.stat().st_size / 1024
    assert done.stdout == f"{pipeline.fold.tflite}: {size_kb:.1f} KB\n"
    assert all(line.startswith("features: ") for line in done.stderr.splitlines())
