"""``undertone devices``: the microphones of this machine, and the level of one."""

import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.cli.output import print_table
from undertone.errors import NoMicrophoneError
from undertone.events import SourceBack, SourceLost
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.audio.level import Level
    from undertone.audio.microphone import Microphone
    from undertone.audio.portaudio import InputDevice

_QUIETEST_DBFS = -60.0  # left end of the meter's bar
_BAR_WIDTH = 40


@click.command(
    epilog="""\b
Examples:
  undertone devices
  undertone devices --meter --microphone USB
"""
)
@options.output_format("table", "json", note="json: one object per line.")
@click.option("--meter", is_flag=True, help="Show the level of a microphone until Ctrl-C.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="Show the level for this long, then exit."
)
@options.microphone
@options.channel
def command(
    form: str, meter: bool, seconds: float | None, microphone: str | None, channel: int | None
) -> None:
    """List the microphones and their sample rates, or show the level of one."""
    if meter or seconds is not None:
        from undertone.audio.microphone import Microphone

        with Microphone(microphone, channel) as opened:
            _show_meter(opened, seconds)
        return
    from undertone.audio.portaudio import list_inputs

    devices = list_inputs()
    if form == "json":
        for device in devices:
            click.echo(json.dumps(device._asdict()))
    elif not devices:
        raise NoMicrophoneError
    elif sys.stdout.isatty():
        head = ("", "Microphone", "System", "Channels", "Sample rates")
        print_table(head, map(_row, devices))
    else:
        for device in devices:
            click.echo("\t".join(_row(device)))


def _row(device: "InputDevice") -> tuple[str, str, str, str, str]:
    rates = ", ".join(f"{rate / 1000:g}" for rate in device.supported_rates_hz)
    return (
        "default" if device.is_default else "",
        device.name,
        device.host_api,
        str(device.channels),
        f"{rates} kHz" if rates else "in use, or no usual rate",
    )


def _show_meter(microphone: "Microphone", seconds: float | None) -> None:
    """Redraw a bar ten times a second on a terminal; elsewhere print a line a second."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from undertone.audio.meter import levels

    console = Console()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext()
    with live as screen:
        for item in levels(microphone, 0.1 if screen else 1.0, seconds):
            if screen:
                screen.update(Text(_line(item)), refresh=True)
            else:
                click.echo(_line(item))


def _line(item: "Level | SourceLost | SourceBack") -> str:
    match item:
        case SourceLost():
            return printable(f"{item.source} was lost ({item.reason}): waiting for it")
        case SourceBack():
            return printable(f"{item.source} is back")
    filled = (max(item.rms_dbfs, _QUIETEST_DBFS) / -_QUIETEST_DBFS + 1.0) * _BAR_WIDTH
    bar = ("█" * round(filled)).ljust(_BAR_WIDTH, "·")
    warning = "  clipping: turn the input level down" if item.clips else ""
    return f"{bar} {item.rms_dbfs:6.1f} dBFS  peak {item.peak_dbfs:6.1f}{warning}"
