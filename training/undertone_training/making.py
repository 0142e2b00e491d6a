"""Makes a bundle from corpora: the stages that its recipe needs, in order, each done only once.

The stages follow from the recipe: the trainings of the recipes that it begins with or learns from,
those of its folds, which are the evidence for it and the source of its confidence, the training of
the weights that ship, and the figures of both.  Each stage finds out from the files whether it is
done, so an interrupted making continues with the first stage that is not.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean

import msgspec

from undertone.recognition.bundle import MANIFEST_FILE
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.clips import ById
from undertone_training.corpora.licences import unlicensed
from undertone_training.corpora.noise import for_testing
from undertone_training.corpora.splits import LEAVE_ONE_CORPUS_OUT, PRE_TRAINING, Split
from undertone_training.detection.clips import for_babble
from undertone_training.errors import PromotionError, RunError, SplitError
from undertone_training.evaluation.conditions import load_reports
from undertone_training.evaluation.false_alarms import NoiseReport
from undertone_training.evaluation.results import Pooled, file_name
from undertone_training.evaluation.test_clips import (
    RunTest,
    held_out_tests,
    sampled_tests,
    select_tests,
    unseen_corpora,
)
from undertone_training.learning.runs import Run, clips_of
from undertone_training.learning.trainer import Trainer, Training, splits_for
from undertone_training.metrics import Confidence
from undertone_training.promotion import EVIDENCE, candidate, left_out_report
from undertone_training.recipe import EVALUATED_CORPUS, Recipe
from undertone_training.report.protocols import percent

CLIPS = {"cross-corpus": 500, "known-voice": 250, "degraded": 200}
"""How many clips of each corpus are tested by a protocol, at most."""

DEGRADED_CORPUS = "ased"
"""The corpus whose clips are degraded for weights that learn from all speakers of the others."""


@dataclass(frozen=True)
class Context:
    """What all stages of one bundle share: the clips, the folders, and the seed.

    models: folder of the bundles.
    """

    trainer: Trainer
    models: Path
    seed: int

    @cached_property
    def clips(self) -> Mapping[str, Clip]:
        """Every clip by its id."""
        return ById(self.trainer.clips)


class Stage(ABC):
    """One step on the way to a bundle.

    title: what it does, to what.  needs: the stages whose results it uses.
    """

    def __init__(self, context: Context, title: str, needs: Sequence["Stage"]) -> None:
        """Only name it; see the attributes."""
        self.context, self.title, self.needs = context, title, needs

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether its result is there and current; asked only when its needs are done."""

    @abstractmethod
    def run(self) -> str:
        """Do it, or continue it, and say what was made; TensorFlow must be loaded."""


