"""The look of text and verdicts on every page."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import streamlit as st

from undertone.emotions import COLOURS, colour
from undertone.events import SegmentEnded, Verdict
from undertone.journal.summary import Summary
from undertone.support.printable import printable
from undertone.support.svg import add, picture, written

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")

_MOST_NARROW = 4
"""Columns that a phone shows beside each other."""

_BARS = (12, 24, 40, 28, 60, 36, 20, 48)


def plain(text: str) -> str:
    """``text`` from outside, escaped so that Markdown shows it as it is, without links."""
    return _MARKUP.sub(r"\\\1", printable(text))


def icon() -> str:
    """The icon in the browser's tab, as SVG: a bar for each emotion."""
    root = picture(64, 64)
    for number, (fill, height) in enumerate(zip(COLOURS.values(), _BARS, strict=True)):
        x, y = 8 * number + 1, 32 - height / 2
        add(root, "rect", x=x, y=y, width=6, height=height, rx=3, fill=fill)
    return written(root)


STYLE = """
.stMainBlockContainer { padding-top: 3rem }
.stMainBlockContainer h1 { padding-bottom: .25rem }
table.rows { width: 100%; border-collapse: collapse; font-size: .875rem }
.rows th, .rows td { text-align: left; padding: .3rem .5rem;
  border-bottom: 1px solid rgba(128, 128, 128, .3) }
.rows td:first-child { overflow-wrap: anywhere }
@media (max-width: 40rem) {
  table.rows, .stMarkdown table { font-size: .75rem }
  .stMarkdown table { display: block; overflow-x: auto }
  .rows th, .rows td, .stMarkdown th, .stMarkdown td { padding: .25rem .2rem !important }
  .wide thead { display: none }
  .wide tr { display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .4rem 0;
    border-bottom: 1px solid rgba(128, 128, 128, .3) }
  .wide td { border: 0; padding: 0 !important }
  .wide td:nth-child(-n+2) { font-size: .875rem; font-weight: 600 }
  .wide td:first-child { flex-basis: 100% }
  .wide td:nth-child(n+3)::before { content: attr(data-name) " "; opacity: .6 }
  .wide td:empty { display: none }
}
"""
"""The style sheet of every page."""


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """Show at least one row of texts under the names of their columns, without empty columns.

    On a narrow screen the texts wrap, where Streamlit's own tables are cut off; a row of many
    texts becomes several lines, in which each has its name before it.
    """
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    kind = "rows wide" if len(names) > _MOST_NARROW else "rows"
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(name, row[name]) for name in names)}</tr>" for row in rows)
    st.html(f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _cell(name: str, text: str) -> str:
    return f'<td data-name="{escape(printable(name))}">{escape(printable(text))}</td>'


def segment_row(segment: SegmentEnded, time: str) -> dict[str, str]:
    """The row of a table for a segment; ``time`` as the table shows it."""
    return {
        "time": time,
        "verdict": f"{segment.verdict}, {segment.reason}" if segment.reason else segment.verdict,
        "most probable": segment.label,
        "confidence": f"{segment.confidence:.0%}",
        "activation": "" if segment.activation is None else f"{segment.activation:.0%}",
        "seconds": f"{segment.duration_s:.1f}",
        "dBFS": f"{segment.level_dbfs:.0f}",
    }


def source_name(source: str) -> str:
    """A microphone or stream as it is shown."""
    return printable(source) or "not named"


def chosen_source(sources: Iterable[str], key: str) -> str | None:
    """The source that the visitor has chosen, if there are several; None for all.

    key: of the state of the field, which each page has for itself.
    """
    names = list(sources)
    if len(names) < 2:
        return None
    shown = ["all", *map(source_name, names)]
    number = st.selectbox(
        "Microphone", range(len(shown)), format_func=shown.__getitem__, key=key, width=320
    )
    return names[number - 1] if number else None


def detail_of(verdict: Verdict | SegmentEnded) -> str:
    """What follows the name of a verdict: the label if it is another, and how sure and excited."""
    label = "" if verdict.verdict == verdict.label else f"most probable: {verdict.label}, "
    activation = "" if verdict.activation is None else f", activation {verdict.activation:.0%}"
    reason = f", {verdict.reason}" if verdict.reason else ""
    return f"{label}{verdict.confidence:.0%}{activation}{reason}"


def metrics(values: Mapping[str, str]) -> None:
    """Show a few figures in a row, or in two columns on a phone."""
    with st.container(horizontal=True):
        for name, value in values.items():
            st.metric(name, value)


def totals(summary: Summary, segments: str, more: Mapping[str, str] | None = None) -> None:
    """Show the totals of a summary, and ``more`` metrics before the activation.

    segments: what the number of segments is called.
    """
    speech_min = sum(tally.speech_s for tally in summary.verdicts.values()) / 60
    shown = {
        segments: f"{summary.segments:,}",
        "minutes of speech": f"{speech_min:,.0f}",
        "hours listened": f"{summary.listened_s / 3600:,.1f}",
        **(more or {}),
    }
    if summary.activation is not None:
        shown["mean activation"] = f"{summary.activation:.0%}"
    metrics(shown)


def status(dot: str, text: str) -> None:
    """Show a line of text after a dot of the colour ``dot``."""
    st.html(
        '<div data-testid="status" style="display:flex;gap:.5rem;align-items:center"><span style="'
        f'flex:none;width:.75rem;height:.75rem;border-radius:50%;background:{dot}"></span>'
        f"<span>{escape(printable(text))}</span></div>"
    )


def headline(verdict: str, detail: str) -> None:
    """Show a verdict in large letters beside its colour, and ``detail`` after it, smaller."""
    st.html(
        '<div data-testid="verdict" style="display:flex;flex-wrap:wrap;align-items:baseline;'
        'gap:.5rem"><span style="align-self:center;width:1.6rem;height:1.6rem;border-radius:.3rem;'
        f'background:{colour(verdict)}"></span><span style="font-size:2rem;font-weight:600">'
        f"{escape(printable(verdict))}</span><span>{escape(printable(detail))}</span></div>"
    )
