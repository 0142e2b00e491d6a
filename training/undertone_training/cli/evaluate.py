"""``undertone-train evaluate``: figures of runs on clips that they never saw."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.figures import Predictions


@click.command(
    epilog="""\b
Examples:
  undertone-train evaluate runs/compact
  undertone-train evaluate runs/compact --protocol live
  undertone-train evaluate runs/compact/final --protocol cross-corpus
  undertone-train evaluate runs/compact/final --split validation
"""
)
@click.argument("folder", type=common.FOLDER)
@common.data
@common.cache
@common.jobs
@click.option(
    "--protocol",
    type=click.Choice(["own", "cross-corpus", "live"]),
    default="own",
    show_default=True,
    help="own: the clips that each run's protocol held out; live: the same in one long "
    "recording, through the device path; cross-corpus: every other corpus at hand.",
)
@click.option(
    "--split",
    "side",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which clips; of a final run the test clips are actors 21-24, for who has them.",
)
def command(
    folder: Path, data: Path, cache: Path, jobs: int | None, protocol: str, side: str
) -> None:
    """Test every quantised run in FOLDER, float and int8, and write reports.

    Each run gets a report of its own; the folds of one protocol and seed are put together in
    FOLDER/report, with mean and deviation over seeds.
    """
    from undertone_training.runs import find_runs

    runs = find_runs(folder)
    clips = common.clips_by_id(data)
    if protocol == "live":
        _live(runs, clips, data, folder)
        return
    pooled: dict[tuple[str, str], dict[int, list[dict[str, Predictions]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for run in runs:
        tested = _tested(run, clips, protocol, side)
        predictions = _predict(run, tested, cache, jobs)
        name = run.info.protocol if protocol == "own" else protocol
        _report(run, predictions, name, side)
        pooled[run.info.recipe.name, name][run.info.seed].append(predictions)
    for (recipe, name), seeds in pooled.items():
        _pool(folder, recipe, name, side, seeds)
