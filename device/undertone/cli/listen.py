"""``undertone listen``: from a microphone (or a file) to a live view and the journal."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.audio.block import Resting
    from undertone.journal.writer import JournalLimits
    from undertone.listener import Sink, SourceItem
    from undertone.recognition.interpreter import RuntimeName


@dataclass(frozen=True)
class _Source:
    """What is listened to, and what the journal calls it."""

    name: str
    items: "Iterable[SourceItem]"


@click.command(
    epilog="""\b
Examples:
  undertone listen
  undertone listen --microphone USB --threshold 0.6
  undertone listen --source meeting.flac --fast
  arecord -f S16_LE -r 16000 -c 1 | undertone listen --source -
"""
)
@click.option(
    "--source",
    metavar="mic|FILE|-",
    help="A microphone, an audio file, or raw 16 kHz mono int16 PCM on stdin.  "
    "Default: the microphone, and the packaged sample where there is none.",
)
@click.option(
    "--realtime/--fast",
    default=None,
    help="Play a file at the speed of its sound, or as fast as it can be heard.  "
    "Default: real time on a terminal.",
)
@options.microphone
@options.channel
@options.gain_db
@options.model
@options.threshold
@options.runtime
@options.threads
@options.journal_writing
def command(
    source: str | None,
    realtime: bool | None,
    microphone: str | None,
    channel: int | None,
    gain_db: float,
    model: str,
    threshold: float | None,
    runtime: "RuntimeName",
    threads: int,
    journal: Path,
    limits: "JournalLimits",
) -> int:
    """Listen, show the emotions that are heard and write them to the journal; Ctrl-C ends it.

    No audio is stored and nothing leaves this machine.
    """
    from rich.console import Console

    from undertone.audio.block import never
    from undertone.cli.view import ClippingWarning, LiveView, PlainView, Tally, summary
    from undertone.journal.sink import JournalSink
    from undertone.journal.writer import JournalWriter
    from undertone.listener import Listener
    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier
    from undertone.recognition.pipeline import Pipeline
    from undertone.service import signals
    from undertone.service.notify import service_manager
    from undertone.service.sink import ServiceSink

    console = Console()
    classifier = Classifier(bundle.load(model), runtime, threads)
    paced = console.is_terminal if realtime is None else realtime
    pipeline = Pipeline(classifier, threshold=threshold)
    # on a terminal somebody watches the level
    resting = never if console.is_terminal else lambda: pipeline.resting
    sleep = time.sleep if paced else None
    chosen = _open(source, microphone, channel, gain_db, resting, sleep)
    writer = JournalWriter(journal, limits)
    tally = Tally()
    view: Sink = LiveView(console, chosen.name) if console.is_terminal else PlainView(console)
    sinks: list[Sink] = [JournalSink(writer), tally, view, ClippingWarning()]
    manager = service_manager(os.environ)
    if manager:
        sinks.append(ServiceSink(manager))
    shutdown = signals.ShutdownSignals(service=manager is not None)
    listener = Listener(pipeline, classifier.manifest, sinks, time.time)
    listener.run(shutdown.until_signal(chosen.items), chosen.name)
    console.print(summary(tally.heard, tally.seconds, listener.listened_s))
    console.print(
        f"journal: {printable(str(journal))}", highlight=False, markup=False, soft_wrap=True
    )
    if shutdown.reload:
        signals.start_anew()
    signals.ignore()
    return int(listener.incomplete)


def _open(
    source: str | None,
    microphone: str | None,
    channel: int | None,
    gain_db: float,
    resting: "Resting",
    sleep: Callable[[float], None] | None,
) -> _Source:
    """The source that is asked for; ``sleep`` gives a file the pace of its sound."""
    from undertone.audio.files import read_blocks, read_pcm
    from undertone.audio.realtime import in_real_time
    from undertone.samples import demonstration

    if source == "-":
        if sys.stdin is None:
            raise AudioSourceError(
                "Standard input is closed: pipe sound into it, for example from "
                "arecord -f S16_LE -r 16000 -c 1."
            )
        sound = read_pcm(sys.stdin.buffer, resting=resting)
        return _Source("standard input", in_real_time(sound, time.time, None))
    if source not in (None, "mic"):
        if Path(source).is_dir():
            raise AudioSourceError(
                f"{source} is a folder: name one audio file of it, or run `undertone classify` on "
                "the folder."
            )
        return _Source(source, in_real_time(read_blocks(source), time.time, sleep))
    try:
        return _microphone(microphone, channel, gain_db, resting)
    except (NoMicrophoneError, RuntimeMissingError) as error:
        if source == "mic" or microphone is not None:
            raise
        click.echo(
            f"undertone: {error}\n"
            "Playing the packaged sample instead, about 40 s of RAVDESS clips.",
            err=True,
        )
        return _Source("packaged sample", in_real_time(demonstration(), time.time, sleep))


def _microphone(
    name: str | None, channel: int | None, gain_db: float, resting: "Resting"
) -> _Source:
    from undertone.audio.microphone import Microphone

    opened = Microphone(name, channel, gain_db, resting)
    return _Source(opened.name, opened)
