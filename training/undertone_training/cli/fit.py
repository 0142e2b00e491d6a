"""``undertone-train fit``: train a recipe on the splits of a protocol."""

from pathlib import Path

import click

from undertone_training.cli import common


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train fit --recipe compact --data ~/corpora
  undertone-train fit --recipe compact --protocol final --confidence runs/compact
  undertone-train fit --recipe my-recipe.toml --seed 0 --seed 1 --seed 2
  undertone-train fit --recipe smoke --fold 1 --dry-run
  undertone-train fit --recipe compact --jobs 4
  undertone-train fit --recipe compact --seed 0 --seed 1 --scheduler tcp://big-machine:8786

The same command continues an interrupted training where it stopped, and leaves a finished one as it
is.  If only the vocal tract factors of the recipe have changed, a finished run keeps its weights,
and its temperature and threshold are fitted again.
""",
)
@common.data
@common.cache
@common.stored_runs
@common.recipe
@common.jobs_at_once
@common.scheduler
@click.option(
    "--protocol",
    type=click.Choice(
        [
            "speaker-independent",
            "final",
            "leave-one-corpus-out",
            "published-folds",
            "speaker-dependent",
        ]
    ),
    default="speaker-independent",
    show_default=True,
    help="Which splits: the four development folds, one training on actors 01-20, …",
)
@click.option("--fold", "folds", type=int, multiple=True, help="Only this fold; may be repeated.")
@click.option("--seed", "seeds", type=common.SEED, multiple=True, default=(0,), show_default=True)
@click.option(
    "--confidence",
    "folds_folder",
    type=common.STORED_FOLDER,
    help="For `final`: hold no actor out, and take temperature and threshold from the development "
    "folds in this folder, each of which held some of the actors out.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be trained.")
def command(
    data: Path,
    cache: Path,
    runs: Path,
    recipe_name: str,
    jobs: int | None,
    scheduler: str | None,
    protocol: str,
    folds: tuple[int, ...],
    seeds: tuple[int, ...],
    folds_folder: Path | None,
    dry_run: bool,
) -> None:
    """Train a recipe, one run for each split and seed, and leave each run in its folder."""
    from undertone_training import recipe as recipes
    from undertone_training.learning.trainer import Trainer, shortcomings, splits_for

    recipe = recipes.load(recipe_name)
    if folds_folder and (protocol != "final" or recipe.schedule.needs_validation):
        raise click.UsageError(
            "--confidence goes with --protocol final and a recipe that trains for a set number of "
            "epochs: leave it out."
        )
    features = common.feature_cache(cache, jobs, scheduler)
    trainer = Trainer(data, runs, features)
    clips = trainer.clips
    splits = dict(enumerate(splits_for(recipe, protocol, clips, validate=not folds_folder), 1))
    if unknown := set(folds) - set(splits):
        raise click.BadParameter(
            f"There is no fold {min(unknown)}: {protocol} has 1 to {len(splits)}.",
            param_hint="--fold",
        )
    for each in shortcomings(recipe, clips):
        click.echo(each, err=True)
    trainings = []
    for split in (split for fold, split in splits.items() if not folds or fold in folds):
        for each in split.shortcomings():
            click.echo(each, err=True)
        for seed in dict.fromkeys(seeds):
            training = trainer.plan(recipe, split, seed)
            if not (dry_run or training.done):
                trainings.append(training)
                continue
            run, state = training.run, "would train on"
            if run.finished:
                state = "finished already," if training.done else "would be recalibrated,"
            common.echo(
                f"{run.folder}: {state} {len(split.train)} clips, "
                f"validation {len(split.validation)}, test {len(split.test)}"
            )
    if not trainings:
        return
    if folds_folder or features.jobs.with_tensorflow.in_this_process(len(trainings)):
        common.load_tensorflow()
    confidence = None
    if folds_folder:
        from undertone_training.learning.calibration import confidence_of

        confidence = confidence_of(recipe, folds_folder, clips, features)
    recalibrated = [training.needs_recalibration for training in trainings]
    done = trainer.carry_out(trainings, confidence)
    for training, weights_stay in zip(done, recalibrated, strict=True):
        run = training.run
        if weights_stay:
            common.echo(f"{run.folder}: has the recipe's vocal tracts now; quantize it again")
        else:
            common.echo(f"{run.folder}: trained in {run.calibration.fit_s:.0f} s")
