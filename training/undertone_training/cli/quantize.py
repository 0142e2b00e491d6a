"""``undertone-train quantize``: from trained runs to full-int8 models."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.features.cache import ClipFeatures
    from undertone_training.learning.runs import Run


@click.command(
    epilog="""\b
Examples:
  undertone-train quantize runs/compact
  undertone-train quantize runs/compact/final/seed0
"""
)
@click.argument("folder", type=common.FOLDER)
@common.data
@common.cache
@common.jobs
def command(folder: Path, data: Path, cache: Path, jobs: int | None) -> None:
    """Quantise every finished run in FOLDER: int8 in, int8 out, every operator.

    A network that the converter can't take stays a float model; the reason is kept with the run.
    """
    from undertone_training.evaluation.test_clips import chosen
    from undertone_training.export.converting import quantize_apart
    from undertone_training.learning.runs import find_runs

    runs = find_runs(folder)
    clips = common.clips_by_id(data)

    def trained(run: "Run") -> "list[ClipFeatures]":
        train = chosen(clips, run.info.train)
        return common.features_of(train, run.info.recipe, cache, jobs, "features")

    for run, reason in quantize_apart((run, trained(run)) for run in runs):
        if reason:
            click.echo(f"{run.folder}: stays a float model: {reason}")
        else:
            click.echo(f"{run.tflite}: {run.tflite.stat().st_size / 1024:.1f} KB")
