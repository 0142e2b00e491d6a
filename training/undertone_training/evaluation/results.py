"""Results of several runs under one protocol: what ``evaluate`` writes to report/*.json."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import asdict, astuple

from undertone.support.strict import Strict
from undertone_training.corpora.clip import Clip
from undertone_training.errors import RunError
from undertone_training.evaluation.embeddings import EmbeddingMap
from undertone_training.learning.runs import Run
from undertone_training.metrics import Interval, Predictions, Spread, figures, mean_and_deviation
from undertone_training.recipe import Recipe

NOISE_FILE = "noise.json"
"""The report of the noise protocol, in the folder of a run's or a bundle's report."""

CONDITION_FILES = ("cross-corpus.json", "degraded.json", "known-voice.json")
"""The reports of protocols with several conditions (``conditions``), in the same folder."""

_FIGURES = "figures.json"

_T = TypeVar("_T", bound=msgspec.Struct)
_Counts = TypeVar("_Counts", "LiveCounts", "Verdicts")


class PooledFigures(Strict, frozen=True):
    """One form's figures over the seeds; ``uar_interval95`` is the mean's, over speakers."""

    uar: Spread
    accuracy: Spread
    macro_f1: Spread
    ece: Spread
    uar_interval95: Interval | None


class Cost(Strict, frozen=True):
    """What one model costs: ``multiply_accumulates`` of a window, ``fit_s`` of its training.

    model_bytes: of model.tflite; None before it is quantised.
    """

    parameters: int
    model_bytes: int | None
    multiply_accumulates: int
    fit_s: float


class LiveCounts(Strict, frozen=True):
    """Missed clips and segments without a clip in the ``live`` protocol, over all seeds."""

    clips: int
    missed_clips: int
    false_segments: int
    recording_s: float


class Verdicts(Strict, frozen=True):
    """Numbers of clips, of clips with a verdict at their run's threshold, and of correct verdicts.

    For the form that ships, over all seeds and folds; each run's threshold was fitted on its own
    training actors.
    """

    clips: int
    verdicts: int
    right: int

    @classmethod
    def of(
        cls, predictions: Predictions, threshold: float, without_verdict: Sequence[str] = ()
    ) -> "Verdicts":
        """The counts at a confidence threshold, from 0 to 1; see ``Predictions.with_verdict``."""
        given = predictions.with_verdict(threshold, without_verdict)
        return cls(len(given), int(given.sum()), int((given & predictions.correct).sum()))


def total(counts: Sequence[_Counts]) -> _Counts | None:
    """The sum over several recordings or runs, field by field; None if there are none."""
    if not counts:
        return None
    fields = zip(*map(astuple, counts), strict=True)
    return type(counts[0])(*(round(sum(field), 1) for field in fields))


@dataclass(frozen=True)
class Outcome:
    """What one run predicted for its test clips under one protocol, by form, and its cost."""

    run: Run
    protocol: str
    predictions: Mapping[str, Predictions]
    cost: Cost
    live: LiveCounts | None = None
    verdicts: Verdicts | None = None
    clips: Sequence[Clip] = ()
    map: EmbeddingMap | None = None


class Pooled(Strict, frozen=True):
    """The figures of one recipe under one protocol; ``forms`` by name, the shipped one last."""

    recipe: Recipe
    protocol: str
    seeds: tuple[int, ...]
    splits: tuple[str, ...]
    forms: dict[str, PooledFigures]
    cost: Cost
    live: LiveCounts | None = None
    verdicts: Verdicts | None = None

    def save(self, path: Path) -> None:
        """Write it as indented JSON."""
        save_report(path, self)

    @classmethod
    def load(cls, path: Path) -> "Pooled":
        """Read what ``save`` wrote; raises FileNotFoundError if missing, otherwise RunError."""
        return read_report(path, cls)


def save_report(path: Path, report: msgspec.Struct) -> None:
    """Write ``report`` as indented JSON; creates its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(report_json(report))


def report_json(report: msgspec.Struct) -> bytes:
    """A report as it is stored."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def read_report(path: Path, kind: type[_T]) -> _T:
    """Read what ``save_report`` wrote; raises FileNotFoundError if missing, otherwise RunError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(
            f"{path} can't be read ({error}): run `undertone-train evaluate` again."
        ) from error


def one_recipe(group: Sequence[Outcome]) -> Recipe:
    """The recipe of all of ``group``; raises RunError if there are several."""
    first = group[0].run
    for each in group[1:]:
        if each.run.info.recipe != first.info.recipe:
            raise RunError(
                f"{first.folder} and {each.run.folder} were made from different recipes with the "
                "same name: give a folder with the runs of one of them, or train the other again."
            )
    return first.info.recipe


def same_folds(group: Sequence[Outcome]) -> tuple[list[list[Outcome]], list[str]]:
    """The runs of each seed, for the seeds that have the most folds, and why others are left out.

    A mean over seeds that were tested on different speakers would mean nothing.
    """
    by_seed: dict[int, list[Outcome]] = {}
    for each in sorted(group, key=lambda each: each.run.info.seed):
        by_seed.setdefault(each.run.info.seed, []).append(each)
    splits = {seed: {each.run.info.split for each in runs} for seed, runs in by_seed.items()}
    fullest = max(splits, key=lambda seed: len(splits[seed]))
    reasons = [
        f"seed {seed} is left out of the mean: it has {', '.join(sorted(splits[seed]))}, and "
        f"seed {fullest} has {', '.join(sorted(splits[fullest]))}"
        for seed in by_seed
        if splits[seed] != splits[fullest]
    ]
    kept = [runs for seed, runs in by_seed.items() if splits[seed] == splits[fullest]]
    return kept, reasons


