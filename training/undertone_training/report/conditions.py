"""The reports of protocols with several conditions, as a table and as Markdown."""

from collections.abc import Iterator, Sequence

from undertone_training.evaluation.conditions import ConditionsReport, GroupFigures
from undertone_training.report.protocols import percent, percent_interval

HEAD = (
    "corpus",
    "condition",
    "clips",
    "speakers",
    "UAR of four emotions",
    "95 % interval",
    "UAR of shared labels",
    "UAR of activation",
    "clips with a verdict",
    "correct verdicts",
    "ECE",
)


def rows(report: ConditionsReport) -> Iterator[Sequence[str]]:
    """A row for each condition, in the order of ``HEAD``."""
    for each in report.conditions:
        four, shared = each.four_emotions, each.shared_labels
        yield (
            each.corpus,
            each.condition,
            f"{each.n_clips:,}",
            str(each.n_speakers),
            _uar(four),
            percent_interval(four.uar_interval95) if four else "–",
            f"{_uar(shared)} of {len(shared.groups)}" if shared else "–",
            _uar(each.activation),
            percent(each.verdicts / each.n_clips),
            percent(each.right / each.verdicts) if each.verdicts else "–",
            f"{each.ece:.3f}",
        )


def markdown(report: ConditionsReport) -> str:
    """The table with what to know about it, for model cards and docs/accuracy.md."""
    head = (report.protocol, *HEAD[1:])
    lines = (head, ("---", "---", *("---:",) * (len(HEAD) - 2)), *rows(report))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = " ".join(f"{note[0].upper()}{note[1:]}." for note in report.notes)
    return f"{table}\n\n{notes}" if notes else table


def _uar(group: GroupFigures | None) -> str:
    return percent(group.uar) if group else "–"
