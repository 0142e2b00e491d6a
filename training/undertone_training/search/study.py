"""A search for a better recipe with Optuna: a folder that any number of processes may work on.

<study>/
    study.log           every trial: what was drawn, the running mean of its folds, how it ended
    <recipe>-<number>/  one trial, laid out as ``runs`` has it, with its recipe.toml
    best.toml           the recipe of the best trial
    history.png         how the trials went, and importance.png, which keys made the difference

A process that works on a trial holds a lock on its folder.  A trial that is begun and not locked
was interrupted: the next process that looks for work goes on with it, before a new one is drawn.
"""

import fcntl
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import IO

import msgspec
import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from undertone.errors import ConfigError
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS
from undertone_training.errors import RunError, TrialError
from undertone_training.recipe import Recipe
from undertone_training.search.space import Space, Value, changed, to_toml, whole

LOG, BEST, RECIPE = "study.log", "best.toml", "recipe.toml"

PROTOCOL = "speaker-independent"
"""What a trial is judged by: everything that is chosen is chosen on the development folds."""

_FIRST_UNPRUNED = 4
"""Trials that train all folds before any is pruned: a median of fewer says little."""

optuna.logging.set_verbosity(optuna.logging.ERROR)  # the screen belongs to the program

_STUDY, _QUESTION = "undertone", "question"
"""Names in the log: of the study, and of what it asks."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a study asks: only trials with the same can be compared.

    seed: of every training, and of the draws.  clips: a digest of what trains and judges.
    """

    recipe: Recipe
    space: Space
    seed: int
    clips: str


@dataclass(frozen=True)
class Trial:
    """One recipe that is tried, and the folder of its runs."""

    recipe: Recipe
    folder: Path


@dataclass(frozen=True)
class Tried:
    """How one trial ended, or how far it is.

    state: ``complete``, ``pruned`` or ``running``.
    uar: mean over the ``folds`` that were trained; None before the first.
    reason: why the recipe can't be trained; empty for one that can.
    """

    name: str
    state: str
    uar: float | None
    folds: int
    values: Mapping[str, Value]
    reason: str = ""


Judge = Callable[[Trial], Iterator[float]]
"""Trains a trial's folds, one for each ``next``, and gives the UAR of each; or TrialError."""


