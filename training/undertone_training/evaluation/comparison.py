"""The figures that ``evaluate`` and ``promote`` left in folders, as rows of one table."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from undertone_training.errors import RunError
from undertone_training.evaluation.results import NOISE_FILE, Pooled
from undertone_training.metrics import Interval, Spread

_FIGURES = "figures.json"


class Row(msgspec.Struct, frozen=True):
    """One recipe or bundle under one protocol, figures of the form that ships; None: not known.

    uar, accuracy, macro_f1, ece: mean and standard deviation over the seeds.
    float_uar: mean of the float model.  fit_s: mean seconds of one training.
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


def rows_of(folder: Path) -> list[Row]:
    """A row for each report of recipes and bundles in ``folder`` and below; or of single runs.

    Raises RunError where nothing was evaluated, and for a report that can't be read.
    """
    pooled = pooled_in(folder)
    bundles = sorted(folder.rglob(f"report/{_FIGURES}"))
    single = bundles if pooled or bundles else sorted(folder.rglob(_FIGURES))
    if not pooled and not single:
        raise RunError(
            f"Nothing was evaluated in {folder}: run `undertone-train evaluate {folder}` first."
        )
    return [*map(_of_runs, pooled), *map(_of_report, single)]


def pooled_in(folder: Path) -> list[Path]:
    """The files of what ``evaluate`` pooled in ``folder`` and below; see ``Pooled``."""
    others = (_FIGURES, NOISE_FILE)
    return sorted(path for path in folder.rglob("report/*.json") if path.name not in others)


def ranked(rows: Iterable[Row]) -> list[Row]:
    """By protocol, for only such rows can be compared; the highest UAR first."""
    return sorted(rows, key=lambda row: (row.protocol, -row.uar.mean, row.name))


def _of_runs(path: Path) -> Row:
    pooled = Pooled.load(path)
    form = list(pooled.forms)[-1]
    shipped, floats = pooled.forms[form], pooled.forms.get("float")
    return Row(
        name=pooled.recipe.name,
        folder=str(path.parent.parent),
        protocol=pooled.protocol,
        seeds=pooled.seeds,
        form=form,
        uar=shipped.uar,
        uar_interval95=shipped.uar_interval95,
        accuracy=shipped.accuracy,
        macro_f1=shipped.macro_f1,
        ece=shipped.ece,
        float_uar=floats.uar.mean if floats else None,
        parameters=pooled.cost.parameters,
        model_bytes=pooled.cost.model_bytes,
        multiply_accumulates=pooled.cost.multiply_accumulates,
        fit_s=pooled.cost.fit_s,
    )


class _Form(msgspec.Struct):
    uar: float
    accuracy: float
    macro_f1: float
    ece: float
    uar_interval95: Interval | None


class _Extra(msgspec.Struct):
    """What a report may tell beside its figures."""

    seed: int | None = None
    parameters: int | None = None
    model_bytes: int | None = None
    multiply_accumulates: int | None = None
    fit_s: float | None = None


class _Report(msgspec.Struct):
    """What is read of a figures.json."""

    title: str
    protocol: str
    forms: dict[str, _Form]
    extra: _Extra


def _of_report(path: Path) -> Row:
    try:
        report = msgspec.json.decode(path.read_bytes(), type=_Report)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{path} can't be read ({error}): evaluate or promote it again.") from error
    form = list(report.forms)[-1]
    shipped, floats = report.forms[form], report.forms.get("float")
    return Row(
        name=report.title,
        folder=str(path.parent),
        protocol=report.protocol,
        seeds=() if report.extra.seed is None else (report.extra.seed,),
        form=form,
        uar=Spread(shipped.uar, None),
        uar_interval95=shipped.uar_interval95,
        accuracy=Spread(shipped.accuracy, None),
        macro_f1=Spread(shipped.macro_f1, None),
        ece=Spread(shipped.ece, None),
        float_uar=floats.uar if floats else None,
        parameters=report.extra.parameters,
        model_bytes=report.extra.model_bytes,
        multiply_accumulates=report.extra.multiply_accumulates,
        fit_s=report.extra.fit_s,
    )
