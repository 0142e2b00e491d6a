"""``undertone-train evaluate``: figures of runs and bundles on clips that they never saw."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone.recognition.classifier import Classifier
    from undertone_training.corpora.clip import Clip
    from undertone_training.evaluation.results import LiveCounts, Outcome
    from undertone_training.learning.runs import Run
    from undertone_training.metrics import Predictions


@click.command(
    epilog="""\b
Examples:
  undertone-train evaluate runs/compact
  undertone-train evaluate runs/compact --protocol live
  undertone-train evaluate runs/compact/final --protocol cross-corpus
  undertone-train evaluate runs/compact/final --protocol noise
  undertone-train evaluate runs/compact/final --split validation
  undertone-train evaluate models/ravdess8-compact --to report
"""
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
    "recording, through the device path; cross-corpus: every other corpus at hand; noise: "
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
    help="Only the runs of this seed; may be repeated.",
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
    """Test every quantised run in FOLDER, float and int8, or the bundle that FOLDER holds.

    Each run gets a report of its own; the folds of one recipe and protocol are put together in
    the recipe's folder, report/, with mean and deviation over seeds.
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
        if protocol == "noise":
            _bundle_in_noise(folder, data, to)
        else:
            _bundle(folder, common.clips_by_id(data), protocol, to)
        return
    runs = [run for run in find_runs(folder) if not seeds or run.info.seed in seeds]
    if not runs:
        raise click.BadParameter(f"No run in {folder} has one of these.", param_hint="--seed")
    if to:
        raise click.UsageError("--to is for a bundle; the reports of runs stand beside them.")
    if protocol == "noise":
        _in_noise(runs, data)
        return
    clips = common.clips_by_id(data)
    _close(runs, clips, cache, jobs)
    if protocol == "cross-corpus":
        results = _cross_corpus(runs, clips, cache, jobs)
        _pool(folder, results, by_seed=False)
    elif protocol == "live":
        _pool(folder, _live(runs, clips, data))
    else:
        _pool(folder, _own(runs, clips, side, cache, jobs))


def _close(
    runs: "Sequence[Run]", clips: "Mapping[str, Clip]", cache: Path, jobs: int | None
) -> None:
    """Find temperature and threshold for the runs that validated on nobody."""
    if all(run.calibration.temperature is not None for run in runs):
        return
    common.load_tensorflow()
    from undertone_training.learning.calibration import close

    left = []
    for recipe in dict.fromkeys(run.info.recipe for run in runs):  # each with features of its own
        left += close(
            [run for run in runs if run.info.recipe == recipe],
            partial(common.held_out_features, clips, recipe, cache, jobs),
        )
    for run in left:
        click.echo(
            f"{run.folder}: its confidence stays open until other folds are trained", err=True
        )


def _own(
    runs: "Sequence[Run]", clips: "Mapping[str, Clip]", side: str, cache: Path, jobs: int | None
) -> "list[Outcome]":
    """Each run on the clips that it held out."""
    from undertone_training.evaluation.test_clips import chosen, held_out

    def tested(run: "Run") -> "tuple[list[Clip], str]":
        if side == "test":
            return held_out(run.info, clips)
        validation = chosen(clips, run.info.validation)
        return validation, f"{run.info.protocol} (validation actors)"

    return [
        _test(run, test, protocol, side, cache, jobs)
        for run, test, protocol in _at_hand(runs, tested)
    ]


def _cross_corpus(
    runs: "Sequence[Run]", clips: "Mapping[str, Clip]", cache: Path, jobs: int | None
) -> "list[Outcome]":
    """Each run on every corpus that it was not trained on, as far as its labels go."""
    from undertone_training.evaluation.test_clips import foreign

    return [
        _test(run, test, f"cross-corpus ({corpus})", f"cross-corpus-{corpus}", cache, jobs)
        for run in runs
        for corpus, test in foreign(clips.values(), run.info.corpora, run.info.labels).items()
    ]


def _live(runs: "Sequence[Run]", clips: "Mapping[str, Clip]", data: Path) -> "list[Outcome]":
    """Each run's held-out clips in one long recording, in quiet and in noise."""
    from undertone_training.corpora.noise import for_testing
    from undertone_training.evaluation.results import LiveCounts, Outcome
    from undertone_training.evaluation.streaming import condition
    from undertone_training.evaluation.test_clips import held_out

    noise = for_testing(data).files
    if not noise:
        click.echo(f"no recordings in {data / 'noise'}: only without noise", err=True)
    results = []
    for run, test, protocol in _at_hand(runs, lambda run: held_out(run.info, clips)):
        common.load_tensorflow()
        from undertone_training.evaluation.evaluate import cost_of, evaluate_live

        cost = cost_of(run)
        for snr_db, heard in evaluate_live(run, test, noise).items():
            name = condition(snr_db)
            counts = LiveCounts(
                len(test), heard.missed, heard.false_segments, round(heard.recording_s, 1)
            )
            if protocol != "speaker-independent":
                name = f"{name}, {protocol}"
            predictions = {"int8": heard.predictions}
            results.append(Outcome(run, name, predictions, cost, counts, clips=test))
            _say(f"{run.folder} {name}", results[-1].predictions, counts)
    return results


