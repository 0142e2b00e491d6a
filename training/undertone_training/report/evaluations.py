"""Tests runs by one protocol, and writes the reports on them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from undertone.recognition.classifier import Classifier
from undertone_training.evaluation.backgrounds import Background, Sound
from undertone_training.evaluation.conditions import ConditionsReport
from undertone_training.evaluation.evaluate import cross_corpus_result, evaluate, evaluate_live
from undertone_training.evaluation.false_alarms import NoiseReport, count_false_alarms
from undertone_training.evaluation.results import Outcome
from undertone_training.evaluation.test_clips import RunTest
from undertone_training.export.bundle import bundle_of
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.runs import Run
from undertone_training.progress import Progress, silent
from undertone_training.report.outcomes import (
    PooledReports,
    Report,
    write_conditions,
    write_pooled,
    write_run,
)


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


def report_live(
    folder: Path,
    tests: Sequence[RunTest],
    backgrounds: Mapping[Background, Sound],
    progress: Progress = silent,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[PooledReports]:
    """Test every run by the ``live`` protocol; see ``write_pooled`` for ``folder``.

    on_outcome: called with what each run predicted under each condition.
    """
    outcomes = []
    with progress("live", len(tests)) as step:
        for test in tests:
            for outcome in evaluate_live(test, backgrounds):
                outcomes.append(outcome)
                on_outcome(outcome)
            step()
    return write_pooled(folder, outcomes)


def report_noise(run: Run, data: Path, title: str, progress: Progress) -> tuple[Path, NoiseReport]:
    """Count the false alarms of a run in the recordings of noise below ``data``."""
    classifier = Classifier(bundle_of(run, run.info.recipe.name))
    report = count_false_alarms(classifier, data, title, progress)
    return report.save(run.report), report


def _written(
    tests: Sequence[RunTest], features: FeatureCache, on_run: Callable[[Report], None]
) -> list[Outcome]:
    outcomes = []
    for test in tests:
        outcomes.append(evaluate(test, features))
        on_run(write_run(outcomes[-1], test.report))
    return outcomes
