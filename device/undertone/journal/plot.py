"""Plots emotions over time as stacked bars in an SVG.

It uses :mod:`undertone.support.svg`, because the device must not need matplotlib.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from undertone.emotions import EMOTIONS, colour
from undertone.journal.summary import Counts, Summary
from undertone.support.printable import printable
from undertone.support.svg import Element, add, picture, written

WIDTH, CHART_HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 40, 48
_LEGEND_HEIGHT = 40
_LONGEST_BY_HOUR = timedelta(days=3)
_MOST_NAMES = 16
"""The most names that fit below the bars."""

ACTIVATION_COLOUR = "#D6336C"
"""Of no emotion; visible on white and on black."""


def in_order(verdicts: Iterable[str]) -> list[str]:
    """The eight emotions in their usual order, then ``uncertain`` and labels of other models."""
    present = set(verdicts)
    return [*(label for label in EMOTIONS if label in present), *sorted(present - set(EMOTIONS))]


def svg(summary: Summary) -> str:
    """Plot ``summary`` over time and over the hours of the day.

    A span of at most three days is plotted by hour, a longer one by day.  The mean activation is
    plotted only where segments have one.
    """
    means = activation_over_time(summary)
    has_activation = any(mean is not None for mean in means.values())
    height = (3 if has_activation else 2) * CHART_HEIGHT + _LEGEND_HEIGHT
    root = picture(WIDTH, height)
    verdicts = in_order(summary.verdicts)
    of_day = {f"{hour:02}": summary.by_hour.get(hour, {}) for hour in range(24)}
    _chart(root, 0, _title(summary), over_time(summary), verdicts)
    _chart(root, CHART_HEIGHT, "Segments by hour of the day", of_day, verdicts)
    _legend(root, 2 * CHART_HEIGHT, verdicts)
    if has_activation:
        _activation_chart(root, 2 * CHART_HEIGHT + _LEGEND_HEIGHT, means)
    return written(root)


def _title(summary: Summary) -> str:
    span = " to ".join(f"{time:%Y-%m-%d %H:%M}" for time in (summary.first, summary.last) if time)
    return f"Segments of speech, {span}"


def over_time(summary: Summary) -> dict[str, Counts]:
    """Every hour or day from the first to the last, including those without speech."""
    if summary.first is None or summary.last is None:
        return {}
    first, last = (time.replace(tzinfo=None) for time in (summary.first, summary.last))
    if abs(last - first) <= _LONGEST_BY_HOUR:
        step, form, counts = timedelta(hours=1), "%Y-%m-%dT%H", summary.hours
    else:
        step, form = timedelta(days=1), "%Y-%m-%d"
        counts = {day.isoformat(): counts for day, counts in summary.by_day.items()}
    names = dict.fromkeys(
        (first + number * step).strftime(form) for number in range((last - first) // step + 2)
    )
    known = {name: counts.get(name, {}) for name in names if name <= last.strftime(form)}
    # ``counts`` has earlier or later entries if the clock was set back
    return dict(sorted((known | counts).items()))


def activation_over_time(summary: Summary) -> dict[str, float | None]:
    """The mean activation in the hours or days of :func:`over_time`; None without one."""
    days = {day.isoformat(): mean for day, mean in summary.activation_by_day.items()}
    means = {hour: each.mean for hour, each in summary.activations.items()} | days
    return {name: means.get(name) for name in over_time(summary)}


def _chart(
    root: Element,
    top: int,
    title: str,
    bars: Mapping[str, Counts],
    verdicts: Iterable[str],
) -> None:
    """Draw one chart of stacked bars, each with its counts as a tooltip."""
    most = max((sum(counts.values()) for counts in bars.values()), default=0) or 1
    bottom, scale = _axes(root, top, title, {each: str(each) for each in (0, most // 2, most)})
    pitch = _pitch(bars)
    _names(root, bottom, bars)
    for number, (name, counts) in enumerate(bars.items()):
        x = _LEFT + number * pitch
        y = float(bottom)
        group = add(root, "g")
        shown = ", ".join(f"{verdict} {counts[verdict]}" for verdict in in_order(counts))
        add(group, "title", printable(f"{name}: {shown or 'nothing'}"))
        for verdict in verdicts:
            if count := counts.get(verdict, 0):
                y -= count * scale
                add(
                    group,
                    "rect",
                    x=round(x + 0.1 * pitch, 2),
                    y=round(y, 2),
                    width=round(0.8 * pitch, 2),
                    height=round(count * scale, 2),
                    fill=colour(verdict),
                )


def _activation_chart(root: Element, top: int, means: Mapping[str, float | None]) -> None:
    """Draw the mean activation of each hour or day as a point, with its value as a tooltip."""
    values = {0.0: "0 %", 0.5: "50 %", 1.0: "100 %"}
    bottom, scale = _axes(root, top, "Mean activation", values)
    _names(root, bottom, means)
    for number, (name, mean) in enumerate(means.items()):
        if mean is not None:
            x = round(_LEFT + (number + 0.5) * _pitch(means), 2)
            group = add(root, "g")
            add(group, "title", printable(f"{name}: activation {mean:.0%}"))
            y = round(bottom - mean * scale, 2)
            add(group, "line", x1=x, x2=x, y1=bottom, y2=y, stroke=ACTIVATION_COLOUR)
            add(group, "circle", cx=x, cy=y, r=4, fill=ACTIVATION_COLOUR)


def _axes(
    root: Element, top: int, title: str, values: Mapping[int, str] | Mapping[float, str]
) -> tuple[int, float]:
    """The title and a line for each of ``values``; return where 0 is, and the pixels of 1."""
    add(root, "text", title, x=_LEFT, y=top + 24, font_weight="bold")
    bottom = top + CHART_HEIGHT - _BOTTOM
    scale = (bottom - top - _TOP) / max(values)
    for value, text in values.items():
        y = round(bottom - value * scale, 1)
        add(root, "line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, stroke="#DDDDDD")
        add(root, "text", text, x=_LEFT - 8, y=y + 4, text_anchor="end")
    return bottom, scale


def _names(root: Element, bottom: int, names: Collection[str]) -> None:
    """As many names below the bars as fit."""
    every = -(-len(names) // _MOST_NAMES) or 1
    for number, name in enumerate(names):
        if number % every == 0:
            add(
                root,
                "text",
                short_name(name),
                x=round(_LEFT + (number + 0.5) * _pitch(names), 2),
                y=bottom + 20,
                text_anchor="middle",
                font_size=11,
            )


def _pitch(names: Collection[str]) -> float:
    return (WIDTH - _LEFT - _RIGHT) / max(1, len(names))


def short_name(name: str) -> str:
    """A short label for a bar: ``2026-11-21T18`` as ``21. 18h``, ``2026-11-21`` as ``11-21``.

    ``name``: one from :func:`over_time`, or an hour of the day, which stays as it is.
    """
    day, _, hour = name.partition("T")
    if hour:
        return f"{day[8:]}. {hour}h"
    return day[5:] or day


def _legend(root: Element, top: int, verdicts: list[str]) -> None:
    pitch = (WIDTH - _LEFT - _RIGHT) / max(1, len(verdicts))
    for number, verdict in enumerate(verdicts):
        x = round(_LEFT + number * pitch, 2)
        add(root, "rect", x=x, y=top, width=14, height=14, fill=colour(verdict))
        add(root, "text", printable(verdict), x=x + 20, y=top + 12)
