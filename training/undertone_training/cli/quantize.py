"""``undertone-train quantize``: from trained runs to full-int8 models."""

from pathlib import Path

import click

from undertone_training.cli import common


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
    """Quantise every finished run in FOLDER: int8 in, int8 out, every operator."""
    from undertone_training.runs import find_runs
    from undertone_training.tested import chosen

    runs = find_runs(folder)
    clips = common.clips_by_id(data)
    for run in runs:
        info = run.info
        train = common.features_of(chosen(clips, info.train), info.recipe, cache, jobs, "features")
        common.load_tensorflow()
        from undertone_training.quantize import quantize_run

        quantize_run(run, train, run.calibration.normalization)
        click.echo(f"{run.tflite}: {run.tflite.stat().st_size / 1024:.1f} KB")
