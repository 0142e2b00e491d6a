"""``undertone doctor``: what is missing on this machine and how to fix it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from undertone.cli import options
from undertone.cli.output import print_table

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command(
    epilog="""\b
Examples:
  undertone doctor --microphone USB --microphone Webcam
  undertone doctor --source rtsp://camera.local:554/live
"""
)
@options.output_format("table", "json", note="json: one object per line.")
@options.model
@options.sources
@options.microphones
@options.journal
@click.pass_context
def command(
    ctx: click.Context,
    form: str,
    model: str,
    source: tuple[str, ...],
    microphone: tuple[str, ...],
    journal: Path,
) -> None:
    """Find what is missing on this machine and how to fix it.

    Listens to each microphone for one second, and opens the streams that are sources.  The exit
    status is 1 if there is a problem.
    """
    from undertone.audio.address import NetworkAddress
    from undertone.diagnostics.doctor import diagnose

    streams = [each for each in source if isinstance(each, NetworkAddress)]
    if options.is_by_flag("source") and set(source) - {"mic", *streams}:
        raise click.BadParameter(
            "only mic and the addresses of streams can be checked; `undertone classify` tells "
            "whether a file can be read.",
            param_hint="'--source'",
        )
    hears_microphone = not streams or "mic" in source or options.is_by_flag("microphone")
    microphones = (microphone or (None,)) if hears_microphone else ()
    findings = list(diagnose(model, microphones, streams, journal))
    if form == "json":
        for finding in findings:
            click.echo(json.dumps(asdict(finding)))
    elif sys.stdout.isatty():
        from rich.text import Text

        rows = (
            (
                Text(one.status, _COLOURS[one.status]),
                one.name,
                one.sentence,
                Text(one.remedy or "", "bold"),
            )
            for one in findings
        )
        print_table(("", "Part", "Finding", "To fix it"), rows)
    else:
        for finding in findings:
            remedy = f" To fix it: {finding.remedy}" if finding.remedy else ""
            click.echo(f"{finding.status:<7}  {finding.name}: {finding.sentence}{remedy}")
    if any(finding.status == "problem" for finding in findings):
        ctx.exit(1)
