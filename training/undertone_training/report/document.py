"""A page that needs no network: style, tables and pictures inside, light and dark."""

import base64
from collections.abc import Iterable
from html import escape
from string import Template

from undertone.emotions import colour

_WIDE = 1250
"""Pixels: a wider picture gets the whole width of the page."""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --pale: #57606a; --paper: #ffffff;
  --card: #f6f8fa; --line: #d0d7de; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --pale: #9aa4af;
  --paper: #0d1117; --card: #161b22; --line: #30363d; --accent: #64caff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
p.lead { margin: .4rem 0 1.5rem; color: var(--pale); }
.headline { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline;
  padding: 1rem 1.25rem; background: var(--card); border-left: 4px solid var(--accent);
  border-radius: 6px; }
.headline strong { font-size: 2.2rem; line-height: 1.1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem .35rem 0; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--pale); font-weight: 600; }
.swatch { display: inline-block; width: .75em; height: .75em; margin-right: .5em;
  border-radius: 2px; border: 1px solid var(--line); }
.pictures { display: grid; gap: 1.25rem; align-items: start; grid-auto-flow: dense;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
figure.wide { grid-column: 1 / -1; }
figure img { display: block; width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption { padding-top: .5rem; color: var(--pale); font-size: .9rem; }
pre { padding: 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; font-size: .85rem; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="lead">$lead</p>
$body
</body>
</html>
""")


def document(title: str, lead: str, body: str) -> str:
    """The whole page; ``title`` and the line below it are plain text, ``body`` is HTML."""
    return _PAGE.substitute(title=escape(title), lead=escape(lead), body=body)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n'
        "</table></div>"
    )


def emotion(label: str) -> str:
    """An emotion's name with its colour before it."""
    swatch = f'<span class="swatch" style="background:{colour(label)}"></span>'
    return swatch + escape(label)


def pictures(captioned: Iterable[tuple[str, bytes]]) -> str:
    """PNG files with their captions, side by side as far as there is room."""
    inside = "\n".join(_picture(caption, png) for caption, png in captioned)
    return f'<div class="pictures">\n{inside}\n</div>'


def _picture(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    text = escape(caption)
    width = int.from_bytes(png[16:20], "big")  # in the header chunk (PNG specification, 11.2.2)
    wide = ' class="wide"' if width > _WIDE else ""
    return (
        f'<figure{wide}><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
