"""The reports of protocols with several conditions, as a table and as Markdown."""

from collections.abc import Callable

from undertone_training.evaluation.conditions import (
    ConditionFigures,
    ConditionsReport,
    GroupFigures,
)
from undertone_training.report.protocols import column_table, percent, percent_interval


def _uar(group: GroupFigures | None) -> str:
    return percent(group.uar) if group else "–"


def _interval(group: GroupFigures | None) -> str:
    return percent_interval(group.uar_interval95) if group else "–"


def _shared(group: GroupFigures | None) -> str:
    return f"{_uar(group)} of {len(group.groups)}" if group else "–"


COLUMNS: dict[str, Callable[[ConditionFigures], str]] = {
    "corpus": lambda one: one.corpus,
    "condition": lambda one: one.condition,
    "clips": lambda one: f"{one.n_clips:,}",
    "speakers": lambda one: str(one.n_speakers),
    "UAR of four emotions": lambda one: _uar(one.four_emotions),
    "95 % interval": lambda one: _interval(one.four_emotions),
    "UAR of shared labels": lambda one: _shared(one.shared_labels),
    "UAR of activation": lambda one: _uar(one.activation),
    "clips with a verdict": lambda one: percent(one.verdicts / one.n_clips),
    "correct verdicts": lambda one: percent(one.right / one.verdicts) if one.verdicts else "–",
    "ECE": lambda one: f"{one.ece:.3f}",
}
"""What a table shows of each condition, by the column's heading."""


def markdown(report: ConditionsReport) -> str:
    """The table with what to know about it, for model cards and docs/accuracy.md."""
    columns = {report.protocol: COLUMNS["corpus"], **COLUMNS}
    del columns["corpus"]
    table = column_table(report.conditions, columns, left=2)
    notes = " ".join(f"{note[0].upper()}{note[1:]}." for note in report.notes)
    return f"{table}\n\n{notes}" if notes else table
