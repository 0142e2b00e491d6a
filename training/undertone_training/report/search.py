"""Charts of a search: the result of each trial, and which settings mattered."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from undertone_training.report.pictures import BLUE, PALE, VERMILION, canvas


def history(uars: Sequence[float | None], complete: Sequence[bool], note: str) -> Figure:
    """UAR of each trial in order, pruned ones pale, and the best so far as a line.

    uars: mean over the folds of each trial; None for one without any.
    """
    picture, axes = canvas("UAR of each trial", note, width=7.2, height=4.0)
    tried = list(enumerate(zip(uars, complete, strict=True)))
    for label, whole, colour, marker in (
        ("all folds", True, BLUE, "o"),
        ("pruned or running", False, PALE, "x"),
    ):
        drawn = {number: uar for number, (uar, done) in tried if uar is not None and done == whole}
        axes.scatter(list(drawn), list(drawn.values()), c=colour, marker=marker, s=24, label=label)
    best = list(accumulate((uar if done and uar else 0.0 for _, (uar, done) in tried), max))
    known = [number for number, uar in enumerate(best) if uar]
    axes.step(known, [best[number] for number in known], where="post", c=VERMILION, label="best")
    axes.set_xlabel("trial")
    axes.set_ylabel("UAR, mean of the folds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(frameon=False, fontsize=9)
    return picture


def importance(shares: Mapping[str, float], note: str) -> Figure:
    """A bar for each setting of the search space: its share of the variance of the UAR."""
    height = 1.6 + 0.32 * len(shares)
    picture, axes = canvas("Importance of each setting", note, width=7.2, height=height)
    keys = list(shares)[::-1]  # the first bar is drawn lowest
    bars = axes.barh(keys, [shares[key] for key in keys], color=BLUE)
    axes.bar_label(bars, [f"{shares[key]:.0%}" for key in keys], padding=3, fontsize=9)
    axes.set_xlim(0, 1.12 * max([*shares.values(), 0.01]))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    return picture
