"""``undertone-train tune``: search for a better recipe."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.search.space import Value
    from undertone_training.search.study import Result, Search, Specification

_SHOWN = 10
_PREVIEWED = 3


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train tune --recipe compact --dry-run
  undertone-train tune --recipe compact --trials 50
  undertone-train tune --recipe compact --trials 50 --budget-minutes 480
  undertone-train tune --recipe my-recipe.toml --space my-space.toml --study sweep
  undertone-train tune --recipe compact --jobs 4
  undertone-train tune --recipe compact --storage postgresql://me@host/searches
  undertone-train tune --storage postgresql://me@host/searches --scheduler tcp://big-machine:8786

The same command continues an interrupted search. Given several times at once on one machine, or on
several with --storage, its processes work on one search together.
""",
)
@common.data
@common.cache
@common.runs
@common.recipe
@common.jobs_at_once
@common.scheduler
@click.option(
    "--space",
    "space_name",
    metavar="NAME|FILE",
    help="Search space: the name of a packaged one, or a TOML file.  [default: the recipe's "
    "or its network's, otherwise the general one]",
)
@click.option(
    "--study",
    type=common.FOLDER,
    help="Folder of the search.  [default: RECIPE-tune in --runs]",
)
@click.option(
    "--storage",
    metavar="URL",
    envvar="UNDERTONE_STORAGE",
    show_envvar=True,
    help="PostgreSQL database of the trials, for several machines: "
    "postgresql://USER@HOST/DATABASE, the password in PGPASSWORD or ~/.pgpass. The search has the "
    "name of its folder there, so one database can hold several.  "
    "[default: study.db in the folder]",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Number of finished trials after which the search ends, including earlier ones.",
)
@click.option(
    "--budget-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Begin no new trial after this time.",
)
@click.option("--seed", type=common.SEED, default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Only show the search space and the next trials.")
def command(
    data: Path,
    cache: Path,
    runs: Path,
    recipe_name: str,
    jobs: int | None,
    scheduler: str | None,
    space_name: str | None,
    study: Path | None,
    storage: str | None,
    trials: int,
    budget_minutes: float | None,
    seed: int,
    dry_run: bool,
) -> None:
    """Search for the recipe with the highest UAR on held-out speakers.

    A trial changes some settings of the recipe, within the search space, and trains the
    development folds one after another; its UAR is the mean over the speakers that they held
    out. A trial that is below the median after a fold is pruned. Actors 21-24 are never touched.
    """
    from undertone_training import recipe as recipes
    from undertone_training.learning.trainer import Trainer
    from undertone_training.search import space as spaces
    from undertone_training.search.study import PROTOCOL, Search, Specification
    from undertone_training.search.trials import SearchJob, digest, folds_of

    if scheduler and not storage:
        raise click.UsageError(
            "The workers of --scheduler share the trials in a database: name it with --storage."
        )
    recipe = recipes.load(recipe_name)
    if recipe.corpus != recipes.EVALUATED_CORPUS:
        raise click.UsageError(
            f"{recipe.name} is trained on all of {recipe.corpus}, so no clips are left to test it "
            "on: search with the recipe that begins with it."
        )
    space = spaces.load(space_name or spaces.name_for(recipe), recipe)
    trainer = Trainer(data, runs, common.feature_cache(cache, jobs, scheduler))
    folds = folds_of(recipe, trainer.clips)
    specification = Specification(recipe, space, seed, digest(folds))
    folder = study or runs / f"{recipe.name}-tune"
    for missing in sorted({actor for split in folds for actor in split.missing}):
        click.echo(f"the data folder lacks actor {missing}", err=True)
    until_s = time.time() + 60 * budget_minutes if budget_minutes else None
    note = f"{recipe.name} · {PROTOCOL}, float, seed {seed}"
    search_job = SearchJob(trainer, folder, specification, storage, trials, until_s, note)
    database = search_job.database(common.say)
    if dry_run:
        begun = Search(folder, specification, database) if database.exists() else None
        _preview(specification, begun, trials)
        return
    search = Search(folder, specification, database)

    def on_trial_end(result: "Result") -> None:
        click.echo(f"{result.name}: {_outcome(result)}; {search.finished} of {trials} trials")

    if search_job.is_done_here(search):
        common.load_tensorflow()
    search_job.carry_out(search, on_trial_end)
    _report(search, trials)


def _preview(specification: "Specification", search: "Search | None", n_trials: int) -> None:
    from undertone_training.search.study import preview

    for key, parameter in specification.space.items():
        click.echo(f"{key}: {parameter}")
    trials = list(search.trials.values()) if search else []
    finished = search.finished if search else 0
    number = min(_PREVIEWED, max(0, n_trials - finished))
    what = "next would be:" if number else "nothing is left to do"
    click.echo(f"{finished} of {n_trials} trials are finished; {what}")
    for values in preview(specification, trials, number):
        click.echo(f"  {_settings(values)}")


def _report(search: "Search", n_trials: int) -> None:
    """The best trials as a table, and where the best recipe is."""
    from undertone_training.report.protocols import percent
    from undertone_training.search.study import BEST, PROTOCOL

    ranking = search.ranking()
    rows = [
        (
            each.name,
            each.state,
            "–" if each.uar is None else percent(each.uar),
            str(each.folds),
            _settings(each.values),
        )
        for each in ranking[:_SHOWN]
    ]
    common.table(("trial", "", f"UAR, {PROTOCOL}", "folds", "settings"), rows, "llrrl")
    if len(ranking) > _SHOWN:
        click.echo(f"and {len(ranking) - _SHOWN} more")
    if search.best:
        click.echo(f"{search.folder / BEST}: the recipe of {search.best.name}")
    if search.finished < n_trials:
        click.echo(
            f"{search.finished} of {n_trials} trials are finished: the same command continues."
        )


def _outcome(result: "Result") -> str:
    from undertone_training.report.protocols import percent

    if result.uar is None:
        return f"{result.state}, {result.reason}"
    why = f", {result.reason}" if result.reason else ""
    return f"{result.state}, UAR {percent(result.uar)} over {result.folds} folds{why}"


def _settings(values: "Mapping[str, Value]") -> str:
    return ", ".join(
        f"{key.rpartition('.')[2]} {f'{value:.4g}' if isinstance(value, float) else value}"
        for key, value in values.items()
    )
