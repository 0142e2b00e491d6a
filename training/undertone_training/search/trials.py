"""Trains and tests the folds of a search's trials, and writes reports and the final result."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from msgspec.structs import replace as replaced

from undertone_training.corpora.clip import Clip
from undertone_training.corpora.splits import Split
from undertone_training.errors import TrialError
from undertone_training.evaluation.results import Outcome, Pooled, file_name, mean_cost, pool
from undertone_training.evaluation.test_clips import shortfall
from undertone_training.learning.trainer import Trainer, splits_for
from undertone_training.lease import Lease
from undertone_training.metrics import Predictions, figures
from undertone_training.progress import say_nothing
from undertone_training.recipe import Recipe
from undertone_training.report.pictures import png
from undertone_training.report.search import history, importance
from undertone_training.search.database import Database, FileDatabase, ServerDatabase
from undertone_training.search.space import to_toml
from undertone_training.search.study import BEST, PROTOCOL, Result, Search, Specification, Trial


def folds_of(recipe: Recipe, clips: Sequence[Clip]) -> list[Split]:
    """The development folds, on which a trial is trained and tested."""
    return splits_for(recipe, PROTOCOL, clips)


def digest(folds: Sequence[Split]) -> str:
    """A short digest of the clips on each side of the folds."""
    sides = (side for split in folds for side in (split.train, split.validation, split.test))
    names = "\n".join(" ".join(clip.clip_id for clip in side) for side in sides)
    return hashlib.sha256(names.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Evaluator:
    """Trains and tests the folds of a trial; see ``study.Evaluate``.

    on_epoch: called after each epoch of a training; what it raises interrupts the trial.
    """

    trainer: Trainer
    seed: int
    on_epoch: Callable[[], None] = lambda: None

    def __call__(self, trial: Trial) -> Iterator[float]:
        """Yield the UAR of each fold's float model; writes the trial's report after the last."""
        import keras

        from undertone_training.evaluation.evaluate import cost_of, evaluate_run

        outcomes = []
        for split in folds_of(trial.recipe, self.trainer.clips):
            training = self.trainer.plan(trial.recipe, split, self.seed, trial.folder)
            keras.backend.clear_session()  # frees the memory of earlier trainings
            if not training.run.finished:
                self.trainer.train(training, on_epoch=self._on_epoch)
            test = self.trainer.features.compute(split.test, trial.recipe, split.name)
            predictions = evaluate_run(training.run, test, ("float",))
            outcomes.append(
                Outcome(training.run, split.protocol, predictions, cost_of(training.run))
            )
            yield figures(predictions["float"]).uar
        _save_report(trial, outcomes, self.seed)

    def _on_epoch(self, logs: Mapping[str, float]) -> None:
        if not math.isfinite(logs["loss"]):
            raise TrialError("the training diverged")
        self.on_epoch()


@dataclass(frozen=True)
class SearchJob:
    """What one of several processes needs to work on a search.

    storage: address of the database, None for a file in the folder.
    until_s: begin no new trial after this time of the clock; None for no limit.
    """

    trainer: Trainer
    folder: Path
    specification: Specification
    storage: str | None
    n_trials: int
    until_s: float | None
    note: str

    def database(self, say: Callable[[str], None] = say_nothing) -> Database:
        """Where the trials are stored; ``say``: is told when it is waited for."""
        if self.storage:
            return ServerDatabase(self.storage, self.folder, say)
        return FileDatabase(self.folder)

    def is_done_here(self, search: Search) -> bool:
        """Whether ``carry_out`` computes in this process, in which TensorFlow must be loaded."""
        return self.trainer.features.jobs.with_tensorflow.in_this_process(self._at_once(search))

    def carry_out(self, search: Search, on_trial_end: Callable[[Result], None]) -> None:
        """Carry out trials until there are enough, here or by several jobs; write the best recipe.

        on_trial_end: called with each trial that ends meanwhile.
        """
        if self.is_done_here(search):
            self.work(search, on_trial_end)
        elif (number := self._at_once(search)) > 0:
            said = {result.name for result in search.results() if result.ended}

            def report_new() -> None:
                for result in search.results():
                    if result.ended and result.name not in said:
                        said.add(result.name)
                        on_trial_end(result)

            self._work_as_jobs(number, report_new)
            report_new()
        write_best(search, self.note)  # the last trial may have ended on another machine

    def _at_once(self, search: Search) -> int:
        """How many jobs the missing trials are enough for."""
        return min(
            self.trainer.features.jobs.with_tensorflow.at_once, self.n_trials - search.finished
        )

    def work(
        self,
        search: Search,
        on_trial_end: Callable[[Result], None] = lambda result: None,
        on_epoch: Callable[[], None] = lambda: None,
    ) -> None:
        """Carry out trials until there are enough, or until it is time to stop."""

        def should_continue() -> bool:
            return self.until_s is None or time.time() < self.until_s

        def report(result: Result) -> None:
            on_trial_end(result)
            write_best(search, self.note)

        evaluator = Evaluator(self.trainer, self.specification.seed, on_epoch)
        search.run(self.n_trials, evaluator, should_continue, report)

    def _work_as_jobs(self, number: int, while_waiting: Callable[[], None]) -> None:
        """Work by so many jobs; ``while_waiting`` is called every second."""
        jobs = self.trainer.features.jobs.with_tensorflow
        trainer = replace(self.trainer, features=self.trainer.features.in_a_job)
        small = replace(self, trainer=trainer)
        with Lease(self.folder) as lease:

            def renew() -> None:
                lease.renew()
                while_waiting()

            for _ in jobs.map(_work, [(small, lease)] * number, renew, lease.end):
                pass


def _work(job: tuple[SearchJob, Lease]) -> None:
    search_job, lease = job
    lease.require()
    recipe, clips = search_job.specification.recipe, search_job.trainer.clips
    # refused if this machine has other clips
    specification = replaced(search_job.specification, clips=digest(folds_of(recipe, clips)))
    search_job.work(
        Search(search_job.folder, specification, search_job.database()), on_epoch=lease.require
    )


def write_best(search: Search, note: str) -> None:
    """Write the best recipe and the pictures, if there are any, into the search's folder."""
    if (best := search.best) is None:
        return
    files = {BEST: to_toml(best).encode()}
    results = search.results()
    complete = [each.state == "complete" for each in results]
    files["history.png"] = png(history([each.uar for each in results], complete, note))
    if shares := search.importances():
        files["importance.png"] = png(importance(shares, note))
    for name, content in files.items():
        partial = search.folder / f"{name}.{uuid4().hex}.part"
        partial.write_bytes(content)
        partial.replace(search.folder / name)  # other processes may write it, too


def _save_report(trial: Trial, outcomes: Sequence[Outcome], seed: int) -> None:
    """Combine the trial's folds into one report, for ``compare``."""
    joined = Predictions.concatenate([each.predictions["float"] for each in outcomes])
    Pooled(
        trial.recipe,
        PROTOCOL + shortfall(PROTOCOL, len(outcomes), len(set(joined.speakers))),
        (seed,),
        tuple(each.run.info.split for each in outcomes),
        pool([{"float": joined}]),
        mean_cost([each.cost for each in outcomes]),
    ).save(Path(trial.folder, "report", f"{file_name(PROTOCOL)}.json"))
