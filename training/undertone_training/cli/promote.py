"""``undertone-train promote``: from a run to the bundle that ships."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from undertone_training.cli import common

_EVIDENCE = "speaker-independent"


@click.command(
    epilog="""\b
Example:
  undertone-train promote runs/compact/final/seed0 --evidence runs/compact \\
      --name ravdess8-compact --to models
"""
)
@click.argument("folder", type=common.FOLDER)
@click.option(
    "--evidence",
    type=common.FOLDER,
    required=True,
    help="Folder that `evaluate` wrote the speaker-independent report of the same recipe in.",
)
@click.option("--name", required=True, help="Name of the bundle.")
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
    """Make a bundle of the run in FOLDER, if its int8 model stands for its float model.

    Refused when int8 loses more than 1 point of UAR or agrees with float on fewer than 98 % of
    windows: on the run's own clips, and by UAR on the speakers that the folds held out.
    """
    from undertone_training.bundles import bundle_of, require_small_loss, write_bundle
    from undertone_training.report import model_card
    from undertone_training.runs import Run

    run = Run(folder)
    info = run.info
    report, figures = _evidence(evidence, info.recipe.name)
    require_small_loss(figures["forms"]["float"]["uar"], figures["forms"]["int8"]["uar"])
    clips = common.clips_by_id(data)
    own = [
        clip
        for clip in common.chosen(clips, (*info.train, *info.validation))
        if clip.channel == "speech"
    ]
    features = common.features_of(own, info.recipe, cache, jobs, "own clips", copies=False)
    common.load_tensorflow()
    from undertone_training.evaluate import (
        fidelity,
        multiply_accumulates,
    )

    found = fidelity(run, features)
    click.echo(
        f"own clips: UAR float {found.float_uar:.4f}, int8 {found.int8_uar:.4f}; same label on "
        f"{found.window_agreement:.2%} of {found.windows} windows"
    )
    found.require()
    figures["extra"] |= {
        "model_bytes": run.tflite.stat().st_size,
        "multiply_accumulates": multiply_accumulates(run),
        "window_agreement": round(found.window_agreement, 4),
        "command": f"undertone-train fit --recipe {info.recipe.name} --protocol final "
        f"--seed {info.seed}",
    }
    bundle = bundle_of(run, name, figures)
    if dry_run:
        return
    write_bundle(
        bundle, to / name, report, model_card(msgspec.to_builtins(bundle.manifest), figures)
    )
    click.echo(f"{to / name}: {len(bundle.model) / 1024:.1f} KB")


def _evidence(folder: Path, recipe: str) -> tuple[Path, dict[str, Any]]:
    """The report over all folds of the first seed, and its figures with the spread of seeds."""
    from undertone_training.errors import RunError

    pooled = folder / "report" / f"{_EVIDENCE}.json"
    try:
        spread = json.loads(pooled.read_text())
        report = folder / "report" / _EVIDENCE / f"seed{spread['seeds'][0]}"
        figures: dict[str, Any] = json.loads((report / "figures.json").read_text())
    except (OSError, ValueError, KeyError) as error:
        raise RunError(
            f"There is no {_EVIDENCE} report in {folder}: run `undertone-train fit --recipe "
            f"{recipe}`, `quantize` and `evaluate` first."
        ) from error
    if spread["recipe"] != recipe:
        raise RunError(f"The report in {folder} is of the recipe {spread['recipe']}, not {recipe}.")
    figures["extra"]["seeds"] = {form: spread[form] for form in ("float", "int8")}
    figures["extra"]["seeds"]["numbers"] = spread["seeds"]
    live = folder / "report" / "live.json"
    if live.exists():
        figures["extra"]["live"] = {
            name: {key: each[key] for key in ("protocol", "uar", "missed_clips", "false_segments")}
            for name, each in json.loads(live.read_text()).items()
        }
    return report, figures
