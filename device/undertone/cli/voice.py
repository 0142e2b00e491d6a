"""``undertone voice``: what a listener has learnt of the voices that it hears."""

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

    That is an average of a minute of speech, about ninety numbers for each microphone or stream, in
    the state folder.
    """


@command.command()
@options.output_format(
    "table", "json", note="json: an array with an object for each source, with every number."
)
def show(form: str) -> None:
    """Show what is known: how much speech, since when, and from which microphone or stream."""
    import msgspec

    from undertone.recognition.stored_voice import VoiceError, read, voice_paths, voices_dir

    voices: dict[str, StoredVoice] = {}
    problem: VoiceError | None = None
    for path in voice_paths():
        try:
            if stored := read(path):
                voices[str(path)] = stored
        except VoiceError as error:
            problem = problem or error
    if form == "json":
        content = [
            {"path": file, "known_s": stored.known_s, "stored": stored}
            for file, stored in voices.items()
        ]
        click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2))
    elif not voices and not problem:
        notice(f"nothing is known of a voice: there is no file in {voices_dir()}")
    else:
        tables = [_described(stored) | {"file": file} for file, stored in voices.items()]
        lines = ["".join(f"{key:<8}{printable(row[key])}\n" for key in row) for row in tables]
        click.echo("\n".join(lines), nl=False)
    if problem:
        raise problem


@command.command()
@click.option("--source", metavar="NAME", help="Only of this one, a name that `show` prints.")
def forget(source: str | None) -> None:
    """Delete what is known; a listener that is running forgets it too, within a second."""
    from undertone.recognition import stored_voice

    paths = stored_voice.voice_paths()
    if source is not None and (only := stored_voice.voice_path(source)) not in paths:
        raise stored_voice.VoiceError(
            f"Nothing is known of a voice from {printable(source)}: `undertone voice show` lists "
            "the sources."
        )
    problem: stored_voice.VoiceError | None = None
    for path in paths if source is None else [only]:
        try:
            if stored_voice.forget(path):
                click.echo(f"deleted {printable(str(path))}")
        except stored_voice.VoiceError as error:
            problem = problem or error
    if problem:
        raise problem
    if not paths:
        click.echo(f"nothing was known: there is no file in {stored_voice.voices_dir()}")


def _described(stored: "StoredVoice") -> dict[str, str]:
    origin = stored.origin
    return {
        "known": f"{stored.known_s:.0f} s of speech",
        "learnt": f"from {_local(stored.since)} to {_local(stored.updated)}",
        "source": origin.source,
        "input": f"gain {origin.gain_db:g} dB, {origin.channel_name}",
        "level": f"{stored.level_db:.0f} dB after pre-emphasis, 15 to 25 dB below levels in the "
        "journal",
    }


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
