"""``undertone doctor``: what is missing on this machine and how to fix it."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options

if TYPE_CHECKING:
    from undertone.diagnostics.doctor import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(epilog="Example: undertone doctor --microphone USB")
@options.output_format("table", "json", told="json: one object a line.")
@options.model
@options.microphone
@options.journal
@click.pass_context
def command(
    ctx: click.Context, form: str, model: str, microphone: str | None, journal: Path
) -> None:
    """Find what is missing on this machine and how to fix it.

    It listens to the microphone for a second.  The exit status is 1 where there is a problem.
    """
    from undertone.diagnostics.doctor import diagnose

    findings = list(diagnose(model, microphone, journal))
    if form == "json":
        for finding in findings:
            click.echo(json.dumps(asdict(finding)))
    elif sys.stdout.isatty():
        _print_table(findings)
    else:
        for finding in findings:
            remedy = f" To fix it: {finding.remedy}" if finding.remedy else ""
            click.echo(f"{finding.status:<7}  {finding.name}: {finding.sentence}{remedy}")
    if any(finding.status == "problem" for finding in findings):
        ctx.exit(1)


def _print_table(findings: "Iterable[Finding]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "Part", "Finding", "To fix it", box=None)
    for finding in findings:
        table.add_row(
            Text(finding.status, style=_COLOURS[finding.status]),
            finding.name,
            Text(finding.sentence),
            Text(finding.remedy or "", style="bold"),
        )
    Console().print(table)
