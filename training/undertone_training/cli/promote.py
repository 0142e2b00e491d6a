"""``undertone-train promote``: makes a bundle from a run."""

import re
from pathlib import Path

import click

from undertone_training.cli import common


def checked_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A bundle's name: the name of its folder, which `--model` accepts."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", value):
        raise click.BadParameter(
            f"{value!r} can't name a bundle: use lower-case letters, digits, '.', '_' and '-'."
        )
    return value


@click.command(
    cls=common.Command,
    epilog="""\b
Example:
  undertone-train promote runs/compact/final/seed0 --evidence runs/compact \\
      --name ravdess8-compact --to models
""",
)
@click.argument("folder", type=common.FOLDER)
@click.option(
    "--evidence",
    type=common.FOLDER,
    required=True,
    help="Folder that `evaluate` wrote the speaker-independent report of the same recipe into.",
)
@click.option("--name", required=True, callback=checked_name, help="Name of the bundle.")
@click.option("--to", type=common.FOLDER, default=Path("models"), show_default=True)
@click.option("--dry-run", is_flag=True, help="Only check and print the figures.")
@common.data
@common.cache
@common.jobs
def command(
    folder: Path,
    evidence: Path,
    name: str,
    to: Path,
    dry_run: bool,
    data: Path,
    cache: Path,
    jobs: int | None,
) -> None:
    """Make a bundle of the run in FOLDER, if its int8 model is as good as its float model.

    Refused if int8 loses more than half a point of UAR, on the run's own clips or on the speakers
    that the folds held out, or if it agrees with float on fewer than 98 % of the windows of the
    run's own clips.
    """
    from undertone_training.learning.runs import Run
    from undertone_training.promotion import candidate

    found = candidate(Run(folder), evidence)
    clips = common.clips_by_id(data)
    common.load_tensorflow()
    fidelity = found.fidelity(clips, common.feature_cache(cache, jobs))
    click.echo(
        f"own clips: UAR float {fidelity.float_uar:.4f}, int8 {fidelity.int8_uar:.4f}; same label "
        f"on {fidelity.window_agreement:.2%} of {fidelity.windows} windows"
    )
    bundle = found.bundle(name, fidelity)
    if dry_run:
        return
    found.write(bundle, to / name)
    click.echo(f"{to / name}: {len(bundle.model) / 1024:.1f} KB")
