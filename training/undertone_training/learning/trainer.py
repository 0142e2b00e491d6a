"""What ``fit`` and ``tune`` share: one training with all that it learns from, and its bar."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.corpora.clip import Clip
    from undertone_training.corpora.noise import NoiseRecordings
    from undertone_training.corpora.splits import Split
    from undertone_training.learning.runs import Run, RunInfo
    from undertone_training.recipe import Recipe


@dataclass(frozen=True)
class Lesson:
    """Whom a run learns from, and the run whose weights it begins with."""

    split: "Split"
    strangers: "Sequence[Clip]"
    teachers: "Sequence[Run]"
    beginning: "Run | None"


def lesson_of(
    runs: Path, recipe: "Recipe", split: "Split", seed: int, clips: "Sequence[Clip]"
) -> Lesson:
    """What a recipe learns from on a split: its clips, those of other corpora, and other runs.

    These are the finished runs on the same split in ``runs``: all of a teacher, and that of the
    same ``seed`` to begin with, which may be one on another corpus.  Raises RunError without.
    """
    from undertone_training.corpora.splits import PRE_TRAINING
    from undertone_training.errors import RunError
    from undertone_training.learning.runs import find_runs

    def finished(name: str, below: Path) -> "list[Run]":
        try:
            return find_runs(runs / name / below)
        except RunError as error:
            raise RunError(
                f"There is no finished run of the recipe {name} in {runs / name / below} to learn "
                f"from: run `undertone-train fit --recipe {name}` with the same --protocol and "
                "--seed first."
            ) from error

    teachers = [
        run for name in recipe.distillation.teachers for run in finished(name, Path(split.name))
    ]
    beginning = None
    if recipe.begins_with:
        elsewhere = (runs / recipe.begins_with / PRE_TRAINING).is_dir()
        name = PRE_TRAINING if elsewhere else split.name
        beginning = finished(recipe.begins_with, Path(name) / f"seed{seed}")[0]
    strangers = [clip for clip in clips if clip.corpus in recipe.distillation.corpora]
    return Lesson(split, strangers, teachers, beginning)


def hear_anew(
    run: "Run",
    recipe: "Recipe",
    split: "Split",
    cache: Path,
    jobs: int | None,
    confidence: tuple[float, float] | None = None,
) -> None:
    """Give a finished run the vocal tracts of ``recipe``; its weights stay."""
    validation = common.features_of(split.validation, recipe, cache, jobs, "validation")
    common.load_tensorflow()
    from undertone_training.learning.fit import hear_anew

    hear_anew(run, recipe, validation, confidence)
    click.echo(f"{run.folder}: is heard with the recipe's vocal tracts now; quantize it again")


def train(
    run: "Run",
    info: "RunInfo",
    lesson: Lesson,
    noise: "NoiseRecordings",
    cache: Path,
    jobs: int | None,
    confidence: tuple[float, float] | None = None,
    watch: Callable[[dict[str, float]], None] = lambda logs: None,
) -> None:
    """Train a run with a bar; ``watch`` gets each epoch's figures and may raise."""
    from msgspec.structs import replace

    recipe, split = info.recipe, lesson.split
    train = common.features_of(split.train, recipe, cache, jobs, "features", noise)
    validation = common.features_of(split.validation, recipe, cache, jobs, "validation")
    few = replace(recipe.augmentation, copies=recipe.distillation.copies)
    strangers = common.features_of(
        lesson.strangers, replace(recipe, augmentation=few), cache, jobs, "strangers", noise
    )
    common.load_tensorflow()
    from undertone_training.learning.fit import fit

    def say(epoch: int, logs: dict[str, float]) -> None:
        validated = f" validation {logs['val_accuracy']:.3f}" if "val_accuracy" in logs else ""
        step(f"loss {logs['loss']:.3f} accuracy {logs['accuracy']:.3f}{validated}")
        watch(logs)

    total, done = recipe.schedule.epochs, run.epochs_done
    with common.progress(f"{recipe.name} {split.name} seed {info.seed}", total, done) as step:
        fit(
            run,
            info,
            train,
            validation,
            say,
            confidence,
            lesson.teachers,
            strangers,
            lesson.beginning,
        )
    click.echo(f"{run.folder}: trained in {run.calibration.fit_s:.0f} s")
