"""The reference systems compared with ours: figures, published figures and costs in a table."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from undertone_training.corpora.splits import SPEAKER_DEPENDENT
from undertone_training.errors import RunError
from undertone_training.evaluation.results import Pooled, pooled_in, read_report
from undertone_training.metrics import Spread
from undertone_training.references.costs import Costs, Measured
from undertone_training.report.protocols import markdown_table, percent, percent_spread


class Published(msgspec.Struct, frozen=True):
    """A published figure.

    variant: of the protocol ``speaker-dependent``.  accuracy: from 0 to 1; None if there is none
    for this corpus.  words: the figure as reported.
    """

    variant: str
    accuracy: float | None
    words: str


PUBLISHED = {
    "mfcc-cnn": Published("speech, 8 emotions", 0.75, "class accuracy > 75 %, F1 > 80 %"),
    "cnn-bigru": Published("speech, song, 8 emotions", 0.80, "accuracy 80 %, macro F1 80 %"),
    "cnn-lstm-5": Published("speech, 5 emotions", 0.88, "accuracy 88 %"),
    "cnn-bilstm-multi": Published(
        "speech, song, 8 emotions", 0.59, "accuracy 59.0 %, macro F1 63 %"
    ),
    "cnn-bilstm-multi-3d": Published("speech, song, 8 emotions", None, "no figure of its own"),
    "deep-cnn-1d": Published("speech, song, 8 emotions", 0.68, "validation accuracy about 68 %"),
    "light-sernet": Published("speech, 8 emotions", None, "other corpora only"),
}
"""What the authors of the reference systems report, each for a random split, by recipe."""


class ProtocolFigures(msgspec.Struct, frozen=True):
    """A recipe's figures under one protocol; int8: None if there is no such form."""

    protocol: str
    seeds: tuple[int, ...]
    float_uar: Spread
    float_accuracy: Spread
    int8_uar: Spread | None
    int8_accuracy: Spread | None


class Ratios(msgspec.Struct, frozen=True):
    """The cost of a system relative to ours, which is int8 and takes the device's own path.

    latency: of features and inference, which all systems have.
    whole: including speech detection, which only ours has.
    """

    file: float
    latency: float
    whole: float
    memory: float


class SystemFigures(msgspec.Struct, frozen=True):
    """One system: its figures, those that its authors report, and its cost.

    ratios: cost of each form relative to ours, by form.
    """

    recipe: str
    parameters: int
    independent: ProtocolFigures | None
    dependent: tuple[ProtocolFigures, ...]
    published: Published | None
    cost: tuple[Measured, ...]
    unquantized: str | None
    ratios: dict[str, Ratios]

    @property
    def ours(self) -> bool:
        """Whether it is one of our own."""
        return self.published is None

    def form(self, name: str) -> Measured | None:
        """The cost of one form."""
        return next((each for each in self.cost if each.form == name), None)


class Table(msgspec.Struct, frozen=True):
    """Every system, ours first; the costs are of one run on one machine."""

    processor: str
    python: str
    calls: int
    systems: tuple[SystemFigures, ...]


def table(costs_file: Path, folders: Sequence[Path], earlier: Path | None = None) -> Table:
    """Join the costs with what ``evaluate`` left in ``folders``.

    earlier: a table that has the accuracy of the systems that no folder has a report on.
    Raises RunError if a file can't be read, if there is no report on a system, or if the costs
    contain no int8 model of ours to compare with.
    """
    try:
        costs = read_report(costs_file, Costs)
    except FileNotFoundError as error:
        raise RunError(
            f"There is no {costs_file}: run `undertone-train measure` with the runs first."
        ) from error
    ours = next(
        (one for one in costs.measured if one.recipe not in PUBLISHED and one.form == "int8"), None
    )
    if ours is None:
        raise RunError(
            f"{costs_file} has no int8 model of ours to compare with: name a folder of ours first "
            "in `undertone-train measure`."
        )
    reports = [Pooled.load(path) for folder in folders for path in pooled_in(folder)]
    names = dict.fromkeys(one.recipe for one in costs.measured)
    known = {one.recipe: one for one in _read(earlier).systems} if earlier else {}
    systems = [_system_figures(name, costs, reports, ours, known.get(name)) for name in names]
    return Table(
        costs.processor,
        costs.python,
        costs.calls,
        tuple(sorted(systems, key=lambda one: not one.ours)),
    )


def _read(path: Path) -> Table:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Table)
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(
            f"{path} is no table that can be read ({error}): name one that "
            "`undertone-train compare --references` wrote as JSON."
        ) from error


def _system_figures(
    name: str,
    costs: Costs,
    reports: Iterable[Pooled],
    ours: Measured,
    earlier: SystemFigures | None,
) -> SystemFigures:
    own = [report for report in reports if report.recipe.name == name]
    if own:
        accurate = SystemFigures(
            recipe=name,
            parameters=own[0].cost.parameters,
            independent=next(
                (_figures(each) for each in own if each.protocol == "speaker-independent"),
                None,
            ),
            dependent=tuple(
                _figures(each) for each in own if each.protocol.startswith(SPEAKER_DEPENDENT)
            ),
            published=PUBLISHED.get(name),
            cost=(),
            unquantized=None,
            ratios={},
        )
    elif earlier:
        accurate = earlier
    else:
        raise RunError(
            f"There is no report on {name} in these folders: name the one that has it, or an "
            "earlier table with --accuracy."
        )
    cost = tuple(each for each in costs.measured if each.recipe == name)
    return msgspec.structs.replace(
        accurate,
        cost=cost,
        unquantized=costs.unquantized.get(name),
        ratios={each.form: _ratios(each, ours) for each in cost},
    )


