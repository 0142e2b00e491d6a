"""Charts of a report that need the clips: figures for groups of clips, and their embeddings."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from undertone.emotions import EMOTIONS, colour
from undertone_training.evaluation.embeddings import EmbeddingMap
from undertone_training.report.pictures import (
    BLUE,
    GRID,
    INK,
    PALE,
    canvas,
    legend_below,
    names_below,
    plain,
    sheet,
    width_for,
)

_MARKERS = "osD^vP*X"
"""Used with the colours, for readers and printers that can't show those."""


def breakdown(parts: pd.DataFrame, uar: float, note: str) -> Figure:
    """UAR of each group of clips as a bar and accuracy as a mark, with gaps between the kinds.

    parts: see ``breakdown.breakdown``.  uar: of all clips, drawn as a line.
    """
    at = parts.index + pd.factorize(parts["kind"])[0]
    picture, axes = canvas("UAR by speaker and kind of clip", note, width_for(at[-1] + 1), 4.4)
    axes.bar(at, parts["uar"], 0.72, color=BLUE, label="UAR")
    axes.plot(
        at, parts["accuracy"], "D", color="white", markeredgecolor=INK, markersize=5,
        label="accuracy",
    )  # fmt: skip
    axes.axhline(uar, color=INK, linewidth=1.2, label=f"UAR of all clips, {uar:.1%}")
    names_below(
        axes,
        at,
        [f"{value} ({n})" for value, n in zip(parts["value"], parts["clips"], strict=True)],
    )
    axes.set_xlim(-0.7, at[-1] + 0.7)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.grid(axis="y", color=GRID)
    axes.set_xlabel("speakers, then kinds of clip (number of clips)", color=PALE, size=9)
    legend_below(picture, columns=3)
    return picture


def embedding(maps: Sequence[EmbeddingMap], note: str) -> Figure:
    """Embeddings of the clips, one panel for each network, coloured by emotion."""
    columns = min(2, len(maps))
    rows = -(-len(maps) // columns)
    picture = sheet(
        "Embeddings of held-out clips (t-SNE)",
        note,
        0.6 + 4.4 * columns,
        1.2 + 4.2 * rows,
    )
    fields = np.ravel(picture.subplots(rows, columns, squeeze=False))
    spoken = {label for each in maps for label in each.emotions}
    order = [*EMOTIONS, *sorted(spoken - set(EMOTIONS))]
    labels = [label for label in order if label in spoken]
    markers = {label: _MARKERS[order.index(label) % len(_MARKERS)] for label in labels}
    for axes, each in zip(fields, maps, strict=False):
        plain(axes)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(each.title, color=INK, size=10)
        emotions = np.array(each.emotions)
        for label in labels:
            x, y = each.points[emotions == label].T
            axes.scatter(
                x, y, s=26, marker=markers[label], c=colour(label), edgecolors=INK, linewidths=0.4
            )
    for axes in fields[len(maps) :]:
        axes.set_visible(False)
    handles = [
        Line2D([], [], linestyle="none", marker=markers[label], markersize=6, label=label,
               color=colour(label), markeredgecolor=INK, markeredgewidth=0.4)
        for label in labels
    ]  # fmt: skip
    legend_below(picture, handles=handles)
    return picture
