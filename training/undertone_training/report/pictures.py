"""The charts of a report, with matplotlib's object API: no pyplot, no state, no display.

Each takes a ``note`` that names the protocol: no accuracy is shown without one.  An emotion has
the same colour everywhere; the two forms of a model differ in colour, line and marker.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from undertone.emotions import colour
from undertone_training.corpora.splits import LEAVE_ONE_CORPUS_OUT
from undertone_training.evaluation.conditions import ConditionFigures
from undertone_training.metrics import (
    Figures,
    Predictions,
    coverage_curve,
    reliability,
)

INK, PALE, GRID = "#1b1f24", "#6a737d", "#e1e4e8"
BLUE, VERMILION = "#0072B2", "#D55E00"  # Okabe and Ito 2008, as the next
_SHADES = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_FORM_STYLES = {
    "float": {"color": BLUE, "linestyle": "--"},
    "int8": {"color": VERMILION, "linestyle": "-"},
}
_DOTS_PER_INCH = 144
_MANY_NAMES = 40
_FEW_CLIPS = 10
"""A bin with fewer clips is not very informative and is drawn pale."""


def png(picture: Figure) -> bytes:
    """The chart as a PNG file; the same chart gives the same bytes."""
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def confusion(figures: Figures, title: str, note: str) -> Figure:
    """The confusion matrix: the share of each row as colour and number, with the clips below."""
    counts = np.array(figures.confusion)
    support = counts.sum(axis=1, keepdims=True)
    rates = np.where(support, counts / np.maximum(support, 1), np.nan)
    n = len(figures.labels)
    picture, axes = canvas(title, note, width=2.2 + 0.72 * n, height=2.3 + 0.66 * n)
    axes.imshow(rates, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(counts.shape):
        if not support[row, 0]:
            axes.text(column, row, "–", ha="center", va="center", color=PALE)
            continue
        rate, ink = rates[row, column], "white" if rates[row, column] > 0.62 else INK
        strong = "bold" if row == column else "normal"
        axes.text(
            column, row - 0.1, f"{rate:.0%}", ha="center", va="center", color=ink, weight=strong
        )
        axes.text(
            column, row + 0.25, counts[row, column], ha="center", va="center", color=ink, size=7
        )
    axes.set_xticks(range(n), figures.labels, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(n), [f"{x} ({k})" for x, k in zip(figures.labels, support[:, 0], strict=True)]
    )
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true emotion (clips)")
    return picture


def recalls(by_form: Mapping[str, Figures], note: str, listeners: float | None = None) -> Figure:
    """Recall of each emotion: a bar for the last form and a mark for each other one.

    ``listeners``: mean accuracy of human listeners, drawn as a line.
    """
    *others, bars = by_form
    rows = [row for row in by_form[bars].per_class if row.recall is not None]
    at = np.arange(len(rows))
    picture, axes = canvas("Recall of each emotion", note, 7.6, 1.9 + 0.42 * len(rows))
    axes.barh(
        at,
        [row.recall or 0 for row in rows],
        height=0.68,
        color=[colour(row.label) for row in rows],
        edgecolor=INK,
        linewidth=0.6,
    )
    for form in others:
        known = {row.label: row.recall for row in by_form[form].per_class}
        marks = [known[row.label] or 0 for row in rows]
        axes.plot(
            marks, at, "D", color="white", markeredgecolor=INK, markersize=6, label=form, zorder=3
        )
    # each bar has its emotion's colour: the legend gets one without
    axes.fill([], [], facecolor="white", edgecolor=INK, linewidth=0.6, label=bars)
    for y, row in zip(at, rows, strict=True):
        axes.text(1.02, y, f"{row.recall:.0%} of {row.support}", va="center", color=INK, size=9)
    axes.axvline(by_form[bars].uar, color=INK, linewidth=1.2, label=f"UAR {by_form[bars].uar:.1%}")
    if listeners is not None:
        axes.axvline(
            listeners,
            color=PALE,
            linestyle=":",
            linewidth=1.8,
            label=f"human listeners, about {listeners:.0%}",
        )
    axes.set_yticks(at, [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.grid(axis="x", color=GRID)
    axes.tick_params(axis="y", length=0)
    legend_below(picture)
    return picture


def curves(history: Mapping[str, Sequence[float]], note: str) -> Figure:
    """Loss, and accuracy and UAR if the history has them, over the epochs."""
    panels = [name for name in ("loss", "accuracy", "uar") if name in history]
    n_epochs = len(history[panels[0]])
    dot = "o" if n_epochs < 5 else ""  # one epoch makes no line
    picture = sheet("Training", note, width=1.2 + 4.1 * len(panels), height=4.2)
    for axes, name in zip(np.ravel(picture.subplots(1, len(panels))), panels, strict=True):
        plain(axes)
        styles = (("", "training", BLUE, "--"), ("val_", "validation", VERMILION, "-"))
        for prefix, label, shade, line in styles:
            if not (values := history.get(prefix + name)):
                continue  # training without validation
            epochs = np.arange(1, len(values) + 1)
            axes.plot(epochs, values, line, color=shade, label=label, linewidth=1.8, marker=dot)
        axes.set_title({"uar": "UAR"}.get(name, name), color=INK, size=11)
        axes.set_xlabel("epoch")
        axes.set_xlim(1, max(2, n_epochs))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=GRID)
        if name != "loss":
            axes.set_ylim(0, 1)
            axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    handles, _ = picture.axes[0].get_legend_handles_labels()  # the same in each
    legend_below(picture, handles=handles)
    return picture


def coverage(
    by_form: Mapping[str, Predictions],
    note: str,
    threshold: float | None = None,
    without_verdict: Sequence[str] = (),
) -> Figure:
    """Accuracy of the verdicts against the share of clips that get one.

    ``threshold``: the confidence below which the device reports ``uncertain``, marked on the last
    form's curve. ``without_verdict``: labels for which it always does.
    """
    picture, axes = _verdicts(note)
    for form, predictions in by_form.items():
        curve, style = coverage_curve(predictions, without_verdict=without_verdict), _style(form)
        axes.plot(
            curve.coverage,
            curve.accuracy,
            style["linestyle"],
            color=style["color"],
            label=form,
            linewidth=1.8,
        )
    if threshold is not None:
        verdict = predictions.with_verdict(threshold, without_verdict)
        if verdict.any():
            axes.plot(
                verdict.mean(), predictions.correct[verdict].mean(), "o", color=VERMILION,
                markeredgecolor=INK, markersize=9, linestyle="none",
                label=f"threshold {threshold:.2f}: {verdict.mean():.0%} verdicts, "
                f"{predictions.correct[verdict].mean():.0%} correct",
            )  # fmt: skip
    legend_below(picture)
    return picture


def coverage_by_corpus(corpora: Sequence[ConditionFigures]) -> Figure:
    """The same for each corpus, from the most confident tenth of its clips on, with a point at the
    threshold of its model; dashed: a corpus that the network left out of its training.
    """
    picture, axes = _verdicts("cross-corpus · int8 model, through the device path")
    for number, one in enumerate(corpora):
        shade = _SHADES[number % len(_SHADES)]
        tenths = np.arange(1, 1 + len(one.accuracy_at_tenths)) / 10
        line = "--" if one.condition == LEAVE_ONE_CORPUS_OUT else "-"
        label = f"{one.corpus}, {one.condition}"
        axes.plot(tenths, one.accuracy_at_tenths, line, color=shade, label=label, linewidth=1.8)
        if one.verdicts:
            axes.plot(
                one.verdicts / one.n_clips, one.right / one.verdicts, "o", color=shade,
                markeredgecolor=INK, markersize=9,
            )  # fmt: skip
    axes.plot([], [], "o", color="white", markeredgecolor=INK, markersize=9, label="the threshold")
    legend_below(picture, columns=2)
    return picture


def _verdicts(note: str) -> tuple[Figure, Axes]:
    """Axes for the share of correct verdicts against the share of clips that get one."""
    picture, axes = canvas("Accuracy and share of verdicts", note, 6.6, 4.8)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("clips with a verdict")
    axes.set_ylabel("correct verdicts")
    axes.grid(color=GRID)
    return picture, axes


def reliability_diagram(predictions: Predictions, ece: float, title: str, note: str) -> Figure:
    """Accuracy of the verdicts by confidence, above the number of clips in each bin."""
    bins = reliability(predictions)
    filled = bins.count > 0
    left, width = bins.edges[:-1], np.diff(bins.edges)
    picture = sheet(title, f"{note} · ECE {ece:.3f}", width=5.6, height=6.2)
    upper, lower = picture.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    for axes in (upper, lower):
        plain(axes)
        axes.grid(axis="y", color=GRID)
    style: dict[str, Any] = {"align": "edge", "edgecolor": "white", "linewidth": 0.8}
    for few, shade in ((False, BLUE), (True, "#a9cfe6")):
        shown = filled & ((bins.count < _FEW_CLIPS) == few)
        if not shown.any():
            continue
        label = f"correct, of fewer than {_FEW_CLIPS} clips" if few else "correct"
        upper.bar(
            left[shown], bins.accuracy[shown], width[shown], color=shade, label=label, **style
        )
    upper.plot([0, 1], [0, 1], "--", color=INK, linewidth=1.2, label="perfectly calibrated")
    upper.plot(
        bins.confidence[filled],
        bins.accuracy[filled],
        "o",
        color="white",
        markeredgecolor=INK,
        markersize=5,
        clip_on=False,
        label="at the mean confidence",
    )
    upper.set_ylim(0, 1)
    upper.set_ylabel("correct verdicts")
    upper.yaxis.set_major_formatter(PercentFormatter(1, 0))
    lower.bar(left, bins.count, width, color=PALE, **style)
    lower.set_xlim(0, 1)
    lower.set_ylabel("clips")
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    lower.set_xlabel("confidence")
    lower.xaxis.set_major_formatter(PercentFormatter(1, 0))
    legend_below(picture, columns=2)
    return picture


def _style(form: str) -> dict[str, str]:
    return _FORM_STYLES.get(form, {"color": PALE, "linestyle": ":"})


def sheet(title: str, note: str, width: float, height: float) -> Figure:
    """An empty white chart with a title and, small below it, the note."""
    picture = Figure((width, height), dpi=_DOTS_PER_INCH, facecolor="white")
    picture.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    picture.suptitle(f"{title}\n\n", x=0.02, ha="left", color=INK, size=13, weight="bold")
    picture.text(0.02, 1 - 0.38 / height, note, color=PALE, size=9, va="top")
    return picture


def canvas(title: str, note: str, width: float, height: float) -> tuple[Figure, Axes]:
    """A white chart of ``width`` by ``height`` inches with one pair of plain axes."""
    picture = sheet(title, note, width, height)
    axes = picture.subplots()
    plain(axes)
    return picture, axes


def plain(axes: Axes) -> None:
    """Pale axes, only at the left and the bottom."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=INK, labelsize=9)


def names_below(axes: Axes, at: Iterable[float], names: Iterable[str]) -> None:
    """Label the x axis with ``names`` at the positions ``at``, in small type if there are many."""
    known = list(names)
    size = 9 if len(known) <= _MANY_NAMES else 5
    axes.set_xticks([*at], known, rotation=60, ha="right", rotation_mode="anchor", size=size)
    axes.tick_params(axis="x", length=0)


def width_for(n_names: int) -> float:
    """Width in inches of a chart with this many names below its x axis."""
    return min(14.0, max(6.6, 2.0 + 0.36 * n_names))


def legend_below(picture: Figure, columns: int = 4, **handles: Any) -> None:
    """A legend below the chart, of everything with a label or of these ``handles``."""
    picture.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9, **handles)
