"""The look of text and verdicts on every page."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import streamlit as st

from undertone.emotions import COLOURS, colour
from undertone.events import SegmentEnded
from undertone.support.printable import printable
from undertone.support.svg import add, picture, written

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])")

_BARS = (12, 24, 40, 28, 60, 36, 20, 48)


def plain(text: str) -> str:
    """``text`` from outside, escaped so that Markdown shows it as it is, without links."""
    return _MARKUP.sub(r"\\\1", printable(text))


def icon() -> str:
    """The icon in the browser's tab, as SVG: a bar for each emotion."""
    root = picture(64, 64)
    for number, (name, height) in enumerate(zip(COLOURS, _BARS, strict=True)):
        add(
            root,
            "rect",
            x=8 * number + 1,
            y=32 - height / 2,
            width=6,
            height=height,
            rx=3,
            fill=colour(name),
        )
    return written(root)


STYLE = """
.stMainBlockContainer { padding-top: 3rem }
table.rows { width: 100%; border-collapse: collapse; font-size: .875rem }
.rows th, .rows td { text-align: left; padding: .3rem .5rem;
  border-bottom: 1px solid rgba(128, 128, 128, .3) }
.rows td:first-child { overflow-wrap: anywhere }
@media (max-width: 40rem) {
  table.rows, .stMarkdown table { font-size: .75rem }
  .stMarkdown table { display: block; overflow-x: auto }
  .rows th, .rows td, .stMarkdown th, .stMarkdown td { padding: .25rem .2rem !important }
}
"""
"""The style sheet of every page."""


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """Show at least one row of texts under the names of their columns.

    On a narrow screen the texts wrap, where Streamlit's own tables are cut off.
    """

    def row(kind: str, texts: Iterable[str]) -> str:
        cells = (f"<{kind}>{escape(printable(text))}</{kind}>" for text in texts)
        return f"<tr>{''.join(cells)}</tr>"

    head, body = row("th", rows[0]), "".join(row("td", each.values()) for each in rows)
    st.html(f'<table class="rows"><thead>{head}</thead><tbody>{body}</tbody></table>')


def segment_row(segment: SegmentEnded, time: str) -> dict[str, str]:
    """The row of a table for a segment; ``time`` as the table shows it."""
    return {
        "time": time,
        "verdict": f"{segment.verdict}, {segment.reason}" if segment.reason else segment.verdict,
        "most probable": segment.label,
        "confidence": f"{segment.confidence:.0%}",
        "seconds": f"{segment.duration_s:.1f}",
        "dBFS": f"{segment.level_dbfs:.0f}",
    }


def headline(verdict: str, detail: str) -> None:
    """Show a verdict in large letters beside its colour, and ``detail`` after it, smaller."""
    st.html(
        '<div data-testid="verdict" style="display:flex;flex-wrap:wrap;align-items:baseline;'
        'gap:.5rem"><span style="align-self:center;width:1.6rem;height:1.6rem;border-radius:.3rem;'
        f'background:{colour(verdict)}"></span><span style="font-size:2rem;font-weight:600">'
        f"{escape(printable(verdict))}</span><span>{escape(printable(detail))}</span></div>"
    )