def _at_hand(
    runs: "Sequence[Run]", tested: "Callable[[Run], tuple[list[Clip], str]]"
) -> "list[tuple[Run, list[Clip], str]]":
    """The runs whose clips are there, with them and the protocol; the others are told.

    Raises SplitError where that is none: who has not actors 21-24 still gets the folds.
    """
    from undertone_training.errors import SplitError

    found, reasons = [], []
    for run in runs:
        try:
            found.append((run, *tested(run)))
        except SplitError as error:
            reasons.append((run, error))
    if not found:
        raise reasons[0][1]
    for run, reason in reasons:
        click.echo(f"{run.folder} is left out: {reason}", err=True)
    return found


def _test(
    run: "Run", clips: "Sequence[Clip]", protocol: str, name: str, cache: Path, jobs: int | None
) -> "Outcome":
    """Test a run and write its own report."""
    import msgspec

    from undertone_training.evaluation.results import Outcome, Verdicts
    from undertone_training.report import write_report

    info, calibration = run.info, run.calibration
    features = common.features_of(clips, info.recipe, cache, jobs, str(run.folder))
    common.load_tensorflow()
    from undertone_training.evaluation.embeddings import map_run
    from undertone_training.evaluation.evaluate import cost_of, evaluate_run, forms_of

    predictions = evaluate_run(run, features, forms_of(run))
    cost = cost_of(run)
    placed = map_run(run, features)
    write_report(
        run.report / name,
        f"{info.recipe.name}, {info.split}, seed {info.seed}",
        protocol,
        predictions,
        run.epochs(),
        {
            "seed": info.seed,
            "split": info.split,
            "commit": info.commit,
            "machine": info.machine,
            "temperature": calibration.temperature,
            "confidence_threshold": calibration.threshold,
            **msgspec.to_builtins(cost),
        },
        clips,
        [placed] if placed else [],
    )
    _say(f"{run.folder} {protocol}", predictions)
    *_, shipped = predictions.values()
    verdicts = Verdicts.of(shipped, calibration.confidence[1])
    return Outcome(run, protocol, predictions, cost, None, verdicts, clips, placed)


def _pool(folder: Path, results: "Sequence[Outcome]", by_seed: bool = True) -> None:
    """Put together what belongs together: one recipe under one protocol."""
    groups: dict[tuple[Path, str], list[Outcome]] = defaultdict(list)
    for each in results:
        groups[_home(folder, each.run), each.protocol].append(each)
    for (home, protocol), group in groups.items():
        _pool_one(home / "report", protocol, group, by_seed)


def _home(folder: Path, run: "Run") -> Path:
    """The recipe's folder, or what was asked for where that is inside of it."""
    inside = len(run.folder.relative_to(folder).parts) < 2
    return folder if inside else run.folder.parent.parent


def _pool_one(folder: Path, protocol: str, group: "Sequence[Outcome]", by_seed: bool) -> None:
    """A report over all folds of each seed, and one file with the spread over the seeds.

    by_seed False: the runs were tested on the same clips and each stands for itself.
    """
    import msgspec

    from undertone_training.evaluation.results import (
        Pooled,
        file_name,
        mean_cost,
        one_recipe,
        pool,
        same_folds,
        total,
    )
    from undertone_training.evaluation.test_clips import shortfall
    from undertone_training.metrics import Predictions
    from undertone_training.report import write_report

    recipe = one_recipe(group)
    name = file_name(protocol)
    if by_seed:
        replicates, left_out = same_folds(group)
        for reason in left_out:
            click.echo(f"{protocol}: {reason}", err=True)
        speakers = {name for each in replicates[0] for name in _heard(each)}
        protocol += shortfall(group[0].run.info.protocol, len(replicates[0]), len(speakers))
    else:
        replicates = [[each] for each in group]
    kept = [each for replicate in replicates for each in replicate]
    cost = mean_cost([each.cost for each in kept])
    splits = sorted({each.run.info.split for each in kept})
    joined = [
        {
            form: Predictions.concatenate([each.predictions[form] for each in replicate])
            for form in replicate[0].predictions
        }
        for replicate in replicates
    ]
    if by_seed:
        for replicate, predictions in zip(replicates, joined, strict=True):
            seed = replicate[0].run.info.seed
            write_report(
                folder / name / f"seed{seed}",
                recipe.name,
                protocol,
                predictions,
                {},
                {"seed": seed, "splits": splits, **msgspec.to_builtins(cost)},
                [clip for each in replicate for clip in each.clips],
                [each.map for each in replicate if each.map],
            )
            if len(group) > 1:
                _say(f"{recipe.name} {protocol} seed {seed}", predictions)
    seeds = tuple(sorted({each.run.info.seed for each in kept}))
    live = total([each.live for each in kept if each.live])
    verdicts = total([each.verdicts for each in kept if each.verdicts])
    pooled = Pooled(recipe, protocol, seeds, tuple(splits), pool(joined), cost, live, verdicts)
    pooled.save(folder / f"{name}.json")


