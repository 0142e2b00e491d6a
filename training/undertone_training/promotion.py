"""Decides whether a run may become a bundle, and makes the bundle with its evidence.

Above ``export`` because a bundle contains the figures of its evaluation and its model card.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from undertone.recognition.bundle import Bundle
from undertone_training.bundles import ships_as
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.clips import with_labels
from undertone_training.corpora.licences import unlicensed
from undertone_training.corpora.splits import LEAVE_ONE_CORPUS_OUT
from undertone_training.errors import PromotionError, RunError
from undertone_training.evaluation.conditions import ConditionsReport, load_reports
from undertone_training.evaluation.false_alarms import NoiseReport
from undertone_training.evaluation.results import Pooled, file_name, report_json
from undertone_training.evaluation.streaming import CONDITIONS
from undertone_training.export.bundle import (
    Fidelity,
    bundle_of,
    require_small_loss,
    with_figures,
    write_bundle,
)
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.runs import Run, clips_of, find_runs
from undertone_training.recipe import Recipe
from undertone_training.report import pictures
from undertone_training.report.card import model_card
from undertone_training.report.conditions import COVERAGE_PICTURE, curves_of

EVIDENCE = "speaker-independent"
"""The protocol whose report goes with the bundle; of several corpora, that which leaves one out."""


@dataclass(frozen=True)
class Candidate:
    """A final run with the evidence for its recipe.

    evidence: the folder that ``evaluate`` wrote the report of ``EVIDENCE`` into.
    report: that of all folds of the first seed. figures: what its figures.json contains, with
        the spread over the seeds.
    """

    run: Run
    evidence: Path
    report: Path
    figures: Mapping[str, Any]

    def fidelity(self, clips: Mapping[str, Clip], features: FeatureCache) -> Fidelity:
        """How closely int8 follows float on the run's own clips; ``clips``: all, by their ids."""
        from undertone_training.evaluation.evaluate import fidelity

        info = self.run.info
        own = with_labels(clips_of(clips, (*info.train, *info.validation)), info.labels)
        speech = [clip for clip in own if clip.channel == "speech"]
        return fidelity(self.run, features.compute(speech, info.recipe, "own clips"))

    def command(self, name: str) -> str:
        """The command that makes the bundle ``name`` again, with the runs in the default folder.

        Of a recipe of one's own, the command that trains its weights.
        """
        info = self.run.info
        if ships_as(name, info.recipe):
            return f"undertone-train make {name}" + (f" --seed {info.seed}" if info.seed else "")
        confidence = "" if info.validation else f"--confidence runs/{self.evidence.name} "
        return (
            f"undertone-train fit --recipe {info.recipe.name} --protocol final "
            f"{confidence}--seed {info.seed}"
        )

    def bundle(self, name: str, fidelity: Fidelity) -> Bundle:
        """The bundle with its figures; raises PromotionError if the int8 model differs too much."""
        from undertone_training.evaluation.evaluate import cost_of

        fidelity.require()
        bundle = bundle_of(self.run, name)
        extra = {
            **self.figures["extra"],
            **msgspec.to_builtins(cost_of(self.run)),
            "window_agreement": round(fidelity.window_agreement, 4),
            "command": self.command(name),
            **_noise(self.run.report, bundle.manifest.model_sha256),
        }
        return with_figures(bundle, {**self.figures, "extra": extra})

    def write(self, bundle: Bundle, folder: Path) -> None:
        """Write ``bundle`` with its report and its model card."""
        note = f"the weights that ship · {len(self.run.info.train_speakers)} speakers"
        curves = pictures.png(pictures.curves(self.run.epochs(), note))
        conditions = conditions_of(self.run, self.evidence)
        manifest = msgspec.to_builtins(bundle.manifest)
        card = model_card(manifest, self.report, conditions=conditions)
        own = {each.file_name: report_json(each) for each in conditions.values()}
        own["training.png"] = curves
        if corpora := [row for each in conditions.values() for row in curves_of(each)]:
            own[COVERAGE_PICTURE] = pictures.png(pictures.coverage_by_corpus(corpora))
        write_bundle(bundle, folder, self.report, own, card)


