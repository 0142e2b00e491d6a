"""``undertone-train compare``: the figures of runs and bundles side by side."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.comparison import Row


@click.command(
    epilog="""\b
Examples:
  undertone-train compare runs/*
  undertone-train compare runs/compact models/ravdess8-compact
  undertone-train compare runs --format markdown > figures.md
"""
)
@click.argument("folders", nargs=-1, required=True, type=common.FOLDER, metavar="FOLDER...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
)
def command(folders: tuple[Path, ...], form: str) -> None:
    """Show what `evaluate` found in each FOLDER, of runs or of a bundle: a row for each report.

    Figures are those of the model that ships (int8): the mean ± standard deviation over seeds,
    with the 95 % interval by bootstrap over speakers. Compare rows of one protocol only.
    """
    import msgspec

    from undertone_training.comparison import rows_of

    rows = [row for folder in folders for row in rows_of(folder)]
    if form == "json":
        click.echo(json.dumps(msgspec.to_builtins(rows), indent=2, ensure_ascii=False))
    elif form == "markdown":
        click.echo(_markdown(rows))
    else:
        common.table(_HEAD, _cells(rows), "ll" + "r" * (len(_HEAD) - 2))


_HEAD = (
    "", "protocol", "seeds", "UAR", "95 % interval", "accuracy", "macro F1", "ECE", "float UAR",
    "parameters", "KB", "million MACs", "training",
)  # fmt: skip


def _cells(rows: "Sequence[Row]") -> list[tuple[str, ...]]:
    from undertone_training.report.protocols import percent, percent_interval

    times = Counter((row.name, row.protocol) for row in rows)
    cells: list[tuple[str, ...]] = []
    for row in rows:
        twice = times[row.name, row.protocol] > 1
        deviation = f" ± {100 * row.uar.deviation:.1f}" if row.uar.deviation is not None else ""
        cells.append(
            (
                f"{row.name} ({row.folder})" if twice else row.name,
                row.protocol,
                ", ".join(map(str, row.seeds)),
                f"{100 * row.uar.mean:.1f}{deviation} %",
                percent_interval(row.uar_interval95),
                percent(row.accuracy.mean),
                percent(row.macro_f1.mean),
                f"{row.ece.mean:.3f}",
                _if_known(row.float_uar, percent),
                _if_known(row.parameters, "{:,}".format),
                _if_known(row.model_bytes, lambda size: f"{size / 1024:.1f}"),
                _if_known(row.multiply_accumulates, lambda count: f"{count / 1e6:.2f}"),
                _if_known(row.fit_s, lambda seconds: f"{seconds / 60:.1f} min"),
            )
        )
    return cells


def _if_known(value: Any, show: Callable[[Any], str]) -> str:
    return "–" if value is None else show(value)


def _markdown(rows: "Sequence[Row]") -> str:
    lines = [_HEAD, ("---",) * 2 + ("---:",) * (len(_HEAD) - 2), *_cells(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