class Fit(Stage):
    """The training of one recipe on one split; ``result``: its run, where ``fit`` puts it."""

    def __init__(
        self,
        context: Context,
        recipe: Recipe,
        split: Split,
        earlier: tuple["Fit", ...] = (),
        folds: tuple["Fit", ...] = (),
    ) -> None:
        """Name it, and find its run.

        earlier: trainings whose weights it begins with, or whose predictions it learns from.
        folds: trainings whose held-out clips give it temperature and threshold; none: those of its
            own validation, or none.
        """
        self.name = f"{recipe.name} {split.name}"
        super().__init__(context, f"fit {self.name}", (*earlier, *folds))
        self.recipe, self.split, self.earlier, self.folds = recipe, split, earlier, folds
        self.result = Run(context.trainer.runs / recipe.name / split.name / f"seed{context.seed}")

    @property
    def done(self) -> bool:
        """Raises RunError if there is another training in its folder."""
        if not self._planned().done:
            return False
        # ``fit`` without --confidence leaves no temperature
        fitted = not self.folds or self.result.calibration.temperature is not None
        return fitted and all(
            _in_order(fold.result.model, self.result.calibration_file) for fold in self.folds
        )

    def run(self) -> str:
        """Train, or fit the confidence of finished weights again."""
        trainer, training = self.context.trainer, self._planned()
        if training.run.finished:
            trainer.recalibrate(training, self._confidence())
            return f"{training.run.folder}: temperature and threshold fitted again"
        for _ in trainer.carry_out([training], self._confidence()):
            pass
        return self._trained()

    def run_with(self, others: Sequence["Fit"]) -> Iterator[tuple["Fit", str]]:
        """Train this and others at once, see ``side_by_side``, and say of each what was made."""
        fits = (self, *others)
        done = self.context.trainer.carry_out([fit._planned() for fit in fits])
        for fit, _ in zip(fits, done, strict=True):
            yield fit, fit._trained()

    def side_by_side(self, later: Sequence[Stage]) -> list["Fit"]:
        """Those of the stages that are later that can be trained at the same time as this one."""
        jobs = self.context.trainer.features.jobs.with_tensorflow
        if jobs.in_this_process(2) or not self._ready:
            return []
        return [each for each in later if isinstance(each, Fit) and each._ready]

    @property
    def _ready(self) -> bool:
        """Whether everything that a training needs is there, and only the training is not."""
        earlier = all(each.result.finished for each in self.earlier)
        return earlier and not self.folds and not self.result.finished

    def _trained(self) -> str:
        return f"{self.result.folder}: trained in {self.result.calibration.fit_s:.0f} s"

    def _confidence(self) -> Confidence | None:
        from undertone_training.learning.calibration import fit_on_held_out, from_cache

        if not self.folds:
            return None
        trainer = self.context.trainer
        held_out = from_cache(trainer.clips, trainer.features)
        return fit_on_held_out([fold.result for fold in self.folds], held_out)

    @property
    def duration_s(self) -> float | None:
        """An estimate: the mean of finished trainings of the recipe; None if there are none."""
        found = (self.context.trainer.runs / self.recipe.name).glob("*/seed*")
        finished = [run.calibration.fit_s for run in map(Run, found) if run.finished]
        return fmean(finished) if finished else None

    def _planned(self) -> Training:
        training = self.context.trainer.plan(self.recipe, self.split, self.context.seed)
        if not (self.result.folder / "run.json").exists():
            return training
        before, now = self.result.info, training.info
        if (before.gate, before.detector) != (now.gate, now.detector):
            raise RunError(
                f"{self.result.folder} was trained behind another speech gate than the "
                "device's: remove that folder, or choose another place with --runs."
            )
        if (before.begun_with, before.teachers) != (now.begun_with, now.teachers):
            raise RunError(
                f"{self.result.folder} was trained from other weights than those in "
                f"{self.earlier[0].result.folder}: remove that folder, or choose another place "
                "with --runs."
            )
        return training


class _Quantize(Stage):
    """The int8 models of some trainings, all of one recipe."""

    def __init__(self, context: Context, fits: tuple[Fit, ...]) -> None:
        self.fits, self.recipe = fits, fits[0].recipe
        self.name = fits[0].name if len(fits) == 1 else f"{self.recipe.name} {len(fits)} folds"
        super().__init__(context, f"quantize {self.name}", fits)
        self.runs = [fit.result for fit in fits]

    def tests(self) -> list[RunTest]:
        """Each run on the clips that it held out."""
        tests, _ = held_out_tests(self.runs, self.context.clips)
        return tests

    @property
    def done(self) -> bool:
        """Whether each has the int8 model of its weights."""
        return not self._missing()

    def run(self) -> str:
        """Quantise those that are not; raises PromotionError if one cannot be."""
        from undertone_training.export.quantize import quantize_runs

        missing = self._missing()
        compute = self.context.trainer.features.compute
        for run, reason in quantize_runs(
            (run, compute(clips_of(self.context.clips, run.info.train), run.info.recipe))
            for run in missing
        ):
            if reason:
                raise PromotionError(
                    f"{run.folder} can't be quantised, as a bundle must be: {reason}."
                )
        return f"{self.recipe.name}: {len(missing)} int8 models"

    def _missing(self) -> list[Run]:
        return [
            run for run in self.runs if not _in_order(run.model, run.tflite, run.quantization_file)
        ]

    def is_of(self, report: Path) -> bool:
        """Whether a pooled report is of these runs alone, and newer than their int8 models."""
        try:
            pooled = Pooled.load(report)
        except (FileNotFoundError, RunError):
            return False
        return (
            pooled.recipe == self.recipe
            and pooled.seeds == (self.context.seed,)
            and {*pooled.splits} == {fit.split.name for fit in self.fits}
            and all(_in_order(run.quantization_file, report) for run in self.runs)
        )


