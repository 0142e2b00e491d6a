"""A run's report as one HTML page."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from undertone_training.metrics import Figures
from undertone_training.report import document
from undertone_training.report.breakdown import Part
from undertone_training.report.protocols import meaning, percent, percent_interval


def render_page(
    content: Mapping[str, Any],
    by_form: Mapping[str, Figures],
    parts: Sequence[Part],
    classification: str,
    pictures: Sequence[tuple[str, bytes]],
) -> str:
    """The page for figures.json's ``content``.

    parts: of the last form.  classification: scikit-learn's report as text.  pictures: captions
    and PNG files.
    """
    protocol, shipped = content["protocol"], list(by_form)[-1]
    last = by_form[shipped]
    explained = f"{protocol}: {meaning(protocol)}" if meaning(protocol) else protocol
    extra = json.dumps(content["extra"], indent=2, ensure_ascii=False)
    sections = [
        f'<div class="headline"><strong>{percent(last.uar)} UAR</strong><span>95 % interval '
        f"{percent_interval(last.uar_interval95)} over {last.n_speakers} speakers, "
        f"{last.n_clips:,} clips, {escape(shipped)} model</span></div>",
        "<h2>Figures</h2>",
        _figures_table(content, by_form),
        f"<p>No clips of: {escape(', '.join(last.absent))}; left out of UAR and macro F1.</p>"
        if last.absent
        else "",
        f"<h2>Each class, {escape(shipped)} model</h2>",
        _classes_table(last),
        "<h2>Pictures</h2>",
        document.pictures(pictures),
        f"<h2>Each speaker and kind of clip, {escape(shipped)} model</h2>",
        _parts_table(parts),
        "<h2>Classification report</h2>",
        f"<pre>{escape(classification, quote=False)}</pre>",
        f"<h2>More</h2>\n<pre>{escape(extra, quote=False)}</pre>" if content["extra"] else "",
    ]
    return document.document(content["title"], explained, "\n".join(filter(None, sections)))


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
    return document.table([escape(content["protocol"]), *map(escape, by_form)], cells)


def _classes_table(figures: Figures) -> str:
    rows = [
        [
            document.emotion(row.label),
            *("–" if x is None else percent(x) for x in (row.precision, row.recall, row.f1)),
            str(row.support),
        ]
        for row in figures.per_class
    ]
    return document.table(["", "precision", "recall", "F1", "clips"], rows)


def _parts_table(parts: Sequence[Part]) -> str:
    rows = [
        [escape(part.name), percent(part.uar), percent(part.accuracy), str(part.clips)]
        for part in parts
    ]
    return document.table(["", "UAR", "accuracy", "clips"], rows)
