"""Orchestrates a training: its split, teachers, features and run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from undertone_training.corpora.clip import Clip, with_labels
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.corpora.splits import PRE_TRAINING, Split, splits, whole
from undertone_training.errors import RunError
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.runs import Run, RunInfo, describe, find_runs
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

    runs: the folder of all runs, in which teachers and initial runs are found.
    """

    clips: Sequence[Clip]
    noise: NoiseRecordings
    runs: Path
    features: FeatureCache

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
        run.require_same(info)
        unlabelled = [clip for clip in self.clips if clip.corpus in recipe.distillation.corpora]
        return Training(run, info, split, unlabelled, teachers, initial)

    def train(
        self,
        training: Training,
        confidence: Confidence | None = None,
        on_epoch: Callable[[dict[str, float]], None] = lambda logs: None,
    ) -> None:
        """Train, or continue an interrupted training.

        confidence: temperature and threshold; None fits them on the validation clips.
        on_epoch: called with each epoch's metrics; what it raises ends the training.
        """
        from undertone_training.learning.fit import fit

        run, info, split = training.run, training.info, training.split
        recipe, compute = info.recipe, self.features.compute
        train = compute(split.train, recipe, "features", self.noise)
        validation = compute(split.validation, recipe, "validation")
        fewer = replace(recipe.augmentation, copies=recipe.distillation.copies)
        unlabelled = compute(
            training.unlabelled, replace(recipe, augmentation=fewer), "unlabelled", self.noise
        )

        def count(epoch: int, logs: dict[str, float]) -> None:
            validated = f" validation {logs['val_accuracy']:.3f}" if "val_accuracy" in logs else ""
            step(f"loss {logs['loss']:.3f} accuracy {logs['accuracy']:.3f}{validated}")
            on_epoch(logs)

        title = f"{recipe.name} {split.name} seed {info.seed}"
        with self.features.progress(title, recipe.schedule.epochs, run.epochs_done) as step:
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

    def _finished(self, name: str, below: Path) -> list[Run]:
        folder = self.runs / name / below
        try:
            return find_runs(folder)
        except RunError as error:
            raise RunError(
                f"There is no finished run of the recipe {name} in {folder}, which is needed: run "
                f"`undertone-train fit --recipe {name}` with the same --protocol and --seed first."
            ) from error


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
