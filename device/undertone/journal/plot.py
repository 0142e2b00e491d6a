"""Plots emotions over time as stacked bars in an SVG.

It uses :mod:`undertone.support.svg`, because the device must not need matplotlib.
"""

from collections.abc import Iterable, Mapping
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


def in_order(verdicts: Iterable[str]) -> list[str]:
    """The eight emotions in their usual order, then ``uncertain`` and labels of other models."""
    present = set(verdicts)
    return [*(label for label in EMOTIONS if label in present), *sorted(present - set(EMOTIONS))]


def svg(summary: Summary) -> str:
    """Plot ``summary`` over time and over the hours of the day.

    A span of at most three days is plotted by hour, a longer one by day.
    """
    height = 2 * CHART_HEIGHT + _LEGEND_HEIGHT
    root = picture(WIDTH, height)
    verdicts = in_order(summary.verdicts)
    of_day = {f"{hour:02}": summary.by_hour.get(hour, {}) for hour in range(24)}
    _chart(root, 0, _title(summary), over_time(summary), verdicts)
    _chart(root, CHART_HEIGHT, "Segments by hour of the day", of_day, verdicts)
    _legend(root, 2 * CHART_HEIGHT, verdicts)
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


def _chart(
    root: Element,
    top: int,
    title: str,
    bars: Mapping[str, Counts],
    verdicts: Iterable[str],
) -> None:
    """Draw one chart of stacked bars, each with its counts as a tooltip."""
    add(root, "text", title, x=_LEFT, y=top + 24, font_weight="bold")
    bottom = top + CHART_HEIGHT - _BOTTOM
    most = max((sum(counts.values()) for counts in bars.values()), default=0) or 1
    scale = (bottom - top - _TOP) / most
    pitch = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars))
    for value in {0, most // 2, most}:
        y = round(bottom - value * scale, 1)
        add(root, "line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, stroke="#DDDDDD")
        add(root, "text", str(value), x=_LEFT - 8, y=y + 4, text_anchor="end")
    every = -(-len(bars) // _MOST_NAMES) or 1
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
        if number % every == 0:
            add(
                root,
                "text",
                short_name(name),
                x=round(x + pitch / 2, 2),
                y=bottom + 20,
                text_anchor="middle",
                font_size=11,
            )


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
