"""``undertone-train compare``: the figures of runs and bundles side by side."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from undertone_training.cli import common

if TYPE_CHECKING:
    from undertone_training.evaluation.results import Row


def _checked_ending(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    endings = (".md", ".json", ".png") if context.params.get("references") else (".md", ".json")
    if value and value.suffix not in endings:
        raise click.BadParameter(f"{value} must end in one of {', '.join(endings)}.")
    return value


@click.command(
    cls=common.Command,
    epilog="""\b
Examples:
  undertone-train compare runs/*
  undertone-train compare runs/compact models/ravdess8-compact
  undertone-train compare runs --output figures.md
  undertone-train compare runs --references costs.json --output references.png
  undertone-train compare runs/compact --references costs.json --accuracy table.json
""",
)
@click.argument("folders", nargs=-1, required=True, type=common.FOLDER, metavar="FOLDER...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
)
@click.option(
    "--references",
    type=click.Path(dir_okay=False, path_type=Path),
    is_eager=True,
    metavar="COSTS.json",
    help="Compare the reference systems with ours, including the costs in this file of `measure`.",
)
@click.option(
    "--accuracy",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="TABLE.json",
    help="With --references: an earlier table, whose accuracy counts for systems without a report.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_checked_ending,
    metavar="FILE.md|FILE.json|FILE.png",
    help="Write to a file instead; its ending gives the format, PNG with --references only.",
)
def command(
    folders: tuple[Path, ...],
    form: str,
    references: Path | None,
    accuracy: Path | None,
    output: Path | None,
) -> None:
    """Show the results of `evaluate` in each FOLDER, of runs or of a bundle: one row per report.

    The figures are those of the model that ships (int8), or of the float model if it is not
    quantised: mean ± standard deviation over seeds, with the 95 % interval by bootstrap over
    speakers. Compare rows of one protocol only; the best of each comes first.
    """
    if references:
        _references(references, folders, accuracy, form, output)
        return
    from undertone_training.evaluation.results import ranked, rows_of

    rows = ranked(row for folder in folders for row in rows_of(folder))
    if output:
        text = _json(rows) if output.suffix == ".json" else _markdown(rows)
        common.write_output(output, f"{text}\n".encode())
        click.echo(f"{output}: {len(rows)} rows")
    elif form == "json":
        click.echo(_json(rows))
    elif form == "markdown":
        click.echo(_markdown(rows))
    else:
        common.column_table(rows, _columns(rows), left=2)


def _references(
    costs: Path, folders: Sequence[Path], accuracy: Path | None, form: str, output: Path | None
) -> None:
    """Print the reference systems compared with ours, or write them to a file."""
    from undertone_training.references.table import HEAD, markdown, rows, table

    found = table(costs, folders, accuracy)
    kind = output.suffix[1:] if output else {"markdown": "md"}.get(form, form)
    if kind == "table":
        common.table(HEAD, rows(found), "ll" + "r" * (len(HEAD) - 2))
        return
    if kind == "png":
        from undertone_training.references.picture import picture
        from undertone_training.report.pictures import png

        content = png(picture(found))
    else:
        text = _json(found) if kind == "json" else markdown(found)
        content = f"{text}\n".encode()
    if output:
        common.write_output(output, content)
        click.echo(f"{output}: {len(found.systems)} systems")
    else:
        click.echo(content.decode(), nl=False)


def _columns(rows: "Sequence[Row]") -> "dict[str, Callable[[Row], str]]":
    """What the table shows of each row, by the column's heading."""
    from undertone_training.report.protocols import percent, percent_interval, percent_spread

    times = Counter((row.name, row.protocol) for row in rows)

    def name(row: "Row") -> str:
        return f"{row.name} ({row.folder})" if times[row.name, row.protocol] > 1 else row.name

    def kilobytes(size: int) -> str:
        return f"{size / 1024:.1f}"

    def millions(count: int) -> str:
        return f"{count / 1e6:.2f}"

    return {
        "": name,
        "protocol": lambda row: row.protocol,
        "seeds": lambda row: ", ".join(map(str, row.seeds)),
        "model": lambda row: row.form,
        "UAR": lambda row: percent_spread(row.uar.mean, row.uar.deviation),
        "95 % interval": lambda row: percent_interval(row.uar_interval95),
        "accuracy": lambda row: percent_spread(row.accuracy.mean, row.accuracy.deviation),
        "macro F1": lambda row: percent_spread(row.macro_f1.mean, row.macro_f1.deviation),
        "ECE": lambda row: f"{row.ece.mean:.3f}",
        "float UAR": lambda row: _if_known(row.float_uar, percent),
        "parameters": lambda row: _if_known(row.parameters, "{:,}".format),
        "KB": lambda row: _if_known(row.model_bytes, kilobytes),
        "million MACs": lambda row: _if_known(row.multiply_accumulates, millions),
        "training": lambda row: _if_known(row.fit_s, "{:.0f} s".format),
    }


def _if_known(value: Any, show: Callable[[Any], str]) -> str:
    return "–" if value is None else show(value)


def _json(found: Any) -> str:
    import msgspec

    return json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False)


def _markdown(rows: "Sequence[Row]") -> str:
    from undertone_training.report.protocols import column_table

    return column_table(rows, _columns(rows), left=2)