class Search:
    """The study in one folder."""

    def __init__(self, folder: Path, question: Question) -> None:
        """Open or begin it; raises RunError where the folder can't be written or asks another."""
        self.folder = folder
        self._question = question
        try:
            with _lock(folder):
                self._study = optuna.create_study(
                    storage=JournalStorage(JournalFileBackend(str(folder / LOG))),
                    study_name=_STUDY,
                    direction="maximize",
                    pruner=optuna.pruners.MedianPruner(_FIRST_UNPRUNED),
                    load_if_exists=True,
                )
                self._require_same()
        except OSError as error:
            raise RunError(
                f"{folder} can't be written ({error.strerror}): choose another place with --study."
            ) from error
        except ValueError as error:
            raise RunError(
                f"{folder / LOG} is damaged ({error}): choose another place with --study."
            ) from error

    @property
    def trials(self) -> list[FrozenTrial]:
        """Every trial of every process until now, in order of their numbers."""
        return self._study.get_trials(deepcopy=False)

    @property
    def finished(self) -> int:
        """Trials that were judged to their end, or pruned."""
        return sum(trial.state.is_finished() for trial in self.trials)

    @property
    def best(self) -> Recipe | None:
        """The recipe of the best trial; None before the first is complete."""
        try:
            return self._recipe(self._study.best_trial)
        except ValueError:
            return None

    def run(
        self,
        n_trials: int,
        judge: Judge,
        go_on: Callable[[], bool] = lambda: True,
        after: Callable[[Tried], None] = lambda tried: None,
    ) -> None:
        """Work until the study has ``n_trials`` finished ones, or ``go_on`` says no.

        ``go_on`` is asked before each trial, ``after`` told how each ended.
        """
        while go_on():
            claim = self._claim(n_trials)
            if claim is None:
                return
            trial, held = claim
            with held:
                self._try(trial, judge)
            after(self._tried(self.trials[trial.number]))

    def tried(self) -> list[Tried]:
        """How the trials did, in order of their numbers."""
        return [self._tried(trial) for trial in self.trials]

    def ranking(self) -> list[Tried]:
        """How the trials did: complete ones first, then by UAR."""
        return sorted(self.tried(), key=lambda each: (each.state != "complete", -(each.uar or 0)))

    def importances(self) -> dict[str, float]:
        """Share of each key in the differences between trials, highest first.

        Empty where there are too few complete trials, or no differences, to tell.
        """
        if sum(trial.state == TrialState.COMPLETE for trial in self.trials) < 2:
            return {}
        evaluator = FanovaImportanceEvaluator(seed=0)  # Optuna's default needs many trials
        try:
            found = get_param_importances(self._study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # all trials alike
            return {}
        return {key: share for key, share in found.items() if math.isfinite(share)}

    def _claim(self, n_trials: int) -> tuple[optuna.Trial, IO[bytes]] | None:
        """An interrupted trial or else a new one, and its lock; None where enough are at work."""
        with _lock(self.folder):
            trials = self.trials
            running = [trial for trial in trials if not trial.state.is_finished()]
            if self.finished >= n_trials:
                return None
            for frozen in running:
                if held := _try_lock(self._folder(frozen.number)):
                    return optuna.Trial(self._study, frozen._trial_id), held
            if self.finished + len(running) >= n_trials:
                return None
            self._study.sampler = _sampler(self._question, len(trials))
            trial = self._study.ask()
            draw(trial, self._question)
            return trial, _lock(self._folder(trial.number))

    def _try(self, trial: optuna.Trial, judge: Judge) -> None:
        """Judge the trial fold by fold, and tell the study how it ended."""
        reported = self.trials[trial.number].intermediate_values
        uars: list[float] = []
        try:
            draw(trial, self._question)  # one that was killed while it was drawn
            recipe = self._recipe(self.trials[trial.number])
            folder = self._folder(trial.number)
            (folder / RECIPE).write_text(to_toml(recipe))
            for uar in judge(Trial(recipe, folder)):
                uars.append(uar)
                if len(uars) not in reported:
                    trial.report(fmean(uars), len(uars))
                if len(uars) < len(DEVELOPMENT_FOLDS) and trial.should_prune():
                    self._study.tell(trial, state=TrialState.PRUNED)
                    return
        except (ConfigError, TrialError) as error:  # settings that exclude each other, or diverge
            trial.set_user_attr("reason", str(error))
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        self._study.tell(trial, fmean(uars))

    def _tried(self, trial: FrozenTrial) -> Tried:
        folds = trial.intermediate_values
        return Tried(
            self._name(trial.number),
            trial.state.name.lower(),
            folds[max(folds)] if folds else None,
            max(folds, default=0),
            trial.params,
            trial.user_attrs.get("reason", ""),
        )

    def _recipe(self, trial: FrozenTrial) -> Recipe:
        recipe = changed(self._question.recipe, trial.params)
        return msgspec.structs.replace(recipe, name=self._name(trial.number))

    def _name(self, number: int) -> str:
        return f"{self._question.recipe.name}-{number:03}"

    def _folder(self, number: int) -> Path:
        return self.folder / self._name(number)

    def _require_same(self) -> None:
        """Keep the question of a new study; raise RunError where an old one asks another."""
        asked = msgspec.json.decode(msgspec.json.encode(self._question))
        before = self._study.user_attrs.get(_QUESTION)
        if before is None:
            self._study.set_user_attr(_QUESTION, asked)
            return
        for key, what in (
            ("recipe", "another recipe"),
            ("space", "another search space"),
            ("seed", "another seed"),
            ("clips", "other clips"),
        ):
            if before.get(key) != asked[key]:
                raise RunError(
                    f"{self.folder} holds a search with {what}: choose another place with "
                    "--study, or remove that folder."
                )


def draw(trial: optuna.Trial, question: Question) -> dict[str, Value]:
    """The trial's value of every key of the space: as it was drawn before, or drawn now."""
    for key, knob in question.space.items():
        if knob.low is None or knob.high is None:
            trial.suggest_categorical(key, knob.choices)
        elif whole(question.recipe, key, knob):
            trial.suggest_int(
                key, int(knob.low), int(knob.high), step=int(knob.step or 1), log=knob.log
            )
        else:
            trial.suggest_float(key, knob.low, knob.high, step=knob.step, log=knob.log)
    return trial.params


def preview(
    question: Question, trials: Sequence[FrozenTrial], number: int
) -> list[dict[str, Value]]:
    """What ``number`` new trials after ``trials`` would be, were none of them judged."""
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    drawn = []
    for _ in range(number):
        study.sampler = _sampler(question, len(study.get_trials(deepcopy=False)))
        drawn.append(draw(study.ask(), question))
    return drawn


def _sampler(question: Question, drawn: int) -> TPESampler:
    """Of one trial: an interrupted search draws what it would have drawn without."""
    return TPESampler(seed=question.seed + drawn)


def _lock(folder: Path) -> IO[bytes]:
    """Wait for ``folder``: an open file that keeps others out of it until it is closed."""
    file = _lock_file(folder)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _try_lock(folder: Path) -> IO[bytes] | None:
    """The same without waiting; None where another process has it."""
    file = _lock_file(folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _lock_file(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "lock").open("ab")
