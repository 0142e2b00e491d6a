"""A search for a better recipe with Optuna, on which several processes can work.

<study>/
    study.db            every trial: its values, the running mean of its folds, how it ended;
                        or all that in a database server, see ``database``
    <recipe>-<number>/  one trial, laid out as ``runs`` says, with its recipe.toml
    best.toml           the recipe of the best trial
    history.png         the results of the trials, and importance.png, which keys mattered

A process that works on a trial writes a heartbeat into the database. A trial whose heartbeat has
stopped, or that was interrupted, is retried by the next process that looks for work, before a new
one is drawn. Optuna gives a retry a new number; here it keeps that of the trial, and its folder.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec
import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.samplers import TPESampler
from optuna.storages import RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError

from undertone.errors import ConfigError
from undertone.support.strict import Strict
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS
from undertone_training.errors import RunError, TrialError
from undertone_training.recipe import Recipe
from undertone_training.search.database import Database, FileDatabase
from undertone_training.search.space import Space, Value, changed, to_toml, whole

BEST, RECIPE = "best.toml", "recipe.toml"

PROTOCOL = "speaker-independent"
"""The protocol of a trial's UAR: everything is chosen on the development folds."""

_FIRST_UNPRUNED = 4
"""Trials that train all folds before any is pruned: a median of fewer is not informative."""

_HEARTBEAT_S, _GRACE_S = 10, 60
"""How often a trial's process writes its heartbeat, and after what time without one it is dead."""

optuna.logging.set_verbosity(optuna.logging.ERROR)  # the screen belongs to the program
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

_SPEC = "specification"
"""Name of a study's specification in the database."""


class Specification(Strict, frozen=True):
    """What all trials of a study must have in common to be comparable.

    seed: of every training, and of the sampler. clips: a digest of the training and test clips.
    """

    recipe: Recipe
    space: Space
    seed: int
    clips: str


@dataclass(frozen=True)
class Trial:
    """One recipe to try, and the folder of its runs."""

    recipe: Recipe
    folder: Path


@dataclass(frozen=True)
class Result:
    """How one trial ended, or its progress.

    state: ``complete``, ``pruned``, ``running`` or ``interrupted``.
    uar: mean over the ``folds`` that were trained; None before the first.
    reason: why the recipe cannot be trained; empty for one that can.
    """

    name: str
    state: str
    uar: float | None
    folds: int
    values: Mapping[str, Value]
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether it is complete or pruned."""
        return self.state in ("complete", "pruned")


Evaluate = Callable[[Trial], Iterator[float]]
"""Trains a trial's folds, one for each ``next``, and yields the UAR of each; raises TrialError."""


class _NotNeeded(Exception):  # noqa: N818  nothing has failed
    """Another process has started the last trial."""


