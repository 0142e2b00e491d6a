"""Orchestrates trainings: their splits, teachers, features and runs, one by one or as jobs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path

from msgspec.structs import replace as replaced

from undertone_training import object_storage
from undertone_training.corpora import scan
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.clips import ById, with_labels
from undertone_training.corpora.noise import NoiseRecordings, for_training
from undertone_training.corpora.splits import PRE_TRAINING, Split, splits, whole
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures, FeatureCache
from undertone_training.lazy import where
from undertone_training.learning.runs import Run, RunInfo, clips_of, describe, find_runs
from undertone_training.lease import Lease
from undertone_training.metrics import Confidence
from undertone_training.recipe import EVALUATED_CORPUS, Recipe


@dataclass(frozen=True)
class Training:
    """One training: the run's folder, and the clips and other runs that it uses.

    unlabelled: clips of other corpora, whose targets come from ``teachers`` alone.
    initial: the run whose weights the training starts from.
    """

    run: Run
    info: RunInfo
    split: Split
    unlabelled: Sequence[Clip]
    teachers: Sequence[Run]
    initial: Run | None

    @property
    def needs_recalibration(self) -> bool:
        """Whether the run is finished, but with other vocal tract factors."""
        return self.run.finished and self.run.info.recipe != self.info.recipe

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.run.finished and not self.needs_recalibration


@dataclass(frozen=True)
class Trainer:
    """Carries out trainings with the same clips, features and folder.

    data: the folder of the corpora.
    runs: the folder of all runs, in which teachers and initial runs are found.
    """

    data: Path
    runs: Path
    features: FeatureCache

    @cached_property
    def clips(self) -> Sequence[Clip]:
        """Every clip in the data folder; raises CorpusError."""
        return scan(self.data).clips

    @cached_property
    def noise(self) -> NoiseRecordings:
        """The recordings that are mixed into augmented copies."""
        return for_training(self.data)

    def plan(self, recipe: Recipe, split: Split, seed: int, folder: Path | None = None) -> Training:
        """The training of ``recipe`` on ``split``; its run is in ``folder``, or among the runs.

        Teachers and the initial run are finished runs on the same split: all seeds of a teacher,
        and the same seed of the initial run, which may also have been trained on another corpus.
        Raises RunError if one is missing, or if the folder contains another training.
        """
        place = Path(split.name) / f"seed{seed}"
        teachers = [
            run
            for name in recipe.distillation.teachers
            for run in self._finished(name, Path(split.name))
        ]
        initial = None
        if first := recipe.begins_with:
            pre_trained = (self.runs / first / PRE_TRAINING).is_dir()
            initial = self._finished(
                first, Path(PRE_TRAINING) / place.name if pre_trained else place
            )[0]
        info = describe(recipe, split, seed, teachers, initial)
        run = Run((folder or self.runs / recipe.name) / place)
        object_storage.bring(run.folder)
        run.require_same(info)
        taught = recipe.distillation.corpora
        unlabelled = where(self.clips, lambda clip: clip.corpus in taught) if taught else ()
        return Training(run, info, split, unlabelled, teachers, initial)

    def carry_out(
        self, trainings: Sequence[Training], confidence: Confidence | None = None
    ) -> Iterator[Training]:
        """Train those that are not finished, calibrate the others again, and yield each when done.

        They run one after another in this process, or several at once as jobs that compute in one
        thread each: then the features are computed first, and Ctrl-C ends the trainings after
        their epoch.  TensorFlow must be loaded.
        """
        jobs = self.features.jobs.with_tensorflow
        if jobs.in_this_process(len(trainings)):
            for training in trainings:
                waiting = f"{training.run.folder}: waiting for another process that trains it"
                self._carry_out(training, confidence, on_wait=cache(partial(jobs.say, waiting)))
                yield training
            return
        for training in trainings:
            self._features(training)
        small = replace(self, features=self.features.in_a_job)
        with Lease(self.runs) as lease, self._epochs(trainings) as count:
            specifications = [
                _TrainingJob(small, each.run.folder, each.info, confidence, lease)
                for each in trainings
            ]

            def while_waiting() -> None:
                if lease.renew():
                    for training in trainings:
                        if not training.run.finished:
                            object_storage.bring(training.run.history)
                count()

            done = jobs.map(_train, specifications, while_waiting, lease.end)
            for training, _ in zip(trainings, done, strict=True):
                object_storage.bring(training.run.folder)
                count()
                yield training

    def train(
        self,
        training: Training,
        confidence: Confidence | None = None,
        on_epoch: Callable[[Mapping[str, float]], None] = lambda logs: None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Train, or continue an interrupted training.

        confidence: temperature and threshold; None fits them on the validation clips.
        on_epoch: called with each epoch's metrics; what it raises ends the training.
        on_wait: called every second while another process trains the same.
        """
        from undertone_training.learning.fit import fit

        run, info = training.run, training.info

        def count(epoch: int, logs: dict[str, float]) -> None:
            step(_note(logs))
            on_epoch(logs)

        def wait() -> None:
            on_wait()
            time.sleep(1)

        with run.alone(info, wait):
            if run.finished:  # by another process, which may not have known the confidence
                if confidence:
                    run.save(run.calibration.with_confidence(confidence))
                return
            train, validation, unlabelled = self._features(training)
            title = f"{info.recipe.name} {info.split} seed {info.seed}"
            epochs = info.recipe.schedule.epochs
            with self.features.progress(title, epochs, run.epochs_done) as step:
                fit(
                    run,
                    info,
                    train,
                    validation,
                    count,
                    confidence,
                    training.teachers,
                    unlabelled,
                    training.initial,
                )

    def recalibrate(self, training: Training, confidence: Confidence | None = None) -> None:
        """Give a finished run the recipe's vocal tract factors; its weights stay."""
        from undertone_training.learning.fit import recalibrate

        recipe = training.info.recipe
        validation = self.features.compute(training.split.validation, recipe, "validation")
        recalibrate(training.run, recipe, validation, confidence)

    def _carry_out(
        self,
        training: Training,
        confidence: Confidence | None,
        on_epoch: Callable[[Mapping[str, float]], None] = lambda logs: None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        if training.needs_recalibration:
            self.recalibrate(training, confidence)
        else:
            self.train(training, confidence, on_epoch, on_wait)

    def _features(
        self, training: Training
    ) -> tuple[Sequence[ClipFeatures], Sequence[ClipFeatures], Sequence[ClipFeatures]]:
        """Those of the training, validation and unlabelled clips."""
        recipe, split, compute = training.info.recipe, training.split, self.features.compute
        fewer = replaced(recipe.augmentation, copies=recipe.distillation.copies)
        return (
            compute(split.train, recipe, "features", self.noise),
            compute(split.validation, recipe, "validation"),
            compute(
                training.unlabelled, replaced(recipe, augmentation=fewer), "unlabelled", self.noise
            ),
        )

    @contextmanager
    def _epochs(self, trainings: Sequence[Training]) -> Iterator[Callable[[], None]]:
        """A bar for trainings in other processes; what it yields looks for new epochs."""
        wanted = [each.info.recipe.schedule.epochs for each in trainings]
        before = [
            epochs if each.run.finished else each.run.epochs_done
            for each, epochs in zip(trainings, wanted, strict=True)
        ]
        title = f"{len(trainings)} training{'s' * (len(trainings) > 1)}"
        with self.features.progress(title, sum(wanted), sum(before)) as step:

            def count() -> None:
                for number, each in enumerate(trainings):
                    done, logs = each.run.latest_epoch
                    if each.run.finished:  # earlier than planned
                        done = wanted[number]
                    for _ in range(done - before[number]):
                        step(f"{each.info.split} seed {each.info.seed} {_note(logs)}")
                    before[number] = max(done, before[number])

            yield count

    def _finished(self, name: str, below: Path) -> list[Run]:
        folder = self.runs / name / below
        try:
            return find_runs(folder)
        except RunError as error:
            raise RunError(
                f"{below} needs a finished run of the recipe {name}, and {self.runs / name} has "
                "none: run `undertone-train fit` first with that recipe, by its name or its file, "
                "and the same --protocol and --seed."
            ) from error


@dataclass(frozen=True)
class _TrainingJob:
    """A training for another process, which finds the clips of ``info`` by itself."""

    trainer: Trainer
    folder: Path
    info: RunInfo
    confidence: Confidence | None
    lease: Lease


def _train(job: _TrainingJob) -> None:
    import keras

    job.lease.require()
    keras.backend.clear_session()  # frees the memory of earlier trainings
    trainer, info = job.trainer, job.info
    labelled = ById(with_labels(trainer.clips, info.recipe.labels))
    train, validation, test = (
        clips_of(labelled, ids) for ids in (info.train, info.validation, info.test)
    )
    split = Split(info.split, info.protocol, train, validation, test)
    training = trainer.plan(info.recipe, split, info.seed, job.folder.parent.parent)
    trainer._carry_out(
        training, job.confidence, lambda logs: job.lease.require(), job.lease.require
    )


def _note(logs: Mapping[str, float]) -> str:
    """The metrics of an epoch beside a bar."""
    validated = f" validation {logs['val_accuracy']:.3f}" if "val_accuracy" in logs else ""
    return f"loss {logs['loss']:.3f} accuracy {logs['accuracy']:.3f}{validated}" if logs else ""


def splits_for(
    recipe: Recipe, protocol: str, clips: Sequence[Clip], validate: bool = True
) -> list[Split]:
    """The splits that ``recipe`` is trained on under ``protocol``; raises SplitError.

    validate False: holds nobody out for validation, whatever the recipe says.
    """
    usable = with_labels(clips, recipe.labels)
    if recipe.corpus != EVALUATED_CORPUS:
        return [whole(usable, recipe.corpus)]
    return splits(
        usable,
        protocol,
        recipe.song,
        recipe.validation_speakers if validate else 0,
        beside=recipe.beside,
    )


def shortcomings(recipe: Recipe, clips: Sequence[Clip]) -> Iterator[str]:
    """What will be missing: emotions without clips, and embeddings without weights."""
    trained = (EVALUATED_CORPUS, *recipe.beside)
    known = {clip.emotion for clip in with_labels(clips, recipe.labels) if clip.corpus in trained}
    if absent := [emotion for emotion in recipe.labels if emotion not in known]:
        what = "RAVDESS clip" if not recipe.beside else "training clip"
        yield f"no {what} here is {', '.join(absent)}: the network can't recognise that"
    if recipe.features.startswith("five-kinds") and not recipe.vggish:
        yield (
            f"{recipe.name} has no VGGish embeddings: `vggish` in the recipe names no file "
            "of weights"
        )
