"""``undertone-train evaluate``: figures of runs and bundles on clips they were not trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.evaluation.conditions import ConditionPredictions, ConditionsReport
    from undertone_training.evaluation.false_alarms import NoiseReport
    from undertone_training.evaluation.results import LiveCounts, Outcome
    from undertone_training.features.cache import FeatureCache
    from undertone_training.learning.runs import Run
    from undertone_training.metrics import Predictions
    from undertone_training.report.outcomes import PooledReports, Report


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train evaluate runs/compact
  undertone-train evaluate runs/compact --protocol live
  undertone-train evaluate runs/compact/final --protocol cross-corpus
  undertone-train evaluate runs/compact --protocol degraded --jobs 4
  undertone-train evaluate runs/compact/final --protocol noise
  undertone-train evaluate runs/compact/final --split validation
  undertone-train evaluate models/ravdess8-compact --to report
  undertone-train evaluate ravdess8-compact --protocol cross-corpus --corpus casia --corpus ased
""",
)
@click.argument("folder", type=common.STORED_FOLDER)
@common.data
@common.cache
@common.jobs_at_once
@common.scheduler
@click.option(
    "--protocol",
    type=click.Choice(["own", "cross-corpus", "degraded", "known-voice", "live", "noise"]),
    default="own",
    show_default=True,
    help="own: the clips that each run's protocol held out; live: the same in one long "
    "recording, through the device path; cross-corpus: every corpus that no training saw; "
    "degraded: held-out speakers on the telephone, in a room, among voices; known-voice: after "
    "other speech of the same speaker; noise: recorded noise, tones and music, in which every "
    "segment is false.",
)
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    help="For cross-corpus, degraded and known-voice: only this corpus; may be repeated.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="For the same: of each corpus at most so many clips, drawn at random with seed 0.",
)
@click.option(
    "--split",
    "side",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which clips; of a final run and of a bundle, test is RAVDESS's actors 21-24.",
)
@click.option(
    "--seed",
    "seeds",
    type=common.SEED,
    multiple=True,
    help="Only the runs with this seed; may be repeated.",
)
@click.option(
    "--to",
    type=common.FOLDER,
    help="Folder of a bundle's report.  [default: report-NAME; runs have theirs in FOLDER]",
)
def command(
    folder: Path,
    data: Path,
    cache: Path,
    jobs: int | None,
    scheduler: str | None,
    protocol: str,
    corpora: tuple[str, ...],
    sample: int | None,
    side: str,
    seeds: tuple[int, ...],
    to: Path | None,
) -> None:
    """Test every quantised run in FOLDER, float and int8, or the bundle that FOLDER contains or is
    called.

    Each run gets its own report; the folds of one recipe and protocol are combined in report/ of
    the recipe's folder, with mean and deviation over seeds.
    """
    from undertone.recognition.bundle import MANIFEST_FILE, installed_bundles
    from undertone_training.errors import RunError
    from undertone_training.learning.runs import find_runs

    if side == "validation" and protocol != "own":
        raise click.UsageError(f"--split validation goes with --protocol own, not {protocol}.")
    if (corpora or sample) and protocol not in _WITH_CONDITIONS:
        raise click.UsageError(
            f"--corpus and --sample go with --protocol {', '.join(_WITH_CONDITIONS)}."
        )
    if not folder.exists():
        folder = installed_bundles().get(str(folder), folder)
    if (folder / MANIFEST_FILE).is_file():
        if side == "validation" or protocol == "live":
            raise click.UsageError(
                "A bundle is tested on --split test or --protocol "
                f"{', '.join(_WITH_CONDITIONS)} or noise."
            )
        _evaluate_bundle(folder, data, protocol, corpora, sample, to)
        return
    if scheduler:
        folder = folder.absolute()
    features = common.feature_cache(cache, jobs, scheduler)
    try:
        found = find_runs(folder)
    except RunError as error:
        if folder.exists():
            raise
        raise RunError(
            f"There is no folder {folder}, and no bundle of that name: known are "
            f"{', '.join(installed_bundles())}."
        ) from error
    runs = [run for run in found if not seeds or run.info.seed in seeds]
    if not runs:
        raise click.BadParameter(f"No run in {folder} has one of these.", param_hint="--seed")
    if to:
        raise click.UsageError("--to is for a bundle; the reports of runs are in their folders.")
    if protocol == "noise":
        _evaluate_in_noise(runs, data, features)
    else:
        _evaluate_runs(folder, runs, data, features, protocol, side, corpora, sample)


_WITH_CONDITIONS = ("cross-corpus", "degraded", "known-voice")
"""The protocols with a row for each corpus and condition."""


