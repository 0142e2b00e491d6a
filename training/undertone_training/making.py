"""Makes a bundle from corpora: the stages that its recipe needs, in order, each done only once.

The stages follow from the recipe: the trainings of the recipes that it begins with or learns from,
those of its folds, which are the evidence for it and the source of its confidence, the training of
the weights that ship, and the figures of both.  Each stage finds out from the files whether it is
done, so an interrupted making continues with the first stage that is not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import msgspec

from undertone.recognition.bundle import MANIFEST_FILE
from undertone_training.corpora.clip import Clip
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
    cross_corpus_tests,
    foreign,
    held_out_tests,
    sample_note,
    sampled,
)
from undertone_training.learning.runs import Run, clips_of
from undertone_training.learning.trainer import Trainer, Training, splits_for
from undertone_training.metrics import Confidence
from undertone_training.promotion import EVIDENCE, candidate
from undertone_training.recipe import EVALUATED_CORPUS, Recipe
from undertone_training.report.protocols import percent

CROSS_CORPUS_CLIPS = 500
"""How many clips of each other corpus test the weights that ship, at most."""


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
        return {clip.clip_id: clip for clip in self.trainer.clips}


class Stage(Protocol):
    """One step on the way to a bundle."""

    @property
    def title(self) -> str:
        """What it does, to what."""

    @property
    def needs(self) -> Sequence["Stage"]:
        """The stages whose results it uses."""

    @property
    def done(self) -> bool:
        """Whether its result is there and current; asked only when its needs are done."""

    def run(self) -> str:
        """Do it, or continue it, and say what was made; TensorFlow must be loaded."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The training of one recipe on one split.

    earlier: trainings whose weights it begins with, or whose predictions it learns from.
    folds: trainings whose held-out clips give it temperature and threshold; none: those of its
        own validation, or none.
    """

    context: Context
    recipe: Recipe
    split: Split
    earlier: tuple["Fit", ...] = ()
    folds: tuple["Fit", ...] = ()

    @property
    def name(self) -> str:
        """Of the recipe and the split."""
        return f"{self.recipe.name} {self.split.name}"

    @property
    def title(self) -> str:
        """As on the progress bar."""
        return f"fit {self.name}"

    @property
    def needs(self) -> Sequence[Stage]:
        """Other trainings only."""
        return (*self.earlier, *self.folds)

    @property
    def result(self) -> Run:
        """Its run, where ``fit`` puts it."""
        runs = self.context.trainer.runs
        return Run(runs / self.recipe.name / self.split.name / f"seed{self.context.seed}")

    @property
    def done(self) -> bool:
        """Raises RunError if there is another training in its folder."""
        return self._planned().done and self._confidence_is_current

    @property
    def _confidence_is_current(self) -> bool:
        calibration = self.result.folder / "calibration.json"
        return all(_in_order(fold.result.model, calibration) for fold in self.folds)

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
        return sum(finished) / len(finished) if finished else None

    def _planned(self) -> Training:
        training = self.context.trainer.plan(self.recipe, self.split, self.context.seed)
        if not (self.result.folder / "run.json").exists():
            return training
        before, now = self.result.info, training.info
        for what in ("gate", "detector"):
            if getattr(before, what) != getattr(now, what):
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


@dataclass(frozen=True, eq=False)
class Quantize:
    """The int8 models of some trainings."""

    context: Context
    fits: tuple[Fit, ...]

    @property
    def title(self) -> str:
        """With the split, or the number of folds."""
        several = f"{self.first.recipe.name} {len(self.fits)} folds"
        return f"quantize {several if len(self.fits) > 1 else self.first.name}"

    @property
    def needs(self) -> Sequence[Stage]:
        """The trainings."""
        return self.fits

    @property
    def first(self) -> Fit:
        """The first training, or the only one; all are of one recipe."""
        return self.fits[0]

    @property
    def runs(self) -> list[Run]:
        """The runs of the trainings."""
        return [fit.result for fit in self.fits]

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
        return f"{self.first.recipe.name}: {len(missing)} int8 models"

    def _missing(self) -> list[Run]:
        return [
            run
            for run in self.runs
            if not _in_order(run.model, run.tflite, run.folder / "quantization.json")
        ]


@dataclass(frozen=True, eq=False)
class EvaluateFolds:
    """The evidence: what each fold predicts for the clips that it held out."""

    context: Context
    quantized: Quantize
    protocol: str

    @property
    def title(self) -> str:
        """With the protocol."""
        return f"evaluate {self._recipe.name} {self.protocol}"

    @property
    def needs(self) -> Sequence[Stage]:
        """The int8 models."""
        return (self.quantized,)

    @property
    def done(self) -> bool:
        """Whether the report is of these folds alone."""
        return _is_of(self.folder / "report" / f"{file_name(self.protocol)}.json", self.quantized)

    @property
    def folder(self) -> Path:
        """That of the recipe, whose report is the evidence."""
        return self.context.trainer.runs / self._recipe.name

    def run(self) -> str:
        """Test float and int8 models on whole clips, with out-of-fold confidence."""
        from undertone_training.learning.calibration import calibrate, from_cache
        from undertone_training.report.evaluations import report_whole_clips

        trainer = self.context.trainer
        calibrate(self.quantized.runs, from_cache(trainer.clips, trainer.features))
        report_whole_clips(self.folder, self.quantized.tests(), trainer.features)
        pooled = Pooled.load(self.folder / "report" / f"{file_name(self.protocol)}.json")
        figures = ", ".join(f"{form} {percent(f.uar.mean)}" for form, f in pooled.forms.items())
        return f"{self._recipe.name} {pooled.protocol}: UAR {figures}"

    @property
    def _recipe(self) -> Recipe:
        return self.quantized.first.recipe


@dataclass(frozen=True, eq=False)
class EvaluateLive:
    """The same clips in long recordings, through the whole device path."""

    context: Context
    tested: EvaluateFolds

    @property
    def title(self) -> str:
        """With the protocol."""
        return f"evaluate {self.tested.folder.name} live"

    @property
    def needs(self) -> Sequence[Stage]:
        """The int8 models with their thresholds."""
        return (self.tested,)

    @property
    def done(self) -> bool:
        """Whether there are reports of these folds under every condition that is possible here."""
        reports = self.tested.folder / "report"
        return all(
            _is_of(reports / f"{file_name(name)}.json", self.tested.quantized)
            for name in self._conditions()
        )

    def run(self) -> str:
        """Play every fold's clips under each condition."""
        from undertone_training.report.evaluations import BackgroundSources, report_live

        tests, features = self.tested.quantized.tests(), self.context.trainer.features
        sources = BackgroundSources(*self._sounds())
        report_live(self.tested.folder, tests, sources, features.jobs, features.progress)
        return f"{self.tested.folder.name} live: {len(list(self._conditions()))} conditions"

    def _sounds(self) -> tuple[Sequence[Path], Sequence[Clip]]:
        """Recorded noise and voices for the background; there may be none."""
        return for_testing(self.context.trainer.data).files, for_babble(self.context.trainer.clips)

    def _conditions(self) -> Iterator[str]:
        from undertone_training.evaluation.streaming import CONDITIONS

        noise, voices = self._sounds()
        there = {None: True, "music": True, "recorded noise": bool(noise), "voices": bool(voices)}
        return (each.name for each in CONDITIONS if there[each.background])