class Search:
    """A study, and the folder of its trials."""

    def __init__(
        self,
        folder: Path,
        specification: Specification,
        database: Database | None = None,
        heartbeat_s: int = _HEARTBEAT_S,
        grace_s: int = _GRACE_S,
    ) -> None:
        """Open or begin the study in ``database``, by default a file in the folder.

        heartbeat_s: between two heartbeats. grace_s: without one, after which a trial is retried.
        Raises RunError if the folder or the database cannot be used or contains another search.
        """
        self.folder = folder
        self._specification = specification
        self._database = database or FileDatabase(folder)
        self._heartbeat_s, self._grace_s = heartbeat_s, grace_s
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._database.locked():
                self._study = optuna.create_study(
                    storage=self._database.storage(heartbeat_s, grace_s),
                    study_name=self._database.name,
                    direction="maximize",
                    pruner=optuna.pruners.MedianPruner(_FIRST_UNPRUNED),
                    load_if_exists=True,
                )
                self._require_same()
        except OSError as error:
            raise RunError(
                f"{folder} can't be written ({error.strerror}): choose another place with --study."
            ) from error
        except (DatabaseError, StorageInternalError) as error:
            raise self._database.unusable(error) from error

    @property
    def trials(self) -> dict[int, FrozenTrial]:
        """The latest attempt at each trial of every process so far, by its number."""
        numbers: dict[int, int] = {}  # by Optuna's number of the first attempt
        trials = {}
        for trial in self._study.get_trials(deepcopy=False):
            first = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
            number = numbers.setdefault(trial.number if first is None else first, len(numbers))
            trials[number] = trial
        return trials

    @property
    def finished(self) -> int:
        """Number of trials that are complete or pruned."""
        return sum(_finished(trial) for trial in self.trials.values())

    @property
    def best(self) -> Recipe | None:
        """The recipe of the best trial; None before the first is complete."""
        complete = [each for each in self.ranking() if each.state == "complete"]
        return self._recipe(complete[0].name, complete[0].values) if complete else None

    def run(
        self,
        n_trials: int,
        evaluate: Evaluate,
        should_continue: Callable[[], bool] = lambda: True,
        on_trial_end: Callable[[Result], None] = lambda result: None,
    ) -> None:
        """Work until the study has ``n_trials`` finished trials or ``should_continue`` is false.

        ``should_continue`` is called before each trial, ``on_trial_end`` with each result.
        Raises RunError if the database goes away and does not come back.
        """

        def objective(trial: optuna.Trial) -> float:
            number = self._number(trial.number)
            if number >= n_trials:
                raise _NotNeeded
            return self._evaluate(trial, number, evaluate)

        def report(study: optuna.Study, trial: FrozenTrial) -> None:
            if _finished(trial):
                number = self._number(trial.number)
                on_trial_end(self._result(number, trial))

        try:
            while should_continue() and self._work_left(n_trials):
                # another process may have taken over a trial whose heartbeats did not arrive
                with suppress(UpdateFinishedTrialError):
                    self._study.optimize(
                        objective, n_trials=1, catch=_NotNeeded, callbacks=[report]
                    )
        except Exception as error:  # of any kind, where Optuna could not record the end of a trial
            if self._database.lost:
                raise RunError(self._database.lost) from error
            raise

    def results(self) -> list[Result]:
        """The results of the trials, in order of their numbers."""
        return [self._result(number, trial) for number, trial in self.trials.items()]

    def ranking(self) -> list[Result]:
        """The results of the trials: complete ones first, then by UAR."""
        return sorted(self.results(), key=lambda each: (each.state != "complete", -(each.uar or 0)))

    def importances(self) -> dict[str, float]:
        """Share of each key in the differences between trials, highest first.

        Empty if there are too few complete trials, or too few differences, to tell.
        """
        if sum(each.state == TrialState.COMPLETE for each in self.trials.values()) < 2:
            return {}
        evaluator = FanovaImportanceEvaluator(seed=0)  # Optuna's default needs many trials
        try:
            found = get_param_importances(self._study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # all trials alike
            return {}
        return {key: share for key, share in found.items() if math.isfinite(share)}

    def _work_left(self, n_trials: int) -> bool:
        """Whether there is a trial to run; waits until it is known which others are still alive."""
        deadline_s = time.monotonic() + self._grace_s + self._heartbeat_s
        while True:
            fail_stale_trials(self._study)
            with self._database.locked():  # each is retried once
                for trial in self.trials.values():
                    if trial.state == TrialState.FAIL:
                        retry = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
                        retry(self._study, trial)
            trials = self.trials
            states = [trials[number].state for number in range(n_trials) if number in trials]
            if len(states) < n_trials or TrialState.WAITING in states:
                return True
            if TrialState.RUNNING not in states or time.monotonic() > deadline_s:
                return False
            time.sleep(self._heartbeat_s)

    def _evaluate(self, trial: optuna.Trial, number: int, evaluate: Evaluate) -> float:
        """Train the trial fold by fold; raises TrialPruned."""
        reported = self.trials[number].intermediate_values
        uars: list[float] = []
        try:
            self._study.sampler = _sampler(self._specification, number)
            values = draw(trial, self._specification)
            recipe = self._recipe(self._name(number), values)
            folder = self.folder / recipe.name
            folder.mkdir(exist_ok=True)
            (folder / RECIPE).write_text(to_toml(recipe))
            for uar in evaluate(Trial(recipe, folder)):
                uars.append(uar)
                if len(uars) not in reported:
                    trial.report(fmean(uars), len(uars))
                if len(uars) < len(DEVELOPMENT_FOLDS) and trial.should_prune():
                    raise optuna.TrialPruned
        except (ConfigError, TrialError) as error:  # settings that exclude each other, or diverge
            trial.set_user_attr("reason", str(error))
            raise optuna.TrialPruned from error
        return fmean(uars)

    def _result(self, number: int, trial: FrozenTrial) -> Result:
        folds = trial.intermediate_values
        interrupted = trial.state in (TrialState.WAITING, TrialState.FAIL)
        return Result(
            self._name(number),
            "interrupted" if interrupted else trial.state.name.lower(),
            folds[max(folds)] if folds else None,
            max(folds, default=0),
            trial.params,
            trial.user_attrs.get("reason", ""),
        )

    def _recipe(self, name: str, values: Mapping[str, Value]) -> Recipe:
        return msgspec.structs.replace(changed(self._specification.recipe, values), name=name)

    def _name(self, number: int) -> str:
        return f"{self._specification.recipe.name}-{number:03}"

    def _number(self, attempt: int) -> int:
        """The number of the trial whose latest attempt has Optuna's number ``attempt``."""
        return next(n for n, trial in self.trials.items() if trial.number == attempt)

    def _require_same(self) -> None:
        """Keep the specification of a new study; raise RunError if an old one has another."""
        wanted = msgspec.json.decode(msgspec.json.encode(self._specification))
        before = self._study.user_attrs.get(_SPEC)
        if before is None:
            self._study.set_user_attr(_SPEC, wanted)
            return
        for key, what in (
            ("recipe", "another recipe"),
            ("space", "another search space"),
            ("seed", "another seed"),
            ("clips", "other clips"),
        ):
            if before.get(key) != wanted[key]:
                raise RunError(
                    f"{self._database.place} contains a search with {what}: "
                    f"{self._database.elsewhere}."
                )


def draw(trial: optuna.Trial, specification: Specification) -> dict[str, Value]:
    """The trial's value of every key of the space: the one drawn before, or a new one."""
    for key, parameter in specification.space.items():
        low, high = parameter.low, parameter.high
        if low is None or high is None:
            trial.suggest_categorical(key, parameter.choices)
        elif whole(specification.recipe, key, parameter):
            step = int(parameter.step or 1)
            trial.suggest_int(key, int(low), int(high), step=step, log=parameter.log)
        else:
            trial.suggest_float(key, low, high, step=parameter.step, log=parameter.log)
    return trial.params


def preview(
    specification: Specification, trials: Sequence[FrozenTrial], number: int
) -> list[dict[str, Value]]:
    """The next ``number`` new trials after ``trials``, as drawn while none of them has ended."""
    study = optuna.create_study(direction="maximize")
    study.add_trials([trial for trial in trials if _finished(trial)])
    drawn = []
    for index in range(number):
        study.sampler = _sampler(specification, len(trials) + index)
        drawn.append(draw(study.ask(), specification))
    return drawn


def _finished(trial: FrozenTrial) -> bool:
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def _sampler(specification: Specification, number: int) -> TPESampler:
    """The sampler's seed for one trial, so that an interrupted search draws the same values."""
    return TPESampler(seed=specification.seed + number)
