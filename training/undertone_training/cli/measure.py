"""``undertone-train measure``: what runs cost, each measured in its own process."""

from pathlib import Path

import click

from undertone_training.cli import common


@click.command(
    cls=common.Command,
    epilog="""\b
Example:
  undertone-train measure runs/compact runs/cnn-bigru runs/light-sernet --output costs.json

`undertone-train compare --references costs.json` shows the costs beside the figures.
""",
)
@click.argument("folders", nargs=-1, required=True, type=common.FOLDER, metavar="FOLDER...")
@click.option(
    "--calls",
    type=click.IntRange(min=1, max=100_000),
    default=100,
    show_default=True,
    help="Calls of each stage, after a warm-up.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("costs.json"),
    show_default=True,
)
def command(folders: tuple[Path, ...], calls: int, output: Path) -> None:
    """Measure one run of each FOLDER: latency of 3 s of sound, memory, file size; one thread.

    Each is measured as a float model in Keras with librosa's features, and as an int8 model. Our
    own int8 models go through the device's path.
    """
    from undertone_training.evaluation.results import report_json
    from undertone_training.learning.runs import find_runs
    from undertone_training.references.costs import measure_all

    runs = [find_runs(folder)[0] for folder in folders]
    costs = measure_all(runs, calls, common.progress)
    common.write_output(output, report_json(costs))
    click.echo(f"{output}: {len(costs.measured)} models measured")
