"""Tests runs by one protocol, each run as a job of its own, and writes the reports on them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from undertone_training.corpora import scan
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.noise import for_testing
from undertone_training.detection.clips import for_babble
from undertone_training.evaluation.backgrounds import Background, Sound, backgrounds
from undertone_training.evaluation.conditions import ConditionsReport
from undertone_training.evaluation.device_protocols import CorpusResults, run_on_device
from undertone_training.evaluation.evaluate import evaluate, evaluate_live
from undertone_training.evaluation.false_alarms import NoiseReport, count_false_alarms
from undertone_training.evaluation.results import Outcome
from undertone_training.evaluation.test_clips import RunTest
from undertone_training.export.bundle import classifier_of
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.runs import Run
from undertone_training.progress import silent
from undertone_training.report.outcomes import (
    PooledReports,
    Report,
    write_conditions,
    write_pooled,
    write_run,
)

Result = TypeVar("Result")
WrittenConditions = list[tuple[Path, ConditionsReport]]
"""Each report by conditions, with its file."""


def report_whole_clips(
    folder: Path,
    tests: Sequence[RunTest],
    features: FeatureCache,
    on_run: Callable[[Report], None] = lambda report: None,
) -> list[PooledReports]:
    """Test every run on whole clips; see ``write_pooled`` for ``folder``.

    on_run: called with the report of each run as soon as it is written.
    """
    return write_pooled(folder, _written(tests, features, on_run))


def report_cross_corpus(
    folder: Path,
    tests: Sequence[RunTest],
    data: Path,
    clips: Sequence[Clip],
    features: FeatureCache,
    notes: Sequence[str],
    on_run: Callable[[Report], None] = lambda report: None,
) -> tuple[WrittenConditions, list[PooledReports]]:
    """Test every run on corpora that it was not trained on, on whole clips and on the device path.

    The other arguments are those of ``report_on_device``.
    on_run: called with the report of each run on each corpus as soon as it is written.
    """
    outcomes = _written(tests, features, on_run)
    conditions = report_on_device(folder, "cross-corpus", tests, data, clips, features, notes)
    return conditions, write_pooled(folder, outcomes, by_seed=False)


@dataclass(frozen=True)
class BackgroundSources:
    """What the backgrounds of the ``live`` protocol are made of; there may be none."""

    noise: Sequence[Path]
    voices: Sequence[Clip]

    @classmethod
    def found(cls, data: Path, clips: Iterable[Clip]) -> "BackgroundSources":
        """The recordings of noise in the data folder, and those of ``clips`` that make babble."""
        return cls(for_testing(data).files, for_babble(clips))

    def made(self) -> dict[Background, Sound]:
        """The backgrounds; raises AudioSourceError."""
        return backgrounds(self.noise, self.voices, seed=0)


def report_live(
    folder: Path,
    tests: Sequence[RunTest],
    sources: BackgroundSources,
    features: FeatureCache,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[PooledReports]:
    """Test every run by the ``live`` protocol; see ``write_pooled`` for ``folder``.

    on_outcome: called with what each run predicted under each condition.
    """
    jobs = features.jobs.with_tensorflow
    sounds = sources.made() if jobs.in_this_process(len(tests)) else None
    outcomes = []
    with features.progress("live", len(tests)) as step:
        for of_run in jobs.map(_live, [(test, sources, sounds) for test in tests]):
            for outcome in of_run:
                outcomes.append(outcome)
                on_outcome(outcome)
            step()
    return write_pooled(folder, outcomes)


def report_on_device(
    folder: Path,
    protocol: str,
    tests: Sequence[RunTest],
    data: Path,
    clips: Sequence[Clip],
    features: FeatureCache,
    notes: Sequence[str] = (),
) -> WrittenConditions:
    """Test the int8 models under the conditions of a protocol that has some.

    clips: all below ``data``.  See ``write_conditions`` for ``folder`` and ``notes``.
    """
    here = features.jobs.with_tensorflow.in_this_process(len(tests))
    at_hand = clips if here else None  # jobs find them by themselves
    items = [(protocol, test, data, at_hand) for test in tests]
    found = list(_of_each(items, _on_device, protocol, features))
    notes = [*notes, *(note for each in found for note in each.notes)]
    tested = [
        (test.run, result)
        for test, each in zip(tests, found, strict=True)
        for result in each.results
    ]
    return write_conditions(folder, protocol, tested, list(dict.fromkeys(notes)))


def report_noise(
    runs: Sequence[Run], data: Path, features: FeatureCache
) -> Iterator[tuple[Path, NoiseReport]]:
    """Count the false alarms of each run in the sounds without speech; the report and its file."""
    return _of_each([(run, data) for run in runs], _noise, "noise", features)


def _of_each(
    items: Sequence[tuple[Any, ...]],
    function: Callable[[tuple[Any, ...]], Result],
    title: str,
    features: FeatureCache,
) -> Iterator[Result]:
    """Results of ``function`` for each item with a Progress at its end.

    That shows the steps of each; where they are jobs, one bar counts the jobs instead.
    """
    jobs = features.jobs.with_tensorflow
    own, common = features.progress, silent
    if not jobs.in_this_process(len(items)):
        own, common = common, own
    with common(title, len(items)) as step:
        for result in jobs.map(function, [(*item, own) for item in items]):
            yield result
            step()


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


def _on_device(job: tuple[Any, ...]) -> CorpusResults:
    protocol, test, data, clips, progress = job
    return run_on_device(protocol, test, scan(data).clips if clips is None else clips, progress)


def _noise(job: tuple[Any, ...]) -> tuple[Path, NoiseReport]:
    run, data, progress = job
    report = count_false_alarms(classifier_of(run), data, f"{run.folder} noise", progress)
    return report.save(run.report), report
