"""Tests runs by one protocol, and writes the reports on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from numpy.typing import NDArray

from undertone.recognition.classifier import Classifier
from undertone_training.evaluation.backgrounds import Background
from undertone_training.evaluation.evaluate import cross_corpus_result, evaluate, evaluate_live
from undertone_training.evaluation.false_alarms import NoiseReport, count_false_alarms
from undertone_training.evaluation.results import Outcome
from undertone_training.evaluation.test_clips import RunTest
from undertone_training.export.bundle import bundle_of
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.runs import Run
from undertone_training.progress import Progress
from undertone_training.report.outcomes import (
    PooledReports,
    write_conditions,
    write_pooled,
    write_run,
)


def report_whole_clips(
    folder: Path, tests: Sequence[RunTest], features: FeatureCache
) -> list[PooledReports]:
    """Test every run on whole clips; see ``write_pooled`` for ``folder``."""
    outcomes = []
    for test in tests:
        outcomes.append(evaluate(test, features))
        write_run(outcomes[-1], test.report)
    return write_pooled(folder, outcomes)


def report_live(
    folder: Path,
    tests: Sequence[RunTest],
    backgrounds: Mapping[Background, NDArray],
    progress: Progress,
) -> list[PooledReports]:
    """Test every run by the ``live`` protocol; see ``write_pooled`` for ``folder``."""
    outcomes: list[Outcome] = []
    with progress("live", len(tests)) as step:
        for test in tests:
            outcomes += evaluate_live(test, backgrounds)
            step()
    return write_pooled(folder, outcomes)


def report_cross_corpus(
    folder: Path, tests: Sequence[RunTest], features: FeatureCache, notes: Sequence[str]
) -> None:
    """Test every run on corpora that it was not trained on."""
    tested = []
    for test in tests:
        outcome = evaluate(test, features)
        write_run(outcome, test.report)
        tested.append((test.run, cross_corpus_result(test, outcome)))
    write_conditions(folder, "cross-corpus", tested, notes)


def report_noise(run: Run, data: Path, progress: Progress) -> NoiseReport:
    """Count the false alarms of a run in the recordings of noise below ``data``."""
    classifier = Classifier(bundle_of(run, run.info.recipe.name))
    report = count_false_alarms(classifier, data, f"{run.info.recipe.name} noise", progress)
    report.save(run.report)
    return report