def _heard(outcome: "Outcome") -> tuple[str, ...]:
    """The speakers whom a run was tested on."""
    return next(iter(outcome.predictions.values())).speakers


def _bundle(folder: Path, clips: "Mapping[str, Clip]", protocol: str, to: Path | None) -> None:
    """The bundle itself, through the device path."""
    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier
    from undertone_training.evaluation.inference import through_device
    from undertone_training.evaluation.results import file_name
    from undertone_training.evaluation.test_clips import final_test, foreign, require_unheard
    from undertone_training.report import write_report

    loaded = bundle.load(folder)
    manifest, training = loaded.manifest, loaded.manifest.training
    classifier = Classifier(loaded)
    if protocol == "cross-corpus":
        found = foreign(clips.values(), training.corpora, manifest.labels)
        tests = {f"cross-corpus ({corpus})": test for corpus, test in found.items()}
    else:
        test, name = final_test(clips.values(), manifest.labels)
        require_unheard(test, training)
        tests = {name: test}
    to = to or Path(f"report-{manifest.name}")
    for name, test in tests.items():
        with common.progress(name, len(test)) as step:
            predictions = {"int8": through_device(test, classifier, lambda: step(""))}
        extra = {
            "recipe": training.recipe.get("name"),
            "seed": training.seed,
            "confidence_threshold": manifest.confidence_threshold,
            "model_sha256": manifest.model_sha256,
            "model_bytes": len(loaded.model),
            "runtime": classifier.runtime,
        }
        title = f"{manifest.name} {manifest.version}"
        write_report(to / file_name(name), title, name, predictions, {}, extra, test)
        _say(f"{manifest.name} {name}", predictions)
    click.echo(f"{to}: reports written")


def _in_noise(runs: "Sequence[Run]", data: Path) -> None:
    """Each run on sounds that are no speech; the report stands in the run's folder."""
    from undertone.recognition.classifier import Classifier
    from undertone_training.export.bundle import bundle_of

    for run in runs:
        classifier = Classifier(bundle_of(run, run.info.recipe.name))
        _noise_report(classifier, data, run.report, str(run.folder))


def _bundle_in_noise(folder: Path, data: Path, to: Path | None) -> None:
    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier

    loaded = bundle.load(folder)
    name = loaded.manifest.name
    _noise_report(Classifier(loaded), data, to or Path(f"report-{name}"), name)


def _noise_report(classifier: "Classifier", data: Path, folder: Path, name: str) -> None:
    """Write and print the false segments of one model."""
    from undertone_training.evaluation.false_alarms import FILE, listen, sounds

    count = sum(1 for _ in sounds(data))
    with common.progress(f"{name} noise", count) as step:
        report = listen(classifier, data, lambda: step(""))
    report.save(folder / FILE)
    click.echo(f"{name:<40}{'minutes':>9}{'segments':>10}{'named':>7}{'per 10 min':>12}")
    for each in (*report.sounds, *report.totals()):
        click.echo(
            f"{each.sound:<40}{each.duration_s / 60:>9.1f}{each.segments:>10}{each.named:>7}"
            f"{each.per_10_min:>12.1f}"
        )
    trained_with = ", ".join(each.sound for each in report.sounds if each.trained_with)
    click.echo(f"Training mixes these into its copies: {trained_with or 'none of them'}.")


def _say(
    what: str, predictions: "Mapping[str, Predictions]", counts: "LiveCounts | None" = None
) -> None:
    from undertone_training.metrics import figures
    from undertone_training.report.protocols import percent, percent_interval

    for form, each in predictions.items():
        found = figures(each)
        line = (
            f"{what}, {form}: UAR {percent(found.uar)} ({percent_interval(found.uar_interval95)}), "
            f"accuracy {percent(found.accuracy)}"
        )
        if counts:
            line += (
                f", {counts.missed_clips} of {counts.clips} clips missed, "
                f"{counts.false_segments} segments of noise in {counts.recording_s / 60:.0f} min"
            )
        click.echo(line)