@dataclass(frozen=True, eq=False)
class EvaluateNoise:
    """False alarms of the weights that ship."""

    context: Context
    quantized: Quantize

    @property
    def title(self) -> str:
        """With the protocol."""
        return f"evaluate {self.quantized.first.name} noise"

    @property
    def needs(self) -> Sequence[Stage]:
        """The int8 model."""
        return (self.quantized,)

    @property
    def done(self) -> bool:
        """Whether there is a report of this int8 model."""
        run = self.quantized.first.result
        try:
            report = NoiseReport.load(run.report)
        except (FileNotFoundError, RunError):
            return False
        return report.model_sha256 == _sha256(run)

    def run(self) -> str:
        """Play every sound without speech."""
        from undertone_training.report.evaluations import report_noise

        fit, progress = self.quantized.first, self.context.trainer.features.progress
        name = fit.recipe.name
        _, report = report_noise(fit.result, self.context.trainer.data, f"{name} noise", progress)
        false = sum(each.segments for each in report.sounds)
        minutes = sum(each.duration_s for each in report.sounds) / 60
        return f"{name} noise: {false} false segments in {minutes:.0f} min"


@dataclass(frozen=True, eq=False)
class EvaluateElsewhere:
    """The weights that ship on ``corpora``, which they did not learn from."""

    context: Context
    quantized: Quantize
    corpora: tuple[str, ...]

    @property
    def title(self) -> str:
        """With the protocol."""
        return f"evaluate {self.quantized.first.name} cross-corpus"

    @property
    def needs(self) -> Sequence[Stage]:
        """The int8 model."""
        return (self.quantized,)

    @property
    def done(self) -> bool:
        """Whether there is a report of this int8 model on these corpora."""
        try:
            run = self.quantized.first.result
            reports = load_reports(run.report, _sha256(run))
        except RunError:
            return False
        report = reports.get("cross-corpus")
        return report is not None and {each.corpus for each in report.conditions} == {*self.corpora}

    def run(self) -> str:
        """Test on a sample of each corpus."""
        from undertone_training.report.evaluations import report_cross_corpus

        run, trainer = self.quantized.first.result, self.context.trainer
        tests = cross_corpus_tests([run], trainer.clips, self.corpora)
        notes = [note for test in tests if (note := sample_note(test.clips, CROSS_CORPUS_CLIPS))]
        tests = [replace(test, clips=sampled(test.clips, CROSS_CORPUS_CLIPS)) for test in tests]
        report_cross_corpus(run.folder.parent, tests, trainer.features, notes)
        return f"{self.quantized.first.recipe.name} cross-corpus: {', '.join(self.corpora)}"


