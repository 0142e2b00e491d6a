"""The reports of protocols with several conditions, as a table and as Markdown."""

from collections.abc import Callable, Sequence

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


COVERAGE_PICTURE = "coverage-by-corpus.png"
"""The file of ``pictures.coverage_by_corpus`` in a bundle's report."""


def curves_of(report: ConditionsReport) -> Sequence[ConditionFigures]:
    """What that picture shows of a report: each corpus, for a report of corpora."""
    if report.protocol != "cross-corpus":
        return ()
    return [each for each in report.conditions if each.accuracy_at_tenths]


def markdown(report: ConditionsReport, folder: str) -> str:
    """The table with what to know about it, for model cards and docs/accuracy.md.

    folder: that of the bundle's report, as a link from the page.
    """
    columns = {report.protocol: COLUMNS["corpus"], **COLUMNS}
    del columns["corpus"]
    blocks = [column_table(report.conditions, columns, left=2)]
    if report.notes:
        blocks.append(" ".join(f"{note[0].upper()}{note[1:]}." for note in report.notes))
    if curves_of(report):
        what = "Share of correct verdicts against the share of clips with a verdict, by corpus"
        blocks.append(f"![{what}]({folder}/{COVERAGE_PICTURE})")
    return "\n\n".join(blocks)
