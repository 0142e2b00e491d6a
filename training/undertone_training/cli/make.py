"""``undertone-train make``: one command from corpora to a bundle."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.bundles import BUNDLES
from undertone_training.cli import common
from undertone_training.cli.promote import checked_name

if TYPE_CHECKING:
    from undertone_training.making import Stage
    from undertone_training.recipe import Recipe


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train make ravdess8-tiny --data ~/corpora --dry-run
  undertone-train make ravdess8-tiny --data ~/corpora
  undertone-train make my-model --recipe my-recipe.toml

The same command continues after an interruption, and leaves alone what is done.
""",
)
@click.argument("name", callback=checked_name)
@common.data
@common.cache
@common.runs
@common.jobs_at_once
@common.scheduler
@click.option(
    "--recipe",
    "recipe_name",
    metavar="NAME|FILE",
    help="For a bundle of your own: its recipe, packaged or a TOML file. The recipes that it "
    "begins with are those beside the file, else packaged ones.",
)
@click.option("--seed", type=common.SEED, default=0, show_default=True)
@click.option(
    "--to",
    "models",
    type=common.FOLDER,
    default=Path("models"),
    show_default=True,
    help="Folder of the bundles.",
)
@click.option("--dry-run", is_flag=True, help="Only print the stages, and which are done.")
def command(
    name: str,
    data: Path,
    cache: Path,
    runs: Path,
    jobs: int | None,
    scheduler: str | None,
    recipe_name: str | None,
    seed: int,
    models: Path,
    dry_run: bool,
) -> None:
    """Make the bundle NAME of the corpora: train, quantise, evaluate and promote.

    NAME is a bundle that ships (everyday-compact, everyday-tiny, ravdess8-compact, ravdess8-tiny),
    or any other with a recipe of your own. Stages that are done, by this command or by `fit`,
    `quantize` and `evaluate`, are not repeated.
    """
    from undertone_training.learning.trainer import Trainer, shortcomings
    from undertone_training.making import Context, Fit, carry_out, stages_of

    if recipe_name and name in BUNDLES:
        raise click.UsageError(
            f"{name} is made by the recipe {BUNDLES[name]}: leave --recipe out, or choose another "
            "name for the bundle."
        )
    if not recipe_name and name not in BUNDLES:
        raise click.UsageError(
            f"There is no bundle called {name}: known are {', '.join(BUNDLES)}; for one of your "
            "own, name its recipe with --recipe."
        )
    source = recipe_name or BUNDLES[name]
    recipe = _beside(source, source)
    trainer = Trainer(data, runs, common.feature_cache(cache, jobs, scheduler))
    stages = stages_of(
        name, recipe, Context(trainer, models, seed), lambda other: _beside(source, other)
    )
    splits = [stage.split for stage in stages if isinstance(stage, Fit)]
    lacking = [
        *shortcomings(recipe, trainer.clips),
        *(each for s in splits for each in s.shortcomings()),
    ]
    for sentence in dict.fromkeys(lacking):
        click.echo(sentence, err=True)
    if dry_run:
        _print_graph(stages)
        return
    places = {stage: f"{number}/{len(stages)}" for number, stage in enumerate(stages, 1)}
    made: set[Stage] = set()
    for index, stage in enumerate(stages):
        if stage in made:
            continue
        if stage.done:
            click.echo(f"{places[stage]} {stage.title}: done already")
            continue
        common.load_tensorflow()
        click.echo(f"{places[stage]} {stage.title}", err=True)
        for each, what in carry_out(stage, stages[index + 1 :]):
            made.add(each)
            click.echo(f"{places[each]} {what}")


def _beside(source: str, name: str) -> "Recipe":
    """The recipe ``name``: if ``source`` is a file, that in its folder, else the packaged one."""
    from undertone_training import recipe

    path = Path(source).with_name(f"{Path(name).stem}.toml")
    return recipe.load(path if source.endswith(".toml") and path.is_file() else name)


def _print_graph(stages: "Sequence[Stage]") -> None:
    """A row for each stage, with the numbers of those that it needs, and what is known of it."""
    from undertone_training.making import remaining

    left = remaining(stages)
    numbers = {stage: number for number, stage in enumerate(stages, 1)}
    rows = []
    for stage, number in numbers.items():
        needs = ", ".join(map(str, sorted(numbers[each] for each in stage.needs)))
        rows.append([str(number), stage.title, needs, _state(stage) if stage in left else "done"])
    common.table(["", "stage", "needs", "state"], rows, "rlll")


def _state(stage: "Stage") -> str:
    """Of a stage that is not done: how far it is, or how long it will take."""
    from undertone_training.making import Fit

    if not isinstance(stage, Fit):
        return "to do"
    if epochs := stage.result.epochs_done:
        return f"{epochs} of {stage.recipe.schedule.epochs} epochs done"
    if stage.duration_s is None:
        return "to do"
    return f"to do, about {stage.duration_s / 60:.0f} min"
