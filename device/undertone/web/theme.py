"""The look of text and verdicts on every page."""

import re
from html import escape

import streamlit as st

from undertone.emotions import COLOURS, colour
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


def headline(verdict: str, detail: str) -> None:
    """Show a verdict in large letters beside its colour, and ``detail`` after it, smaller."""
    st.html(
        '<div data-testid="verdict" style="display:flex;flex-wrap:wrap;align-items:baseline;'
        'gap:.5rem"><span style="align-self:center;width:1.6rem;height:1.6rem;border-radius:.3rem;'
        f'background:{colour(verdict)}"></span><span style="font-size:2rem;font-weight:600">'
        f"{escape(printable(verdict))}</span><span>{escape(printable(detail))}</span></div>"
    )
