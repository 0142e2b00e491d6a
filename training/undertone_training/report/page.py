"""The report as one HTML page that needs no network: pictures inside, light and dark."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from undertone.emotions import colour
from undertone_training.figures import Figures
from undertone_training.report.protocols import meaning, percent, percent_interval

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
p.protocol { margin: .4rem 0 1.5rem; color: var(--pale); }
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
.pictures { display: grid; gap: 1.25rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; }
figure img { display: block; width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption { padding-top: .5rem; color: var(--pale); font-size: .9rem; }
pre { padding: 1rem; overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; font-size: .85rem; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="protocol">$protocol</p>
<div class="headline"><strong>$uar UAR</strong><span>95 % interval $interval over
$speakers speakers, $clips clips, $form model</span></div>
<h2>Figures</h2>
<div class="scroll">$figures</div>
$absent
<h2>Each class, $form model</h2>
<div class="scroll">$classes</div>
<h2>Pictures</h2>
<div class="pictures">
$pictures
</div>
$extra
</body>
</html>
""")


def render_page(
    content: Mapping[str, Any],
    by_form: Mapping[str, Figures],
    pictures: Sequence[tuple[str, bytes]],
) -> str:
    """The page for figures.json's ``content``; ``pictures`` are captions and PNG files."""
    protocol, shipped = content["protocol"], list(by_form)[-1]
    last = by_form[shipped]
    explained = f"{protocol}: {meaning(protocol)}" if meaning(protocol) else protocol
    absent = ", ".join(last.absent)
    extra = escape(json.dumps(content["extra"], indent=2, ensure_ascii=False), quote=False)
    return _PAGE.substitute(
        title=escape(content["title"]),
        protocol=escape(explained),
        uar=percent(last.uar),
        interval=percent_interval(last.uar_interval95),
        speakers=last.n_speakers,
        clips=f"{last.n_clips:,}",
        form=escape(shipped),
        figures=_figures_table(content, by_form),
        absent=f"<p>No clips of: {escape(absent)}; left out of UAR and macro F1.</p>"
        if absent
        else "",
        classes=_classes_table(last),
        pictures="\n".join(_picture(caption, png) for caption, png in pictures),
        extra=f"<h2>More</h2>\n<pre>{extra}</pre>" if content["extra"] else "",
    )


def _figures_table(content: Mapping[str, Any], by_form: Mapping[str, Figures]) -> str:
    each = by_form.values()
    rows = [
        ["UAR", *(percent(one.uar) for one in each)],
        ["95 % interval, over speakers", *(percent_interval(one.uar_interval95) for one in each)],
        ["accuracy", *(percent(one.accuracy) for one in each)],
        [
            "95 % interval, over speakers",
            *(percent_interval(one.accuracy_interval95) for one in each),
        ],
        ["macro F1", *(percent(one.macro_f1) for one in each)],
        ["expected calibration error", *(f"{one.ece:.3f}" for one in each)],
    ]
    rows += [
        [f"{pair} say the same", *[""] * (len(by_form) - 1), percent(share)]
        for pair, share in content["agreement"].items()
    ]
    cells = [[escape(cell) for cell in row] for row in rows]
    return _table([escape(content["protocol"]), *map(escape, by_form)], cells)


def _classes_table(figures: Figures) -> str:
    rows = [
        [
            f'<span class="swatch" style="background:{colour(row.label)}"></span>'
            f"{escape(row.label)}",
            *("–" if x is None else percent(x) for x in (row.precision, row.recall, row.f1)),
            str(row.support),
        ]
        for row in figures.per_class
    ]
    return _table(["", "precision", "recall", "F1", "clips"], rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _picture(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    text = escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
