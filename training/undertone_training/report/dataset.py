"""Charts of a corpus: numbers of clips by emotion and speaker, and their durations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from undertone.emotions import EMOTIONS, colour
from undertone_training.report.breakdown import KINDS
from undertone_training.report.pictures import (
    BLUE,
    GRID,
    INK,
    PALE,
    canvas,
    legend_below,
    names_below,
    width_for,
)


def emotions_of(clips: pd.DataFrame) -> list[str]:
    """The emotions in a table of clips, in the order of RAVDESS."""
    return [emotion for emotion in EMOTIONS if (clips["emotion"] == emotion).any()]


def emotions(clips: pd.DataFrame, note: str) -> Figure:
    """Clips of each emotion, with strong intensity hatched."""
    names = emotions_of(clips)
    every = clips["emotion"].value_counts()[names]
    strong = clips[clips["intensity"] == "strong"]["emotion"].value_counts()
    strong = strong.reindex(names, fill_value=0)
    picture, axes = _rows("Clips of each emotion", note, names)
    style: dict[str, Any] = {"color": [*map(colour, names)], "edgecolor": INK, "linewidth": 0.6}
    axes.barh(range(len(names)), every - strong, 0.7, **style)
    bars = axes.barh(range(len(names)), strong, 0.7, left=every - strong, hatch="////", **style)
    axes.bar_label(bars, [f"{count:,}" for count in every], padding=4, color=INK, size=9)
    _count_axis(axes, every.max())
    axes.set_xlabel("clips; hatched: strong intensity" if strong.any() else "clips")
    return picture


def kinds(clips: pd.DataFrame, note: str) -> Figure:
    """Clips by sex, intensity and channel, as far as the corpus has these labels."""
    counts = pd.concat([clips[kind].value_counts().sort_index() for kind in KINDS])
    picture, axes = _rows("Kinds of clips", note, list(counts.index))
    bars = axes.barh(range(len(counts)), counts, 0.7, color=BLUE)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=4, color=INK, size=9)
    _count_axis(axes, counts.max())
    axes.set_xlabel("clips")
    return picture


def durations(clips: pd.DataFrame, note: str) -> Figure:
    """Box plot of the durations of each emotion's clips."""
    names = emotions_of(clips)
    values = [clips[clips["emotion"] == name]["duration_s"].to_numpy() for name in names]
    picture, axes = _rows("Durations of the recordings", note, names)
    boxes = axes.boxplot(
        values, positions=range(len(names)), orientation="horizontal", widths=0.62,
        manage_ticks=False, patch_artist=True, medianprops={"color": INK, "linewidth": 1.4},
        flierprops={"markersize": 3, "markeredgecolor": PALE},
    )  # fmt: skip
    for box, name in zip(boxes["boxes"], names, strict=True):
        box.set(facecolor=colour(name), edgecolor=INK, linewidth=0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds, with the silence before and after the speech")
    return picture


def speakers(clips: pd.DataFrame, note: str) -> Figure:
    """Clips of each speaker, coloured by emotion."""
    counts = clips.groupby(["speaker", "emotion"]).size().unstack(fill_value=0)
    at = np.arange(len(counts))
    picture, axes = canvas("Clips of each speaker", note, width_for(len(counts)), 4.6)
    below = np.zeros(len(counts))
    for name in emotions_of(clips):
        axes.bar(
            at, counts[name], 0.78, bottom=below, color=colour(name), edgecolor=INK,
            linewidth=0.4, label=name,
        )  # fmt: skip
        below += counts[name].to_numpy()
    names_below(axes, at, counts.index)
    axes.set_xlim(-0.7, len(counts) - 0.3)
    axes.grid(axis="y", color=GRID)
    axes.set_ylabel("clips")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    legend_below(picture)
    return picture


def _rows(title: str, note: str, names: Sequence[str]) -> tuple[Figure, Axes]:
    """A chart with a row for each name, the first on top."""
    picture, axes = canvas(title, note, 7.0, 1.9 + 0.4 * len(names))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)
    return picture, axes


def _count_axis(axes: Axes, highest: int) -> None:
    """Whole numbers on the x axis, and room for a number beside the longest bar."""
    axes.set_xlim(0, 1.12 * highest)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
