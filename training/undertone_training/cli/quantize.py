"""``undertone-train quantize``: from trained runs to full-int8 models."""

from pathlib import Path

import click

from undertone_training.cli import common


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train quantize runs/compact
  undertone-train quantize runs/compact/final/seed0
""",
)
@click.argument("folder", type=common.STORED_FOLDER)
@common.data
@common.cache
@common.jobs
def command(folder: Path, data: Path, cache: Path, jobs: int | None) -> None:
    """Quantise every finished run in FOLDER to full int8: input, output and every operator.

    A network that can't be converted stays a float model; the reason is kept with the run.
    """
    from undertone_training.export.quantize import quantize_runs
    from undertone_training.learning.runs import clips_of, find_runs

    runs = find_runs(folder)
    clips = common.clips_by_id(data)
    features = common.feature_cache(cache, jobs)
    trained = (
        (run, features.compute(clips_of(clips, run.info.train), run.info.recipe)) for run in runs
    )
    for run, reason in quantize_runs(trained):
        if reason:
            common.echo(f"{run.folder}: stays a float model: {reason}")
        else:
            common.echo(f"{run.tflite}: {run.tflite.stat().st_size / 1024:.1f} KB")