class _EvaluateFolds(Stage):
    """The evidence, in ``folder``: what each fold predicts for the clips that it held out."""

    def __init__(self, context: Context, quantized: _Quantize, protocol: str) -> None:
        name = quantized.recipe.name
        super().__init__(context, f"evaluate {name} {protocol}", (quantized,))
        self.quantized, self.folder = quantized, context.trainer.runs / name
        self._report = self.folder / "report" / f"{file_name(protocol)}.json"

    @property
    def done(self) -> bool:
        return self.quantized.is_of(self._report)

    def run(self) -> str:
        """Test float and int8 models on whole clips, with out-of-fold confidence."""
        from undertone_training.learning.calibration import calibrate, from_cache
        from undertone_training.report.evaluations import report_whole_clips

        trainer = self.context.trainer
        calibrate(self.quantized.runs, from_cache(trainer.clips, trainer.features))
        report_whole_clips(self.folder, self.quantized.tests(), trainer.features)
        pooled = Pooled.load(self._report)
        figures = ", ".join(f"{form} {percent(f.uar.mean)}" for form, f in pooled.forms.items())
        return f"{self.folder.name} {pooled.protocol}: UAR {figures}"


class _EvaluateLive(Stage):
    """The same clips in long recordings, through the whole device path."""

    def __init__(self, context: Context, tested: _EvaluateFolds) -> None:
        super().__init__(context, f"evaluate {tested.folder.name} live", (tested,))
        self._tested = tested

    @property
    def done(self) -> bool:
        """Whether there are reports of these folds under every condition that is possible here."""
        return all(
            self._tested.quantized.is_of(self._tested.folder / "report" / f"{file_name(name)}.json")
            for name in self._conditions()
        )

    def run(self) -> str:
        """Play every fold's clips under each condition."""
        from undertone_training.report.evaluations import BackgroundSources, report_live

        sources = BackgroundSources(*self._sounds())
        features = self.context.trainer.features
        report_live(self._tested.folder, self._tested.quantized.tests(), sources, features)
        return f"{self._tested.folder.name} live: {len(list(self._conditions()))} conditions"

    def _sounds(self) -> tuple[Sequence[Path], Sequence[Clip]]:
        """Recorded noise and voices for the background; there may be none."""
        return for_testing(self.context.trainer.data).files, for_babble(self.context.trainer.clips)

    def _conditions(self) -> Iterator[str]:
        from undertone_training.evaluation.streaming import CONDITIONS

        noise, voices = self._sounds()
        there = {None: True, "music": True, "recorded noise": bool(noise), "voices": bool(voices)}
        return (each.name for each in CONDITIONS if there[each.background])


class _EvaluateLeftOut(Stage):
    """A sample of the corpus that each fold left out, through the device path."""

    def __init__(self, context: Context, tested: _EvaluateFolds) -> None:
        super().__init__(context, f"evaluate {tested.folder.name} cross-corpus", (tested,))
        self._tested = tested

    @property
    def done(self) -> bool:
        """Whether each fold has a report of its int8 model."""
        try:
            return all(
                _in_order(run.calibration_file, run.report / "cross-corpus.json")
                and left_out_report(run)
                for run in self._tested.quantized.runs
            )
        except RunError:  # an unreadable report is written anew, as that of the shipped weights is
            return False

    def run(self) -> str:
        """Classify them as the device does."""
        from undertone_training.report.evaluations import report_on_device

        trainer, folder = self.context.trainer, self._tested.folder
        tests, notes = sampled_tests(self._tested.quantized.tests(), CLIPS["cross-corpus"])
        report_on_device(
            folder, "cross-corpus", tests, trainer.data, trainer.clips, trainer.features, notes
        )
        return f"{folder.name} cross-corpus: {len(tests)} corpora, each left out of the training"


class _EvaluateShipped(Stage):
    """Figures of the weights that ship, which need their int8 model."""

    def __init__(self, context: Context, quantized: _Quantize, protocol: str) -> None:
        super().__init__(context, f"evaluate {quantized.name} {protocol}", (quantized,))
        self._name, (self._run,) = quantized.recipe.name, quantized.runs
        self._report = self._run.report / f"{protocol}.json"

    @property
    def done(self) -> bool:
        """Whether the report is of this int8 model with its present temperature and threshold."""
        try:
            return _in_order(self._run.calibration_file, self._report) and self._is_of_this_model()
        except RunError:
            return False

    @abstractmethod
    def _is_of_this_model(self) -> bool:
        """Whether the report, which exists, is complete; raises RunError for an unreadable one."""


