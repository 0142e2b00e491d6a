"""``undertone devices``: which microphones there are, and what they hear."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.errors import NoMicrophoneError

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
@options.output_format("table", "json", told="json: one object a line.")
@click.option("--meter", is_flag=True, help="Show the level that a microphone hears; Ctrl-C ends.")
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="Show the level for so long, then end."
)
@options.microphone
@options.channel
def command(
    form: str, meter: bool, seconds: float | None, microphone: str | None, channel: int | None
) -> None:
    """List the microphones with the sample rates they take, or show the level that one hears."""
    if meter or seconds is not None:
        from undertone.audio.microphone import Microphone

        with Microphone(microphone, channel) as opened:
            _show_meter(opened, seconds)
        return
    from undertone.audio.portaudio import list_inputs

    devices = list_inputs()
    if form == "json":
        for device in devices:
            click.echo(json.dumps(asdict(device)))
    elif not devices:
        raise NoMicrophoneError
    elif sys.stdout.isatty():
        _print_table(devices)
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
        f"{rates} kHz" if rates else "in use, or none of the usual",
    )


def _print_table(devices: "Iterable[InputDevice]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "Microphone", "System", "Channels", "Sample rates", box=None)
    for device in devices:
        table.add_row(*map(Text, _row(device)))
    Console().print(table)


def _show_meter(microphone: "Microphone", seconds: float | None) -> None:
    """Redraw a bar ten times a second on a terminal; elsewhere write a line a second."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else nullcontext()
    with live as screen:
        for said in _levels(microphone, 0.1 if screen else 1.0, seconds):
            text = said if isinstance(said, str) else _line(said)
            if screen:
                screen.update(Text(text), refresh=True)
            else:
                click.echo(text)


def _levels(
    microphone: "Microphone", every_s: float, seconds: float | None
) -> "Iterator[Level | str]":
    """The level of each ``every_s`` of sound, and what befalls the microphone in between."""
    import numpy as np

    from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
    from undertone.audio.level import measure
    from undertone.events import SourceBack, SourceLost

    pending: list[Samples] = []
    heard = told = 0
    for item in microphone:
        if isinstance(item, SourceLost):
            yield f"{item.source} was lost ({item.reason}): waiting for it"
        elif isinstance(item, SourceBack):
            yield f"{item.source} is back"
        elif isinstance(item, Block):
            pending.append(item.samples)
            heard += len(item.samples)
        ended = seconds is not None and heard >= seconds * SAMPLE_RATE_HZ
        if pending and (ended or heard - told >= every_s * SAMPLE_RATE_HZ):
            yield measure(np.concatenate(pending))
            pending, told = [], heard
        if ended:
            return


def _line(level: "Level") -> str:
    filled = (max(level.rms_dbfs, _QUIETEST_DBFS) / -_QUIETEST_DBFS + 1.0) * _BAR_WIDTH
    bar = ("█" * round(filled)).ljust(_BAR_WIDTH, "·")
    warning = "  clipping: turn the input level down" if level.clips else ""
    return f"{bar} {level.rms_dbfs:6.1f} dBFS  peak {level.peak_dbfs:6.1f}{warning}"