def _evaluate_runs(
    folder: Path,
    runs: "Sequence[Run]",
    data: Path,
    features: "FeatureCache",
    protocol: str,
    side: str,
    corpora: Sequence[str],
    sample: int | None,
) -> None:
    from undertone_training.corpora.splits import PRE_TRAINING
    from undertone_training.evaluation.test_clips import select_tests

    clips = common.clips_by_id(data)
    tests, notes, left_out = select_tests(protocol, runs, clips, side, corpora, sample)
    common.load_tensorflow()
    from undertone_training.learning.calibration import calibrate, from_cache
    from undertone_training.report import evaluations

    sources = evaluations.BackgroundSources.found(data, clips.values())
    if protocol == "live" and not sources.noise:
        left_out.append(f"no recordings in {data / 'noise'} of a kind for tests: not in noise")
    if protocol == "live" and not sources.voices:
        left_out.append(f"no clips of CREMA-D or nEMO in {data}: not among voices")
    for run in calibrate(runs, from_cache(tuple(clips.values()), features)):
        alone = run.info.split in ("final", PRE_TRAINING)
        until = "" if alone else " until the other folds are trained"
        left_out.append(f"{run.folder}: has no temperature or threshold{until}")
    for reason in left_out:
        click.echo(reason, err=True)
    conditions: evaluations.WrittenConditions = []
    pooled_reports: Sequence[PooledReports] = ()
    if protocol == "live":
        pooled_reports = evaluations.report_live(folder, tests, sources, features, _print_live)
    elif protocol == "cross-corpus":
        conditions, pooled_reports = evaluations.report_cross_corpus(
            folder, tests, data, list(clips.values()), features, notes, _print_report
        )
    elif protocol == "own":
        pooled_reports = evaluations.report_whole_clips(folder, tests, features, _print_run)
    else:
        conditions = evaluations.report_on_device(
            folder, protocol, tests, data, list(clips.values()), features, notes
        )
    for path, each in conditions:
        _print_conditions(path, each)
    for pooled in pooled_reports:
        for reason in pooled.left_out:
            click.echo(reason, err=True)
        for report in pooled.reports:
            if pooled.n_runs > 1:
                _print_run(report)
            _print_path(report.folder)


def _evaluate_bundle(
    folder: Path,
    data: Path,
    protocol: str,
    corpora: Sequence[str],
    sample: int | None,
    to: Path | None,
) -> None:
    """Test the bundle itself, through the device path."""
    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier
    from undertone_training.evaluation.conditions import ConditionsReport, figures_of
    from undertone_training.evaluation.device_protocols import bundle_on_device
    from undertone_training.evaluation.false_alarms import count_false_alarms
    from undertone_training.evaluation.inference import through_device
    from undertone_training.evaluation.test_clips import bundle_test, corpora_left_out
    from undertone_training.report.outcomes import write_bundle_report

    loaded = bundle.load(folder)
    manifest = loaded.manifest
    classifier = Classifier(loaded)
    to = to or Path(f"report-{manifest.name}")
    if protocol == "noise":
        alarms = count_false_alarms(classifier, data, f"{manifest.name} noise", common.progress)
        _print_false_alarms(manifest.name, alarms.save(to), alarms)
        return
    clips = list(common.clips_by_id(data).values())
    if protocol == "own":
        test, name = bundle_test(manifest, clips)
        with common.progress(name, len(test)) as step:
            result = through_device(test, classifier, step)
        report = write_bundle_report(to, loaded, classifier.runtime, name, result.predictions, test)
        _print_figures(report.title, report.predictions)
        _print_path(report.folder)
        return
    tested: list[ConditionPredictions] = []
    notes: list[str] = []
    if protocol != "degraded" and not corpora:
        notes = corpora_left_out(clips, manifest.training.corpora, manifest.labels)
    for found in bundle_on_device(protocol, classifier, clips, corpora, sample, common.progress):
        tested += found.results
        notes += found.notes
        if protocol == "cross-corpus":
            (result,) = found.results
            name = f"cross-corpus ({result.corpus})"
            report = write_bundle_report(
                to, loaded, classifier.runtime, name, result.predictions, found.clips
            )
            _print_path(report.folder)
    conditions = ConditionsReport(
        protocol,
        manifest.model_sha256,
        tuple(map(figures_of, tested)),
        tuple(dict.fromkeys(notes)),
    )
    _print_conditions(conditions.save(to), conditions)


def _print_conditions(path: Path, report: "ConditionsReport") -> None:
    from undertone_training.report.conditions import COLUMNS

    common.column_table(report.conditions, COLUMNS, left=2)
    for note in report.notes:
        click.echo(note, err=True)
    common.echo(f"{path}: written")


def _evaluate_in_noise(runs: "Sequence[Run]", data: Path, features: "FeatureCache") -> None:
    from undertone_training.report.evaluations import report_noise

    found = report_noise(runs, data, features)
    for run, (path, report) in zip(runs, found, strict=True):
        _print_false_alarms(str(run.folder), path, report)


def _print_false_alarms(name: str, path: Path, report: "NoiseReport") -> None:
    click.echo(f"{name:<40}{'minutes':>9}{'segments':>10}{'named':>7}{'per 10 min':>12}")
    for each in (*report.sounds, *report.totals()):
        click.echo(
            f"{each.sound:<40}{each.duration_s / 60:>9.1f}{each.segments:>10}{each.named:>7}"
            f"{each.per_10_min:>12.1f}"
        )
    trained_with = ", ".join(each.sound for each in report.sounds if each.trained_with)
    click.echo(f"Added to the training copies: {trained_with or 'none of them'}.")
    common.echo(f"{path}: written")


def _print_live(outcome: "Outcome") -> None:
    title = f"{outcome.run.folder} {outcome.protocol}"
    _print_figures(title, outcome.predictions, outcome.live)


def _print_run(report: "Report") -> None:
    _print_figures(report.title, report.predictions)


def _print_report(report: "Report") -> None:
    _print_run(report)
    _print_path(report.folder)


def _print_figures(
    title: str, predictions: "Mapping[str, Predictions]", counts: "LiveCounts | None" = None
) -> None:
    from undertone_training.metrics import figures
    from undertone_training.report.protocols import percent, percent_interval

    for form, each in predictions.items():
        found = figures(each)
        line = (
            f"{title}, {form}: UAR {percent(found.uar)} ({percent_interval(found.uar_interval95)})"
            f", accuracy {percent(found.accuracy)}"
        )
        if counts:
            line += (
                f", {counts.missed_clips} of {counts.clips} clips missed, "
                f"{counts.false_segments} segments of noise in {counts.recording_s / 60:.0f} min"
            )
        common.echo(line)


def _print_path(folder: Path) -> None:
    common.echo(f"{folder / 'report.html'}: written")