class _EvaluateNoise(_EvaluateShipped):
    """False alarms in every sound without speech."""

    def __init__(self, context: Context, quantized: _Quantize) -> None:
        super().__init__(context, quantized, "noise")

    def _is_of_this_model(self) -> bool:
        return NoiseReport.load(self._run.report).model_sha256 == self._run.tflite_sha256

    def run(self) -> str:
        from undertone_training.report.evaluations import report_noise

        trainer = self.context.trainer
        ((_, report),) = report_noise([self._run], trainer.data, trainer.features)
        false = sum(each.segments for each in report.sounds)
        minutes = sum(each.duration_s for each in report.sounds) / 60
        return f"{self._name} noise: {false} false segments in {minutes:.0f} min"


class _EvaluateOtherCorpora(_EvaluateShipped):
    """A sample of each of ``corpora``, which the weights did not learn from."""

    def __init__(
        self, context: Context, quantized: _Quantize, protocol: str, corpora: tuple[str, ...]
    ) -> None:
        super().__init__(context, quantized, protocol)
        self._protocol, self._corpora = protocol, corpora

    def _is_of_this_model(self) -> bool:
        report = load_reports(self._run.report, self._run.tflite_sha256).get(self._protocol)
        corpora = {each.corpus for each in report.conditions} if report else {}
        return corpora == {*self._corpora}

    def run(self) -> str:
        from undertone_training.report.evaluations import report_cross_corpus, report_on_device

        trainer, folder, protocol = self.context.trainer, self._run.folder.parent, self._protocol
        tests, notes, _ = select_tests(
            protocol, [self._run], self.context.clips, corpora=self._corpora, most=CLIPS[protocol]
        )
        rest = (tests, trainer.data, trainer.clips, trainer.features, notes)
        if protocol == "cross-corpus":
            report_cross_corpus(folder, *rest)
        else:
            report_on_device(folder, protocol, *rest)
        return f"{self._name} {protocol}: {', '.join(self._corpora)}"


