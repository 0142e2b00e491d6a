"""``undertone-train fit``: train a recipe on the splits of a protocol."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common
from undertone_training.learning import trainer

if TYPE_CHECKING:
    from undertone_training.corpora.clip import Clip
    from undertone_training.recipe import Recipe


@click.command(
    epilog="""\b
Examples:
  undertone-train fit --recipe compact --data ~/corpora
  undertone-train fit --recipe compact --protocol final --confidence runs/compact
  undertone-train fit --recipe my-recipe.toml --seed 0 --seed 1 --seed 2
  undertone-train fit --recipe smoke --fold 1 --dry-run

A training that was killed goes on where it stopped when the same command is given again;
a finished one is left as it is.  Where only the recipe's vocal tracts changed, it keeps its
weights, and its temperature and threshold are fitted anew.
"""
)
@common.data
@common.cache
@common.runs
@common.recipe
@common.jobs
@click.option(
    "--protocol",
    type=click.Choice(["speaker-independent", "final", "published-folds", "speaker-dependent"]),
    default="speaker-independent",
    show_default=True,
    help="Which splits: the four development folds, one training on actors 01-20, …",
)
@click.option("--fold", "folds", type=int, multiple=True, help="Only this fold; may be repeated.")
@click.option("--seed", "seeds", type=common.SEED, multiple=True, default=(0,), show_default=True)
@click.option(
    "--confidence",
    "folds_folder",
    type=common.FOLDER,
    help="For `final`: hold no actor out, and take temperature and threshold from the development "
    "folds in this folder, which judged each actor unheard.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be trained.")
def command(
    data: Path,
    cache: Path,
    runs: Path,
    recipe_name: str,
    jobs: int | None,
    protocol: str,
    folds: tuple[int, ...],
    seeds: tuple[int, ...],
    folds_folder: Path | None,
    dry_run: bool,
) -> None:
    """Train a recipe, one run for every split and seed, and leave each in its folder."""
    from undertone_training import recipe as recipes
    from undertone_training.corpora import scan
    from undertone_training.corpora.noise import for_training
    from undertone_training.corpora.splits import splits, whole
    from undertone_training.learning.runs import Run, describe

    recipe = recipes.load(recipe_name)
    if folds_folder and (protocol != "final" or recipe.schedule.needs_validation):
        raise click.UsageError(
            "--confidence goes with --protocol final and a recipe that trains for a set number of "
            "epochs: leave it out."
        )
    n_validation = 0 if folds_folder else recipe.validation_speakers
    clips = scan(data).clips
    found = (
        splits(clips, protocol, recipe.song, n_validation)
        if recipe.corpus == "ravdess"
        else [whole(clips, recipe.corpus)]
    )
    if unknown := set(folds) - set(range(1, len(found) + 1)):
        raise click.BadParameter(
            f"There is no fold {min(unknown)}: {protocol} has 1 to {len(found)}.",
            param_hint="--fold",
        )
    _say_what_lacks(recipe, clips)
    confidence = None
    for number, split in enumerate(found, start=1):
        if folds and number not in folds:
            continue
        if split.missing:
            click.echo(f"{split.name}: not at hand are actors {', '.join(split.missing)}", err=True)
        if split.untested:
            click.echo(
                f"{split.name}: no test clip is {', '.join(split.untested)}, which its figures "
                "leave out",
                err=True,
            )
        for seed in dict.fromkeys(seeds):
            run = Run(runs / recipe.name / split.name / f"seed{seed}")
            lesson = trainer.lesson_of(runs, recipe, split, seed, clips)
            info = describe(recipe, split, seed, lesson.teachers, lesson.beginning)
            run.require_same(info)
            anew = run.finished and run.info.recipe != recipe
            if dry_run or (run.finished and not anew):
                state = "would train on"
                if run.finished:
                    state = "would be heard anew," if anew else "finished already,"
                click.echo(
                    f"{run.folder}: {state} {len(split.train)} clips, "
                    f"validation {len(split.validation)}, test {len(split.test)}"
                )
                continue
            if folds_folder and confidence is None:  # the same for every seed
                confidence = _confidence(folds_folder, recipe, clips, cache, jobs)
            if anew:
                trainer.hear_anew(run, recipe, split, cache, jobs, confidence)
                continue
            trainer.train(run, info, lesson, for_training(data), cache, jobs, confidence)


def _say_what_lacks(recipe: "Recipe", clips: "Sequence[Clip]") -> None:
    """Emotions that nobody at hand speaks, and embeddings that there is no file for."""
    from undertone.emotions import EMOTIONS

    known = {clip.emotion for clip in clips if clip.corpus == "ravdess"}
    if absent := [emotion for emotion in EMOTIONS if emotion not in known]:
        click.echo(
            f"RAVDESS has no clip here that is {', '.join(absent)}: the network will not know it",
            err=True,
        )
    if recipe.features.startswith("five-kinds") and not recipe.vggish:
        click.echo(
            f"{recipe.name} goes without VGGish embeddings: `vggish` in the recipe names no file "
            "of weights",
            err=True,
        )


def _confidence(
    folder: Path, recipe: "Recipe", clips: "Sequence[Clip]", cache: Path, jobs: int | None
) -> tuple[float, float]:
    """Temperature and threshold by the recipe's development folds in ``folder``."""
    from undertone_training.learning.runs import find_runs

    by_id = {clip.clip_id: clip for clip in clips}
    runs = find_runs(folder)
    common.load_tensorflow()
    from undertone_training.learning.calibration import calibrate, folds_of

    features_of = partial(common.held_out_features, by_id, recipe, cache, jobs)
    return calibrate(folds_of(recipe, runs), features_of)
