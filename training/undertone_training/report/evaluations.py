"""Tests runs by one protocol, each run as a job of its own, and writes the reports on them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from undertone.recognition.classifier import Classifier
from undertone_training.corpora import scan
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.backgrounds import Background, Sound, backgrounds
from undertone_training.evaluation.conditions import ConditionsReport
from undertone_training.evaluation.device_protocols import CorpusResults, runs_on_device
from undertone_training.evaluation.evaluate import cross_corpus_result, evaluate, evaluate_live
from undertone_training.evaluation.false_alarms import NoiseReport, count_false_alarms
from undertone_training.evaluation.results import Outcome
from undertone_training.evaluation.test_clips import RunTest
from undertone_training.export.bundle import bundle_of
from undertone_training.features.cache import FeatureCache
from undertone_training.jobs import Jobs
from undertone_training.learning.runs import Run
from undertone_training.progress import Progress, silent
from undertone_training.report.outcomes import (
    PooledReports,
    Report,
    write_conditions,
    write_pooled,
    write_run,
)

Result = TypeVar("Result")


def report_whole_clips(
    folder: Path,
    tests: Sequence[RunTest],
    features: FeatureCache,
    on_run: Callable[[Report], None] = lambda report: None,
) -> list[PooledReports]:
    """Test every run on whole clips; see ``write_pooled`` for ``folder``.

    on_run: called with the report of each run as soon as it is written.
    """
    outcomes = _written(tests, features, on_run)
    return write_pooled(folder, outcomes)


def report_cross_corpus(
    folder: Path,
    tests: Sequence[RunTest],
    features: FeatureCache,
    notes: Sequence[str],
    on_run: Callable[[Report], None] = lambda report: None,
) -> tuple[list[tuple[Path, ConditionsReport]], list[PooledReports]]:
    """Test every run on corpora that it was not trained on; see ``write_conditions`` for ``notes``.

    on_run: called with the report of each run on each corpus as soon as it is written.
    """
    outcomes = _written(tests, features, on_run)
    tested = [
        (test.run, cross_corpus_result(test, outcome))
        for test, outcome in zip(tests, outcomes, strict=True)
    ]
    conditions = write_conditions(folder, "cross-corpus", tested, notes)
    return conditions, write_pooled(folder, outcomes, by_seed=False)


@dataclass(frozen=True)
class BackgroundSources:
    """What the backgrounds of the ``live`` protocol are made of; there may be none."""

    noise: Sequence[Path]
    voices: Sequence[Clip]

    def made(self) -> dict[Background, Sound]:
        """The backgrounds; raises AudioSourceError."""
        return backgrounds(self.noise, self.voices, seed=0)


def report_live(
    folder: Path,
    tests: Sequence[RunTest],
    sources: BackgroundSources,
    jobs: Jobs,
    progress: Progress = silent,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[PooledReports]:
    """Test every run by the ``live`` protocol; see ``write_pooled`` for ``folder``.

    on_outcome: called with what each run predicted under each condition.
    """
    jobs = jobs.with_tensorflow
    sounds = sources.made() if jobs.in_this_process(len(tests)) else None
    outcomes = []
    found = jobs.map(_live, [(test, sources, sounds) for test in tests])
    for of_run in _counted(found, "live", len(tests), progress):
        for outcome in of_run:
            outcomes.append(outcome)
            on_outcome(outcome)
    return write_pooled(folder, outcomes)


def results_on_device(
    protocol: str,
    tests: Sequence[RunTest],
    data: Path,
    everyone: Sequence[Clip],
    jobs: Jobs,
    progress: Progress,
) -> list[tuple[Run, CorpusResults]]:
    """See ``runs_on_device``; ``everyone``: all clips below ``data``."""
    jobs = jobs.with_tensorflow
    if jobs.in_this_process(len(tests)):
        return list(runs_on_device(protocol, tests, everyone, progress))
    found = jobs.map(_on_device, [(protocol, test, data) for test in tests])
    return list(_counted(found, protocol, len(tests), progress))


def report_noise_of_each(
    runs: Sequence[Run], data: Path, jobs: Jobs, progress: Progress
) -> Iterator[tuple[Path, NoiseReport]]:
    """See ``report_noise``, for each run."""
    jobs = jobs.with_tensorflow
    if jobs.in_this_process(len(runs)):
        for run in runs:
            yield report_noise(run, data, f"{run.folder} noise", progress)
        return
    found = jobs.map(_noise, [(run, data) for run in runs])
    yield from _counted(found, "noise", len(runs), progress)


def report_noise(run: Run, data: Path, title: str, progress: Progress) -> tuple[Path, NoiseReport]:
    """Count the false alarms of a run in the recordings of noise below ``data``."""
    classifier = Classifier(bundle_of(run, run.info.recipe.name))
    report = count_false_alarms(classifier, data, title, progress)
    return report.save(run.report), report


def _written(
    tests: Sequence[RunTest], features: FeatureCache, on_run: Callable[[Report], None]
) -> list[Outcome]:
    jobs = features.jobs.with_tensorflow
    kept = features
    if not jobs.in_this_process(len(tests)):
        kept = features.in_a_job
        for test in tests:
            features.compute(test.clips, test.run.info.recipe, str(test.run.folder))
    outcomes = []
    for outcome, report in jobs.map(_whole_clips, [(test, kept) for test in tests]):
        outcomes.append(outcome)
        on_run(report)
    return outcomes


def _whole_clips(job: tuple[RunTest, FeatureCache]) -> tuple[Outcome, Report]:
    test, features = job
    outcome = evaluate(test, features)
    return outcome, write_run(outcome, test.report)


def _live(job: tuple[RunTest, BackgroundSources, dict[Background, Sound] | None]) -> list[Outcome]:
    test, sources, sounds = job
    return list(evaluate_live(test, sounds or sources.made()))


def _on_device(job: tuple[str, RunTest, Path]) -> tuple[Run, CorpusResults]:
    protocol, test, data = job
    (found,) = runs_on_device(protocol, [test], scan(data).clips)
    return found


def _noise(job: tuple[Run, Path]) -> tuple[Path, NoiseReport]:
    run, data = job
    return report_noise(run, data, f"{run.folder} noise", silent)


def _counted(
    results: Iterable[Result], title: str, total: int, progress: Progress
) -> Iterator[Result]:
    with progress(title, total) as step:
        for result in results:
            yield result
            step()