class _Promote(Stage):
    """The bundle.

    evidence: the evaluation of the folds.  figures: everything that the model card reports.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        quantized: _Quantize,
        evidence: _EvaluateFolds,
        figures: tuple[Stage, ...],
    ) -> None:
        title = f"promote {quantized.name} as {name}"
        super().__init__(context, title, (*figures, quantized))
        self._name, self._evidence, (self._run,) = name, evidence.folder, quantized.runs
        self._folder = context.models / name

    @property
    def done(self) -> bool:
        """Whether the bundle is of this int8 model, and newer than every report on it."""
        manifest = self._folder / MANIFEST_FILE
        try:
            made_of = msgspec.json.decode(manifest.read_bytes())["model_sha256"]
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            return False
        earlier = [
            *(self._evidence / "report").glob("*.json"),
            *self._evidence.glob("*/seed*/report/cross-corpus.json"),
            *self._run.report.glob("*.json"),
            self._run.quantization_file,
            self._run.calibration_file,
        ]
        current = all(_in_order(each, manifest) for each in earlier)
        return current and made_of == self._run.tflite_sha256

    def run(self) -> str:
        """Check it and write it; raises PromotionError if int8 lost too much."""
        found = candidate(self._run, self._evidence)
        fidelity = found.fidelity(self.context.clips, self.context.trainer.features)
        bundle = found.bundle(self._name, fidelity)
        found.write(bundle, self._folder)
        return f"{self._folder}: {len(bundle.model) / 1024:.1f} KB"


def stages_of(
    name: str, recipe: Recipe, context: Context, load: Callable[[str], Recipe]
) -> list[Stage]:
    """The stages of the bundle ``name``, each after those that it needs; the last makes it.

    load: finds the other recipes that ``recipe`` names.
    Raises PromotionError for a first stage, and for a corpus without a licence for weights that are
    passed on; SplitError if the clips do not suffice; ConfigError if another recipe is not there.
    """
    if recipe.corpus != EVALUATED_CORPUS:
        raise PromotionError(
            f"{recipe.name} is a first stage for other recipes, and makes no bundle: name a recipe "
            "that begins with it."
        )
    protocol = LEAVE_ONE_CORPUS_OUT if recipe.beside else EVIDENCE
    trainings = _Trainings(context, load)
    folds = trainings.of(recipe, protocol)
    for_folds = list(trainings.made.values())
    (final,) = trainings.of(recipe, "final", () if recipe.schedule.needs_validation else folds)
    for_final = list(trainings.made.values())[len(for_folds) :]
    if barred := unlicensed(_trained_corpora(final)):
        raise PromotionError(
            f"{recipe.name} learns from {', '.join(barred)}, whose terms give no licence for "
            "weights that are passed on: leave it out of the recipe."
        )
    quantized_folds, quantized = _Quantize(context, folds), _Quantize(context, (final,))
    evidence = _EvaluateFolds(context, quantized_folds, protocol)
    of_folds: list[Stage] = [evidence]
    if protocol == EVIDENCE:  # a card has no live figures of other protocols
        of_folds.append(_EvaluateLive(context, evidence))
    else:
        of_folds.append(_EvaluateLeftOut(context, evidence))
    of_final: list[Stage] = [_EvaluateNoise(context, quantized)]
    if corpora := _other_corpora(final):
        tested = {"cross-corpus": corpora}
        if recipe.beside:
            tested["known-voice"] = corpora
            if DEGRADED_CORPUS in corpora:
                tested["degraded"] = (DEGRADED_CORPUS,)
        of_final += [
            _EvaluateOtherCorpora(context, quantized, name, chosen)
            for name, chosen in tested.items()
        ]
    promote = _Promote(context, name, quantized, evidence, (*of_folds, *of_final))
    return [*for_folds, quantized_folds, *of_folds, *for_final, quantized, *of_final, promote]


def carry_out(stage: Stage, later: Sequence[Stage]) -> Iterator[tuple[Stage, str]]:
    """Carry out a stage, and trainings among the ``later`` ones that can be at the same time.

    Yields each with what was made.  TensorFlow must be loaded.
    """
    if isinstance(stage, Fit) and (others := stage.side_by_side(later)):
        yield from stage.run_with(others)
    else:
        yield stage, stage.run()


def remaining(stages: Sequence[Stage]) -> list[Stage]:
    """Those that are not done, or that need one that is not; raises RunError for foreign files."""
    left: list[Stage] = []
    for stage in stages:
        if any(each in left for each in stage.needs) or not stage.done:
            left.append(stage)
    return left


@dataclass(frozen=True)
class _Trainings:
    """Trainings of recipes and of those that they need, each made only once."""

    context: Context
    load: Callable[[str], Recipe]
    made: dict[tuple[str, str], Fit] = field(default_factory=dict)

    def of(self, recipe: Recipe, protocol: str, folds: tuple[Fit, ...] = ()) -> tuple[Fit, ...]:
        """One for each split of the protocol."""
        named = (recipe.begins_with, *recipe.distillation.teachers)
        earlier = [
            fit
            for name in dict.fromkeys(named)
            if name
            for fit in self.of(self.load(name), protocol)
        ]
        fits = []
        for split in splits_for(recipe, protocol, self.context.trainer.clips, validate=not folds):
            needed = tuple(fit for fit in earlier if fit.split.name in (split.name, PRE_TRAINING))
            fit = Fit(self.context, recipe, split, needed, folds)
            fits.append(self.made.setdefault((recipe.name, split.name), fit))
        return tuple(fits)


def _other_corpora(fit: Fit) -> tuple[str, ...]:
    """The available corpora that these weights do not learn from, with labels that they know."""
    try:
        clips = fit.context.trainer.clips
        return tuple(unseen_corpora(clips, _trained_corpora(fit), fit.recipe.labels))
    except SplitError:  # there are none
        return ()


def _trained_corpora(fit: Fit) -> tuple[str, ...]:
    """The corpora that these weights learn from, by themselves or from earlier ones."""
    return tuple(
        sorted(
            {
                *(clip.corpus for clip in fit.split.train),
                *fit.recipe.distillation.corpora,
                *(corpus for earlier in fit.earlier for corpus in _trained_corpora(earlier)),
            }
        )
    )


def _in_order(*paths: Path) -> bool:
    """Whether all exist, and none is older than the one before it."""
    try:
        times = [path.stat().st_mtime_ns for path in paths]
    except FileNotFoundError:
        return False
    return times == sorted(times)