def pool(replicates: Sequence[Mapping[str, Predictions]]) -> dict[str, PooledFigures]:
    """Mean and deviation over ``replicates``, each the predictions by form of the same clips.

    The interval is from a bootstrap over speakers, each drawn with its clips in all replicates:
    if all replicates have the same clips, it is the interval of the mean UAR.
    """
    pooled = {}
    for form in replicates[0]:
        parts = [replicate[form] for replicate in replicates]
        joint = Predictions.concatenate(
            [
                replace(part, clip_ids=tuple(f"{index}/{name}" for name in part.clip_ids))
                for index, part in enumerate(parts)
            ]
        )
        spreads = mean_and_deviation([figures(part) for part in parts])
        pooled[form] = PooledFigures(**spreads, uar_interval95=figures(joint).uar_interval95)
    return pooled


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """The largest cost of the models of one recipe, and their mean training time."""
    return Cost(
        max(cost.parameters for cost in costs),
        max((cost.model_bytes for cost in costs if cost.model_bytes), default=None),
        max(cost.multiply_accumulates for cost in costs),
        sum(cost.fit_s for cost in costs) / len(costs),
    )


def file_name(protocol: str) -> str:
    """A protocol's name as the name of a file or folder, without a suffix."""
    return re.sub(r"[^a-z0-9]+", "-", protocol.lower()).strip("-")


class Row(msgspec.Struct, frozen=True):
    """One recipe or bundle under one protocol, with the figures of the form that ships.

    uar, accuracy, macro_f1, ece: mean and standard deviation over the seeds.
    float_uar: mean of the float model.  fit_s: mean seconds of one training.  None: not known.
    """

    name: str
    folder: str
    protocol: str
    seeds: tuple[int, ...]
    form: str
    uar: Spread
    uar_interval95: Interval | None
    accuracy: Spread
    macro_f1: Spread
    ece: Spread
    float_uar: float | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    multiply_accumulates: int | None = None
    fit_s: float | None = None


class _Form(msgspec.Struct):
    """Figures of one form of a single run or of a bundle."""

    uar: float
    accuracy: float
    macro_f1: float
    ece: float
    uar_interval95: Interval | None

    def pooled(self) -> PooledFigures:
        """The same as figures over one seed."""
        shares = (self.uar, self.accuracy, self.macro_f1, self.ece)
        uar, accuracy, macro_f1, ece = (Spread(share, None) for share in shares)
        return PooledFigures(uar, accuracy, macro_f1, ece, self.uar_interval95)


class _Extra(msgspec.Struct):
    """What a report may contain in addition to its figures."""

    seed: int | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    multiply_accumulates: int | None = None
    fit_s: float | None = None


class _Report(msgspec.Struct):
    """The part of a figures.json that is read."""

    title: str
    protocol: str
    forms: dict[str, _Form]
    extra: _Extra


def rows_of(folder: Path) -> list[Row]:
    """A row for each report of recipes and bundles in ``folder`` and below; or of single runs.

    Raises RunError if nothing was evaluated, and for a report that can't be read.
    """
    pooled = pooled_in(folder)
    bundles = sorted(folder.rglob(f"report/{_FIGURES}"))
    single = bundles if pooled or bundles else sorted(folder.rglob(_FIGURES))
    if not pooled and not single:
        raise RunError(
            f"Nothing was evaluated in {folder}: run `undertone-train evaluate {folder}` first."
        )
    return [*map(_pooled_row, pooled), *map(_single_row, single)]


def pooled_in(folder: Path) -> list[Path]:
    """The files of what ``evaluate`` pooled in ``folder`` and below; see ``Pooled``."""
    others = (_FIGURES, NOISE_FILE, *CONDITION_FILES)
    return sorted(path for path in folder.rglob("report/*.json") if path.name not in others)


def ranked(rows: Iterable[Row]) -> list[Row]:
    """Sorted by protocol, as only rows of one protocol can be compared; the highest UAR first."""
    return sorted(rows, key=lambda row: (row.protocol, -row.uar.mean, row.name))


def _pooled_row(path: Path) -> Row:
    pooled = Pooled.load(path)
    cost = asdict(pooled.cost)
    folder = str(path.parent.parent)
    return _row(pooled.recipe.name, folder, pooled.protocol, pooled.seeds, pooled.forms, cost)


def _single_row(path: Path) -> Row:
    report = read_report(path, _Report)
    cost = asdict(report.extra)
    seed = cost.pop("seed")
    seeds = () if seed is None else (seed,)
    forms = {form: each.pooled() for form, each in report.forms.items()}
    return _row(report.title, str(path.parent), report.protocol, seeds, forms, cost)


def _row(
    name: str,
    folder: str,
    protocol: str,
    seeds: tuple[int, ...],
    forms: Mapping[str, PooledFigures],
    cost: Mapping[str, Any],
) -> Row:
    form, shipped = list(forms.items())[-1]
    float_uar = forms["float"].uar.mean if "float" in forms else None
    return Row(name, folder, protocol, seeds, form, **asdict(shipped), float_uar=float_uar, **cost)
