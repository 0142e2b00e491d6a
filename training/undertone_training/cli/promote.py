"""``undertone-train promote``: from a run to the bundle that ships."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.recipe import Recipe

_EVIDENCE = "speaker-independent"


def _checked_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The name becomes a folder's, and what `--model` takes."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", value):
        raise click.BadParameter(
            f"{value!r} is no name for a bundle: take small letters, digits, '.', '_' and '-'."
        )
    return value


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
@click.option("--name", required=True, callback=_checked_name, help="Name of the bundle.")
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

    Refused when int8 loses more than half a point of UAR or agrees with float on fewer than 98 % of
    windows: on the run's own clips, and by UAR on the speakers that the folds held out.
    """
    import msgspec

    from undertone_training.errors import PromotionError
    from undertone_training.evaluation.test_clips import chosen
    from undertone_training.export.bundle import (
        bundle_of,
        require_small_loss,
        with_figures,
        write_bundle,
    )
    from undertone_training.learning.runs import Run
    from undertone_training.report import model_card, pictures

    run = Run(folder)
    info = run.info
    if info.split != "final":
        raise PromotionError(
            f"{folder} was trained on the split {info.split}: promote a run of `undertone-train "
            "fit --protocol final`, which has learnt from all training actors."
        )
    report, figures = _evidence(evidence, info.recipe)
    seeds = figures["extra"]["seeds"]
    require_small_loss(seeds["float"]["uar"]["mean"], seeds["int8"]["uar"]["mean"])
    clips = common.clips_by_id(data)
    own = chosen(clips, (*info.train, *info.validation))
    speech = [clip for clip in own if clip.channel == "speech"]
    features = common.features_of(speech, info.recipe, cache, jobs, "own clips")
    common.load_tensorflow()
    from undertone_training.evaluation.evaluate import cost_of, fidelity

    found = fidelity(run, features)
    click.echo(
        f"own clips: UAR float {found.float_uar:.4f}, int8 {found.int8_uar:.4f}; same label on "
        f"{found.window_agreement:.2%} of {found.windows} windows"
    )
    found.require()
    figures["extra"] |= {
        **msgspec.to_builtins(cost_of(run)),
        "window_agreement": round(found.window_agreement, 4),
        "command": f"undertone-train fit --recipe {info.recipe.name} --protocol final "
        f"{'' if info.validation else f'--confidence {evidence.name} '}"
        f"--seed {info.seed}",
    }
    untested = bundle_of(run, name)
    figures["extra"] |= _noise(run.report, untested.manifest.model_sha256)
    bundle = with_figures(untested, figures)
    if dry_run:
        return
    note = f"the weights that ship · {len(info.train_speakers)} speakers"
    curves = pictures.png(pictures.curves(run.epochs(), note))
    card = model_card(msgspec.to_builtins(bundle.manifest), report)
    write_bundle(bundle, to / name, report, curves, card)
    click.echo(f"{to / name}: {len(bundle.model) / 1024:.1f} KB")


def _noise(folder: Path, model_sha256: str) -> dict[str, Any]:
    """What ``evaluate --protocol noise`` found of these very weights, by kind, if it was run."""
    from undertone_training.evaluation.false_alarms import FILE, NoiseReport

    try:
        report = NoiseReport.load(folder / FILE)
    except FileNotFoundError:
        return {}
    if report.model_sha256 != model_sha256:
        return {}
    return {
        "noise": {
            each.sound: {
                "protocol": f"noise, {each.sound}",
                "duration_s": each.duration_s,
                "false_segments": each.segments,
                "named": each.named,
            }
            for each in report.totals()
        }
    }


def _evidence(folder: Path, recipe: "Recipe") -> tuple[Path, dict[str, Any]]:
    """The report over all folds of the first seed, and its figures with the spread of seeds."""
    import msgspec

    from undertone_training.errors import RunError
    from undertone_training.evaluation.results import Pooled, file_name
    from undertone_training.evaluation.streaming import SNRS_DB, condition

    try:
        pooled = Pooled.load(folder / "report" / f"{_EVIDENCE}.json")
        report = folder / "report" / _EVIDENCE / f"seed{pooled.seeds[0]}"
        figures: dict[str, Any] = json.loads((report / "figures.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"There is no {_EVIDENCE} report in {folder}: run `undertone-train fit --recipe "
            f"{recipe.name}`, `quantize` and `evaluate` first."
        ) from error
    if pooled.recipe != recipe:
        raise RunError(
            f"The report in {folder} is of the recipe {pooled.recipe.name} as it was then, not of "
            "the one that the run was made from: train and evaluate its folds."
        )
    figures["extra"]["seeds"] = {"numbers": list(pooled.seeds), **msgspec.to_builtins(pooled.forms)}
    if pooled.verdicts:
        figures["extra"]["verdicts"] = msgspec.to_builtins(pooled.verdicts)
    live = {}
    for snr_db in SNRS_DB:
        name = condition(snr_db)
        try:
            heard = Pooled.load(folder / "report" / f"{file_name(name)}.json")
        except FileNotFoundError:
            continue
        if heard.recipe == recipe and heard.live:
            live[name] = {
                "protocol": heard.protocol,
                "uar": msgspec.to_builtins(heard.forms["int8"].uar),
                "seeds": len(heard.seeds),
                "missed_clips": heard.live.missed_clips,
                "false_segments": heard.live.false_segments,
            }
    if live:
        figures["extra"]["live"] = live
    return report, figures