def _ratios(one: Measured, ours: Measured) -> Ratios:
    return Ratios(
        round(one.file_bytes / ours.file_bytes, 1),
        round(_processing_ms(one) / _processing_ms(ours), 1),
        round(one.whole.p50_ms / ours.whole.p50_ms, 1),
        round(one.peak_memory_bytes / ours.peak_memory_bytes, 1),
    )


def _processing_ms(one: Measured) -> float:
    return one.features.p50_ms + one.inference.p50_ms


def _figures(report: Pooled) -> ProtocolFigures:
    floats = report.forms["float"]
    int8 = report.forms.get("int8")
    return ProtocolFigures(
        report.protocol,
        report.seeds,
        floats.uar,
        floats.accuracy,
        int8.uar if int8 else None,
        int8.accuracy if int8 else None,
    )


HEAD = (
    "system", "form", "speaker-independent UAR", "speaker-dependent accuracy (inflated)",
    "its authors report", "parameters", "file, KB", "speech detection, ms",
    "features, ms", "inference, ms", "whole, ms: p50 / p90 / p99", "cold start, s",
    "peak memory, MB", "file", "features + inference", "whole", "memory",
)  # fmt: skip
"""The last four columns are relative to ours."""


def rows(found: Table) -> list[tuple[str, ...]]:
    """The cells below ``HEAD``: one row for each form of each system."""
    return [
        (
            f"**{system.recipe}**" if system.ours else system.recipe,
            one.form,
            _figures_text([system.independent] if system.independent else [], one.form, "uar"),
            _figures_text(system.dependent, one.form, "accuracy"),
            system.published.words if system.published else "",
            f"{system.parameters:,}",
            f"{one.file_bytes / 1024:,.0f}",
            f"{one.detection.p50_ms:.1f}",
            f"{one.features.p50_ms:.2f}",
            f"{one.inference.p50_ms:.2f}",
            f"{one.whole.p50_ms:.1f} / {one.whole.p90_ms:.1f} / {one.whole.p99_ms:.1f}",
            f"{one.cold_start_s:.1f}",
            f"{one.peak_memory_bytes / 2**20:.0f}",
            *(f"{times} x" for times in msgspec.structs.astuple(system.ratios[one.form])),
        )
        for system in found.systems
        for one in system.cost
    ]


def _figures_text(figures: Sequence[ProtocolFigures], form: str, what: str) -> str:
    """The figures of one form, each with its variant and number of seeds."""
    parts = []
    for each in figures:
        spread: Spread | None = getattr(each, f"{form}_{what}")
        if spread is None:
            continue
        _, _, variant = each.protocol.partition(f"{SPEAKER_DEPENDENT} (")
        variant = variant.partition(", split seed")[0]
        seeds = f"{len(each.seeds)} seed{'s' * (len(each.seeds) > 1)}"
        note = "; ".join(part for part in (variant, seeds) if part)
        parts.append(f"{percent_spread(spread.mean, spread.deviation)} ({note})")
    return ", ".join(parts) or "–"


SMALLER, FASTER = 5, 10
"""By how many times our file should be smaller, and our features and inference faster."""


def verdicts(found: Table) -> list[str]:
    """For each of our systems tested on new speakers: which others it beats, and which not."""
    others = [one for one in found.systems if not one.ours]
    return [
        _verdict(own, reached.int8_uar.mean, others)
        for one in found.systems
        if one.ours and (own := one.form("int8")) and (reached := one.independent)
        if reached.int8_uar
    ]


def _verdict(own: Measured, uar: float, others: Sequence[SystemFigures]) -> str:
    """Compared with each other system as it is used: librosa and a float Keras model."""
    above, small, fast = [], [], []
    for one in others:
        if one.independent and one.independent.float_uar.mean >= uar:
            above.append(f"{one.recipe} ({percent(one.independent.float_uar.mean)})")
        if cost := one.form("float"):
            ratios = _ratios(cost, own)
            if ratios.file < SMALLER:
                small.append(f"{one.recipe} ({ratios.file} x)")
            if ratios.latency < FASTER:
                fast.append(f"{one.recipe} ({ratios.latency} x)")
    return (
        f"**{own.recipe}**, int8, is more accurate on new speakers than {_all_but(above)}; its "
        f"file is at least {SMALLER} times smaller than that of {_all_but(small)}; its features "
        f"and inference are at least {FASTER} times faster than those of {_all_but(fast)}."
    )


def _all_but(exceptions: Sequence[str]) -> str:
    return f"all but {', '.join(exceptions)}" if exceptions else "all of them"


def markdown(found: Table) -> str:
    """The table with notes: what was measured, and why some systems have no int8 form."""
    notes = [
        f"3 s of sound, {found.calls} calls, one thread, {found.processor}, Python {found.python}. "
        "The last four columns are relative to our first int8 model, which takes the device's "
        "own path. *Speaker-dependent* is inflated: the tested speakers are also trained on.",
        *verdicts(found),
        *(
            f"{system.recipe} has no int8 form: {system.unquantized}"
            for system in found.systems
            if system.unquantized
        ),
    ]
    return "\n\n".join([markdown_table(HEAD, rows(found), left=2), *notes])
