"""``undertone voice``: what a listener has learnt of the voice that it hears."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.cli.output import notice
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.recognition.stored_voice import StoredVoice


@click.group(epilog="Example: undertone voice show")
def command() -> None:
    """Show or forget what `undertone listen` has learnt of the voice that it hears.

    That is an average of a minute of speech, about forty numbers, in the state folder.
    """


@command.command()
@options.output_format("table", "json", note="json: one object, with every number.")
def show(form: str) -> None:
    """Show what is known: how much speech, since when, and from which microphone."""
    import msgspec

    from undertone.recognition.stored_voice import read, voice_path

    path = voice_path()
    stored = read(path)
    if form == "json":
        content = {
            "path": str(path),
            "known_s": stored.known_s if stored else 0.0,
            "stored": stored,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2))
    elif stored:
        for name, value in (_described(stored) | {"file": str(path)}).items():
            click.echo(f"{name:<8}{printable(value)}")
    else:
        notice(f"nothing is known of a voice: there is no {path}")


@command.command()
def forget() -> None:
    """Delete what is known; a listener that is running forgets it too, within seconds."""
    from undertone.recognition import stored_voice

    path = stored_voice.voice_path()
    if stored_voice.forget(path):
        click.echo(f"deleted {printable(str(path))}")
    else:
        click.echo(f"nothing was known: there is no {printable(str(path))}")


def _described(stored: "StoredVoice") -> dict[str, str]:
    origin = stored.origin
    return {
        "known": f"{stored.known_s:.0f} s of speech",
        "learnt": f"from {_local(stored.since)} to {_local(stored.updated)}",
        "source": f"{origin.source}, gain {origin.gain_db:g} dB, {origin.channel_name}",
        "level": f"{stored.level_db:.0f} dB after pre-emphasis (levels in the journal are 15 to 20 "
        "dB higher)",
    }


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
