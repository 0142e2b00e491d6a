"""Reports on evaluated models: one run, all folds of a recipe together, or a bundle."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from undertone.recognition.bundle import Bundle
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.conditions import (
    ConditionPredictions,
    ConditionsReport,
    figures_of,
    joined,
)
from undertone_training.evaluation.results import (
    Outcome,
    Pooled,
    file_name,
    mean_cost,
    one_recipe,
    pool,
    same_folds,
    save_report,
    total,
)
from undertone_training.evaluation.test_clips import shortfall
from undertone_training.learning.runs import Run
from undertone_training.metrics import Predictions
from undertone_training.report.write import write_report


@dataclass(frozen=True)
class Report:
    """A report that was written: the figures that it shows, and its folder."""

    title: str
    predictions: Mapping[str, Predictions]
    folder: Path


@dataclass(frozen=True)
class PooledReports:
    """The reports of one recipe under one protocol, one for each seed.

    n_runs: number of runs that were combined. left_out: why other runs are not among them.
    """

    reports: Sequence[Report]
    n_runs: int
    left_out: Sequence[str]


def write_run(outcome: Outcome, name: str) -> Report:
    """Write the report of one run, as ``name`` in the run's report folder."""
    run, info, calibration = outcome.run, outcome.run.info, outcome.run.calibration
    folder = run.report / name
    write_report(
        folder,
        f"{info.recipe.name}, {info.split}, seed {info.seed}",
        outcome.protocol,
        outcome.predictions,
        run.epochs(),
        {
            "seed": info.seed,
            "split": info.split,
            "commit": info.commit,
            "machine": info.machine,
            "temperature": calibration.temperature,
            "confidence_threshold": calibration.threshold,
            "without_verdict": calibration.without_verdict,
            **msgspec.to_builtins(outcome.cost),
        },
        outcome.clips,
        [outcome.map] if outcome.map else [],
    )
    return Report(f"{run.folder} {outcome.protocol}", outcome.predictions, folder)


def write_pooled(
    folder: Path, outcomes: Sequence[Outcome], by_seed: bool = True
) -> list[PooledReports]:
    """Combine the runs of each recipe under each protocol, and write their reports.

    They are in ``report/`` of the recipe's folder, or of ``folder`` if that is inside of it: one
    over all folds of each seed, and one file with the spread over the seeds.

    by_seed False: the runs were tested on the same clips, so each is a replicate, and only the
        file is written.
    Raises RunError for different recipes with the same name.
    """
    groups: dict[tuple[Path, str], list[Outcome]] = defaultdict(list)
    for each in outcomes:
        groups[report_folder(each.run, folder), each.protocol].append(each)
    return [
        _write_group(place, protocol, group, by_seed) for (place, protocol), group in groups.items()
    ]


def write_conditions(
    folder: Path,
    protocol: str,
    tested: Sequence[tuple[Run, ConditionPredictions]],
    notes: Sequence[str],
) -> list[tuple[Path, ConditionsReport]]:
    """Write the figures of each run under each condition, and of all folds of a seed together.

    A run's are in its report folder; those of several folds in ``report/PROTOCOL/seedN.json`` of
    the recipe's folder, or of ``folder`` if that is inside of it.
    """
    by_run: dict[Path, list[tuple[Run, ConditionPredictions]]] = defaultdict(list)
    folds: dict[tuple[Path, int], list[tuple[Run, ConditionPredictions]]] = defaultdict(list)
    for run, each in tested:
        by_run[run.folder].append((run, each))
        folds[report_folder(run, folder), run.info.seed].append((run, each))
    written = []
    for pairs in by_run.values():
        run = pairs[0][0]
        figures = tuple(figures_of(each) for _, each in pairs)
        report = ConditionsReport(protocol, run.tflite_sha256, figures, tuple(notes))
        written.append((report.save(run.report), report))
    for (place, seed), pairs in folds.items():
        by_condition: dict[tuple[str, str], list[ConditionPredictions]] = defaultdict(list)
        for _, each in pairs:
            by_condition[each.corpus, each.condition].append(each)
        if protocol == "cross-corpus" or all(len(parts) < 2 for parts in by_condition.values()):
            continue  # the same clips for every run, or one fold only
        figures = tuple(figures_of(joined(parts)) for parts in by_condition.values())
        report = ConditionsReport(protocol, "", figures, tuple(notes))
        path = place / protocol / f"seed{seed}.json"
        save_report(path, report)
        written.append((path, report))
    return written


def report_folder(run: Run, folder: Path) -> Path:
    """Where what is pooled over runs in ``folder`` is: in the recipe's folder, or in ``folder``."""
    inside = len(run.folder.relative_to(folder).parts) < 2
    return (folder if inside else run.folder.parent.parent) / "report"


def _write_group(
    folder: Path, protocol: str, group: Sequence[Outcome], by_seed: bool
) -> PooledReports:
    recipe = one_recipe(group)
    name = file_name(protocol)
    replicates, left_out = same_folds(group) if by_seed else ([[each] for each in group], [])
    left_out = [f"{protocol}: {reason}" for reason in left_out]
    joined = [
        {
            form: Predictions.concatenate([each.predictions[form] for each in replicate])
            for form in replicate[0].predictions
        }
        for replicate in replicates
    ]
    if by_seed:
        speakers = {*next(iter(joined[0].values())).speakers}
        protocol += shortfall(group[0].run.info.protocol, len(replicates[0]), len(speakers))
    kept = [each for replicate in replicates for each in replicate]
    cost = mean_cost([each.cost for each in kept])
    splits = sorted({each.run.info.split for each in kept})
    reports = []
    for replicate, predictions in zip(replicates, joined, strict=True) if by_seed else ():
        seed = replicate[0].run.info.seed
        place = folder / name / f"seed{seed}"
        write_report(
            place,
            recipe.name,
            protocol,
            predictions,
            {},
            {"seed": seed, "splits": splits, **msgspec.to_builtins(cost)},
            [clip for each in replicate for clip in each.clips],
            [each.map for each in replicate if each.map],
        )
        reports.append(Report(f"{recipe.name} {protocol} seed {seed}", predictions, place))
    Pooled(
        recipe,
        protocol,
        tuple(sorted({each.run.info.seed for each in kept})),
        tuple(splits),
        pool(joined),
        cost,
        total([each.live for each in kept if each.live]),
        total([each.verdicts for each in kept if each.verdicts]),
    ).save(folder / f"{name}.json")
    return PooledReports(reports, len(group), left_out)


def write_bundle_report(
    folder: Path,
    bundle: Bundle,
    runtime: str,
    protocol: str,
    predictions: Predictions,
    clips: Sequence[Clip],
) -> Report:
    """Write the report on a bundle under one protocol into ``folder``."""
    manifest, training = bundle.manifest, bundle.manifest.training
    place = folder / file_name(protocol)
    by_form = {"int8": predictions}
    write_report(
        place,
        f"{manifest.name} {manifest.version}",
        protocol,
        by_form,
        {},
        {
            "recipe": training.recipe.get("name"),
            "seed": training.seed,
            "confidence_threshold": manifest.confidence_threshold,
            "without_verdict": manifest.without_verdict,
            "model_sha256": manifest.model_sha256,
            "model_bytes": len(bundle.model),
            "runtime": runtime,
        },
        clips,
    )
    return Report(f"{manifest.name} {protocol}", by_form, place)
