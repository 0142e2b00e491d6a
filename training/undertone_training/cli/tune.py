"""``undertone-train tune``: search for a better recipe."""

import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common
from undertone_training.learning import trainer

if TYPE_CHECKING:
    from undertone_training.corpora.clip import Clip
    from undertone_training.corpora.splits import Split
    from undertone_training.evaluation.results import Outcome
    from undertone_training.recipe import Recipe
    from undertone_training.search.space import Value
    from undertone_training.search.study import Judge, Question, Search, Trial, Tried

_SHOWN = 10
_PREVIEWED = 3


@click.command(
    epilog="""\b
Examples:
  undertone-train tune --recipe compact --dry-run
  undertone-train tune --recipe compact --trials 50
  undertone-train tune --recipe compact --trials 50 --budget-minutes 480
  undertone-train tune --recipe my-recipe.toml --space my-space.toml --study sweep

The same command goes on where an interrupted one stopped. Given several times at once, also on
several machines that share the folder, its processes work on one search together.
"""
)
@common.data
@common.cache
@common.runs
@common.recipe
@common.jobs
@click.option(
    "--space",
    "space_name",
    metavar="NAME|FILE",
    help="Search space: the name of a packaged one, or a TOML file.  [default: the recipe's or "
    "its network's own, else the one for all]",
)
@click.option(
    "--study",
    type=common.FOLDER,
    help="Folder of the search.  [default: RECIPE-tune in --runs]",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many finished trials the search shall have in the end, earlier ones included.",
)
@click.option(
    "--budget-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Begin no trial after this time.",
)
@click.option("--seed", type=common.SEED, default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Only show the space and what would be tried next.")
def command(
    data: Path,
    cache: Path,
    runs: Path,
    recipe_name: str,
    jobs: int | None,
    space_name: str | None,
    study: Path | None,
    trials: int,
    budget_minutes: float | None,
    seed: int,
    dry_run: bool,
) -> None:
    """Search for the recipe with the highest UAR on speakers that it never heard.

    A trial changes some settings of the recipe, within the search space, and trains the
    development folds one after another; its UAR is the mean over the speakers that they held
    out. One that is below the median after a fold is pruned. Actors 21-24 are never touched.
    """
    from undertone_training import recipe as recipes
    from undertone_training.corpora import scan
    from undertone_training.search import space as spaces
    from undertone_training.search.study import LOG, PROTOCOL, Question, Search

    recipe = recipes.load(recipe_name)
    if recipe.corpus != "ravdess":
        raise click.UsageError(
            f"{recipe.name} learns from all of {recipe.corpus}, so that nothing is left to judge "
            "it by: search with the recipe that begins with it."
        )
    space = spaces.load(space_name or spaces.name_for(recipe), recipe)
    clips = scan(data).clips
    folds = _folds(recipe, clips)
    question = Question(recipe, space, seed, _digest(folds))
    folder = study or runs / f"{recipe.name}-tune"
    for missing in sorted({actor for split in folds for actor in split.missing}):
        click.echo(f"not at hand is actor {missing}", err=True)
    if dry_run:
        _preview(question, Search(folder, question) if (folder / LOG).exists() else None, trials)
        return
    search = Search(folder, question)
    deadline_s = time.monotonic() + 60 * (budget_minutes or 0)
    note = f"{recipe.name} · {PROTOCOL}, float, seed {seed}"

    def go_on() -> bool:
        return budget_minutes is None or time.monotonic() < deadline_s

    def after(tried: "Tried") -> None:
        click.echo(f"{tried.name}: {_said(tried)}; {search.finished} of {trials} trials")
        _keep(search, note)

    search.run(trials, _judge(clips, data, runs, cache, jobs, seed), go_on, after)
    _report(search, trials)


def _folds(recipe: "Recipe", clips: "Sequence[Clip]") -> "list[Split]":
    from undertone_training.corpora.splits import splits
    from undertone_training.search.study import PROTOCOL

    return splits(clips, PROTOCOL, recipe.song, recipe.validation_speakers)


def _digest(folds: "Sequence[Split]") -> str:
    sides = (side for split in folds for side in (split.train, split.validation, split.test))
    names = "\n".join(" ".join(clip.clip_id for clip in side) for side in sides)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _judge(
    clips: "Sequence[Clip]", data: Path, runs: Path, cache: Path, jobs: int | None, seed: int
) -> "Judge":
    """What trains and tests the folds of a trial."""
    from undertone_training.corpora.noise import for_training

    noise = for_training(data)

    def judge(trial: "Trial") -> Iterator[float]:
        from undertone_training.evaluation.results import Outcome
        from undertone_training.learning.runs import Run, describe
        from undertone_training.metrics import figures

        outcomes = []
        for split in _folds(trial.recipe, clips):
            run = Run(trial.folder / split.name / f"seed{seed}")
            lesson = trainer.lesson_of(runs, trial.recipe, split, seed, clips)
            info = describe(trial.recipe, split, seed, lesson.teachers, lesson.beginning)
            run.require_same(info)
            common.load_tensorflow()
            import keras

            keras.backend.clear_session()  # what earlier trainings left in memory
            if not run.finished:
                trainer.train(run, info, lesson, noise, cache, jobs, watch=_require_finite)
            test = common.features_of(split.test, trial.recipe, cache, jobs, split.name)
            from undertone_training.evaluation.evaluate import cost_of, evaluate_run

            predictions = evaluate_run(run, test, ("float",))
            outcomes.append(Outcome(run, split.protocol, predictions, cost_of(run)))
            yield figures(predictions["float"]).uar
        _pool(trial, outcomes, seed)

    return judge


def _require_finite(logs: dict[str, float]) -> None:
    from undertone_training.errors import TrialError

    if not math.isfinite(logs["loss"]):
        raise TrialError("the training diverged")


def _pool(trial: "Trial", outcomes: "Sequence[Outcome]", seed: int) -> None:
    """The trial's folds as one report, which ``compare`` reads."""
    from undertone_training.evaluation.results import Pooled, file_name, mean_cost, pool
    from undertone_training.evaluation.test_clips import shortfall
    from undertone_training.metrics import Predictions
    from undertone_training.search.study import PROTOCOL

    joined = Predictions.concatenate([each.predictions["float"] for each in outcomes])
    Pooled(
        trial.recipe,
        PROTOCOL + shortfall(PROTOCOL, len(outcomes), len(set(joined.speakers))),
        (seed,),
        tuple(each.run.info.split for each in outcomes),
        pool([{"float": joined}]),
        mean_cost([each.cost for each in outcomes]),
    ).save(trial.folder / "report" / f"{file_name(PROTOCOL)}.json")


def _keep(search: "Search", note: str) -> None:
    """Write the best recipe and the pictures, as far as there are any."""
    from undertone_training.report.pictures import png
    from undertone_training.report.search import history, importance
    from undertone_training.search.space import to_toml
    from undertone_training.search.study import BEST

    if (best := search.best) is None:
        return
    files = {BEST: to_toml(best).encode()}
    tried = search.tried()
    complete = [each.state == "complete" for each in tried]
    files["history.png"] = png(history([each.uar for each in tried], complete, note))
    if shares := search.importances():
        files["importance.png"] = png(importance(shares, note))
    for name, content in files.items():
        partial = search.folder / f"{name}.{os.getpid()}.part"
        partial.write_bytes(content)
        partial.replace(search.folder / name)  # others may write it, too


def _preview(question: "Question", search: "Search | None", n_trials: int) -> None:
    from undertone_training.search.study import preview

    for key, knob in question.space.items():
        click.echo(f"{key}: {knob}")
    trials = search.trials if search else []
    finished = search.finished if search else 0
    number = min(_PREVIEWED, max(0, n_trials - finished))
    what = "next would be:" if number else "nothing is left to do"
    click.echo(f"{finished} of {n_trials} trials are finished; {what}")
    for values in preview(question, trials, number):
        click.echo(f"  {_listed(values)}")


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
            _listed(each.values),
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
            f"{search.finished} of {n_trials} trials are finished: the same command goes on."
        )


def _said(tried: "Tried") -> str:
    from undertone_training.report.protocols import percent

    if tried.uar is None:
        return f"{tried.state}, {tried.reason}"
    why = f", {tried.reason}" if tried.reason else ""
    return f"{tried.state}, UAR {percent(tried.uar)} over {tried.folds} folds{why}"


def _listed(values: "Mapping[str, Value]") -> str:
    return ", ".join(
        f"{key.rpartition('.')[2]} {f'{value:.4g}' if isinstance(value, float) else value}"
        for key, value in values.items()
    )
