"""``undertone-train evaluate``: figures of runs and bundles on clips they were not trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone.recognition.classifier import Classifier
    from undertone_training.evaluation.results import LiveCounts, Outcome
    from undertone_training.learning.runs import Run
    from undertone_training.metrics import Predictions


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train evaluate runs/compact
  undertone-train evaluate runs/compact --protocol live
  undertone-train evaluate runs/compact/final --protocol cross-corpus
  undertone-train evaluate runs/compact/final --protocol noise
  undertone-train evaluate runs/compact/final --split validation
  undertone-train evaluate models/ravdess8-compact --to report
""",
)
@click.argument("folder", type=common.FOLDER)
@common.data
@common.cache
@common.jobs
@click.option(
    "--protocol",
    type=click.Choice(["own", "cross-corpus", "live", "noise"]),
    default="own",
    show_default=True,
    help="own: the clips that each run's protocol held out; live: the same in one long "
    "recording, through the device path; cross-corpus: every other corpus available; noise: "
    "recorded noise, tones and music, in which every segment is false.",
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
    protocol: str,
    side: str,
    seeds: tuple[int, ...],
    to: Path | None,
) -> None:
    """Test every quantised run in FOLDER, float and int8, or the bundle that FOLDER contains.

    Each run gets its own report; the folds of one recipe and protocol are combined in report/ of
    the recipe's folder, with mean and deviation over seeds.
    """
    from undertone.recognition.bundle import MANIFEST_FILE
    from undertone_training.learning.runs import find_runs

    if side == "validation" and protocol != "own":
        raise click.UsageError(f"--split validation goes with --protocol own, not {protocol}.")
    if (folder / MANIFEST_FILE).is_file():
        if side == "validation" or protocol == "live":
            raise click.UsageError(
                "A bundle is tested on --split test or --protocol cross-corpus or noise."
            )
        _evaluate_bundle(folder, data, protocol, to)
        return
    runs = [run for run in find_runs(folder) if not seeds or run.info.seed in seeds]
    if not runs:
        raise click.BadParameter(f"No run in {folder} has one of these.", param_hint="--seed")
    if to:
        raise click.UsageError("--to is for a bundle; the reports of runs are in their folders.")
    if protocol == "noise":
        _evaluate_in_noise(runs, data)
    else:
        _evaluate_runs(folder, runs, data, cache, jobs, protocol, side)


def _evaluate_runs(
    folder: Path,
    runs: "Sequence[Run]",
    data: Path,
    cache: Path,
    jobs: int | None,
    protocol: str,
    side: str,
) -> None:
    from undertone_training.corpora.noise import for_testing
    from undertone_training.evaluation.test_clips import cross_corpus_tests, held_out_tests
    from undertone_training.report.outcomes import write_pooled, write_run

    clips = common.clips_by_id(data)
    features = common.feature_cache(cache, jobs)
    cross_corpus = protocol == "cross-corpus"
    tests, left_out = (
        (cross_corpus_tests(runs, clips.values()), [])
        if cross_corpus
        else held_out_tests(runs, clips, side)
    )
    noise = for_testing(data).files
    if protocol == "live" and not noise:
        left_out.append(f"no recordings in {data / 'noise'}: only without noise")
    common.load_tensorflow()
    from undertone_training.evaluation.evaluate import evaluate, evaluate_live
    from undertone_training.learning.calibration import calibrate, from_cache

    for run in calibrate(runs, from_cache(clips.values(), features)):
        left_out.append(
            f"{run.folder}: has no temperature or threshold until the other folds are trained"
        )
    for reason in left_out:
        click.echo(reason, err=True)
    outcomes: list[Outcome] = []
    for test in tests:
        if protocol == "live":
            for outcome in evaluate_live(test, noise):
                outcomes.append(outcome)
                title = f"{test.run.folder} {outcome.protocol}"
                _print_figures(title, outcome.predictions, outcome.live)
            continue
        outcomes.append(evaluate(test, features))
        report = write_run(outcomes[-1], test.report)
        _print_figures(report.title, report.predictions)
        if cross_corpus:
            _print_path(report.folder)
    for pooled in write_pooled(folder, outcomes, by_seed=not cross_corpus):
        for reason in pooled.left_out:
            click.echo(reason, err=True)
        for report in pooled.reports:
            if pooled.n_runs > 1:
                _print_figures(report.title, report.predictions)
            _print_path(report.folder)


def _evaluate_bundle(folder: Path, data: Path, protocol: str, to: Path | None) -> None:
    """Test the bundle itself through the device path."""
    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier
    from undertone_training.evaluation.inference import through_device
    from undertone_training.evaluation.test_clips import bundle_tests
    from undertone_training.report.outcomes import write_bundle_report

    loaded = bundle.load(folder)
    classifier = Classifier(loaded)
    to = to or Path(f"report-{loaded.manifest.name}")
    if protocol == "noise":
        _count_false_alarms(classifier, data, to, loaded.manifest.name)
        return
    clips = common.clips_by_id(data).values()
    tests = bundle_tests(loaded.manifest, clips, cross_corpus=protocol == "cross-corpus")
    for name, test in tests.items():
        with common.progress(name, len(test)) as step:
            predictions = through_device(test, classifier, step)
        report = write_bundle_report(to, loaded, classifier.runtime, name, predictions, test)
        _print_figures(report.title, report.predictions)
        _print_path(report.folder)


def _evaluate_in_noise(runs: "Sequence[Run]", data: Path) -> None:
    from undertone.recognition.classifier import Classifier
    from undertone_training.export.bundle import bundle_of

    for run in runs:
        classifier = Classifier(bundle_of(run, run.info.recipe.name))
        _count_false_alarms(classifier, data, run.report, str(run.folder))


def _count_false_alarms(classifier: "Classifier", data: Path, folder: Path, name: str) -> None:
    """Write and print the false alarms of one model."""
    from undertone_training.evaluation.false_alarms import count_false_alarms

    report = count_false_alarms(classifier, data, f"{name} noise", common.progress)
    path = report.save(folder)
    click.echo(f"{name:<40}{'minutes':>9}{'segments':>10}{'named':>7}{'per 10 min':>12}")
    for each in (*report.sounds, *report.totals()):
        click.echo(
            f"{each.sound:<40}{each.duration_s / 60:>9.1f}{each.segments:>10}{each.named:>7}"
            f"{each.per_10_min:>12.1f}"
        )
    trained_with = ", ".join(each.sound for each in report.sounds if each.trained_with)
    click.echo(f"Added to the training copies: {trained_with or 'none of them'}.")
    click.echo(f"{path}: written")


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
        click.echo(line)


def _print_path(folder: Path) -> None:
    click.echo(f"{folder / 'report.html'}: written")