@dataclass(frozen=True, eq=False)
class Promote:
    """The bundle.

    evidence: the evaluation of the folds.  figures: everything that the model card reports.
    """

    context: Context
    name: str
    quantized: Quantize
    evidence: EvaluateFolds
    figures: tuple[Stage, ...]

    @property
    def title(self) -> str:
        """With the name of the bundle."""
        return f"promote {self.quantized.first.name} as {self.name}"

    @property
    def needs(self) -> Sequence[Stage]:
        """The int8 model and everything that its card reports."""
        return (*self.figures, self.quantized)

    @property
    def done(self) -> bool:
        """Whether the bundle is of this int8 model, and newer than every report on it."""
        manifest, run = self.folder / MANIFEST_FILE, self.quantized.first.result
        try:
            made_of = msgspec.json.decode(manifest.read_bytes())["model_sha256"]
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            return False
        reports = [
            *(self.evidence.folder / "report").glob("*.json"),
            *run.report.glob("*.json"),
            run.folder / "quantization.json",
        ]
        return made_of == _sha256(run) and all(_in_order(each, manifest) for each in reports)

    @property
    def folder(self) -> Path:
        """That of the bundle."""
        return self.context.models / self.name

    def run(self) -> str:
        """Check it and write it; raises PromotionError if int8 lost too much."""
        found = candidate(self.quantized.first.result, self.evidence.folder)
        fidelity = found.fidelity(self.context.clips, self.context.trainer.features)
        bundle = found.bundle(self.name, fidelity)
        found.write(bundle, self.folder)
        return f"{self.folder}: {len(bundle.model) / 1024:.1f} KB"


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
    if barred := unlicensed(_learnt_from(final)):
        raise PromotionError(
            f"{recipe.name} learns from {', '.join(barred)}, whose terms give no licence for "
            "weights that are passed on: leave it out of the recipe."
        )
    quantized_folds, quantized = Quantize(context, folds), Quantize(context, (final,))
    evidence = EvaluateFolds(context, quantized_folds, protocol)
    # a card has no live figures of other protocols
    live: list[Stage] = [EvaluateLive(context, evidence)] if protocol == EVIDENCE else []
    noise = EvaluateNoise(context, quantized)
    elsewhere: list[Stage] = []
    if corpora := _elsewhere(final):
        elsewhere.append(EvaluateElsewhere(context, quantized, corpora))
    figures: tuple[Stage, ...] = (evidence, *live, noise, *elsewhere)
    return [
        *for_folds,
        quantized_folds,
        evidence,
        *live,
        *for_final,
        quantized,
        noise,
        *elsewhere,
        Promote(context, name, quantized, evidence, figures),
    ]


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


def _elsewhere(fit: Fit) -> tuple[str, ...]:
    """The corpora at hand that these weights do not learn from, with labels that they know."""
    try:
        clips = fit.context.trainer.clips
        return tuple(foreign(clips, _learnt_from(fit), fit.recipe.labels))
    except SplitError:  # there are none
        return ()


def _learnt_from(fit: Fit) -> tuple[str, ...]:
    """The corpora that these weights learn from, by themselves or from earlier ones."""
    return tuple(
        sorted(
            {
                *(clip.corpus for clip in fit.split.train),
                *fit.recipe.distillation.corpora,
                *(corpus for earlier in fit.earlier for corpus in _learnt_from(earlier)),
            }
        )
    )


def _is_of(report: Path, quantized: Quantize) -> bool:
    """Whether a pooled report is of these runs alone, and newer than their int8 models."""
    try:
        pooled = Pooled.load(report)
    except (FileNotFoundError, RunError):
        return False
    fits = quantized.fits
    return (
        pooled.recipe == fits[0].recipe
        and pooled.seeds == (quantized.context.seed,)
        and {*pooled.splits} == {fit.split.name for fit in fits}
        and all(_in_order(fit.result.folder / "quantization.json", report) for fit in fits)
    )


def _in_order(*paths: Path) -> bool:
    """Whether all exist, and none is older than the one before it."""
    try:
        times = [path.stat().st_mtime_ns for path in paths]
    except FileNotFoundError:
        return False
    return times == sorted(times)


def _sha256(run: Run) -> str:
    return sha256(run.tflite.read_bytes()).hexdigest()