def conditions_of(run: Run, evidence: Path) -> dict[str, ConditionsReport]:
    """The reports on a run, in cross-corpus also on the corpus that each fold left out.

    evidence: the folder with the folds.  Raises RunError for a report that can't be read.
    """
    sha256 = run.tflite_sha256
    found = load_reports(run.report, sha256)
    if not run.info.recipe.beside:
        return found
    own = found.get("cross-corpus", ConditionsReport("cross-corpus", sha256, ()))
    for fold in find_runs(evidence):
        same = (fold.info.recipe, fold.info.seed) == (run.info.recipe, run.info.seed)
        if same and (left_out := left_out_report(fold)):
            own = ConditionsReport(
                own.protocol,
                sha256,
                (*own.conditions, *left_out.conditions),
                tuple(dict.fromkeys((*own.notes, *left_out.notes))),
            )
    return found | {own.protocol: own} if own.conditions else found


def left_out_report(fold: Run) -> ConditionsReport | None:
    """What ``evaluate`` wrote on the corpus that a fold left out, through the device path."""
    report = load_reports(fold.report, fold.tflite_sha256).get("cross-corpus")
    conditions = {each.condition for each in report.conditions} if report else {}
    return report if conditions == {LEAVE_ONE_CORPUS_OUT} else None


def candidate(run: Run, evidence: Path) -> Candidate:
    """A run with the evidence for its recipe.

    Raises PromotionError for a run that is not final, that learnt from a corpus without a licence
    for its weights, or if int8 loses more than half a point of UAR on the speakers that the folds
    held out; RunError without a report for its recipe.
    """
    info = run.info
    if info.split != "final":
        raise PromotionError(
            f"{run.folder} was trained on the split {info.split}: promote a run of "
            "`undertone-train fit --protocol final`, which was trained on all training actors."
        )
    if barred := unlicensed(info.corpora):
        raise PromotionError(
            f"{run.folder} learnt from {', '.join(barred)}, whose terms give no licence for "
            "weights that are passed on: train without it, and only test on it, with "
            "`undertone-train evaluate --protocol cross-corpus`."
        )
    report, figures = _evidence(evidence, info.recipe)
    seeds = figures["extra"]["seeds"]
    require_small_loss(seeds["float"]["uar"]["mean"], seeds["int8"]["uar"]["mean"])
    return Candidate(run, evidence, report, figures)


def _noise(folder: Path, model_sha256: str) -> dict[str, Any]:
    """The false alarms of these weights by kind, if ``evaluate --protocol noise`` was run."""
    try:
        report = NoiseReport.load(folder)
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


def _evidence(folder: Path, recipe: Recipe) -> tuple[Path, dict[str, Any]]:
    """The report over all folds of the first seed, and its figures with the spread of seeds."""
    evidence = LEAVE_ONE_CORPUS_OUT if recipe.beside else EVIDENCE
    try:
        pooled = Pooled.load(folder / "report" / f"{evidence}.json")
        report = folder / "report" / evidence / f"seed{pooled.seeds[0]}"
        figures: dict[str, Any] = json.loads((report / "figures.json").read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"There is no {evidence} report in {folder}: run `undertone-train fit --recipe "
            f"{recipe.name} --protocol {evidence}`, `quantize` and `evaluate` first."
        ) from error
    if pooled.recipe != recipe:
        raise RunError(
            f"The report in {folder} is of an earlier version of the recipe {pooled.recipe.name} "
            "than the run's: train and evaluate the folds again."
        )
    extra = figures["extra"]
    extra["seeds"] = {"numbers": list(pooled.seeds), **msgspec.to_builtins(pooled.forms)}
    if pooled.verdicts:
        extra["verdicts"] = msgspec.to_builtins(pooled.verdicts)
    if live := _live(folder, recipe):
        extra["live"] = live
    return report, figures


def _live(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """The results of ``evaluate --protocol live`` for the recipe, by condition that was run."""
    found = {}
    for name in (condition.name for condition in CONDITIONS):
        try:
            pooled = Pooled.load(folder / "report" / f"{file_name(name)}.json")
        except FileNotFoundError:
            continue
        if pooled.recipe == recipe and pooled.live:
            found[name] = {
                "protocol": pooled.protocol,
                "uar": msgspec.to_builtins(pooled.forms["int8"].uar),
                "seeds": len(pooled.seeds),
                "missed_clips": pooled.live.missed_clips,
                "false_segments": pooled.live.false_segments,
            }
    return found
