"""``undertone listen``: from a microphone (or another source) to a live view and the journal."""

import os
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.cli.output import notice
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.journal.writer import JournalLimits
    from undertone.listener import Sink
    from undertone.recognition.interpreter import RuntimeName
    from undertone.sources import Source


@click.command(
    epilog="""\b
Examples:
  undertone listen
  undertone listen --microphone USB --threshold 0.6
  undertone listen --source meeting.flac --fast
  undertone listen --source rtsp://camera.local:554/live
  arecord -f S16_LE -r 16000 -c 1 | undertone listen --source -
"""
)
@options.source
@click.option(
    "--realtime/--fast",
    default=None,
    help="Play a file in real time, or process it as fast as possible.  "
    "Default: real time on a terminal.",
)
@click.option(
    "--began",
    type=options.Moment(),
    metavar="WHEN",
    help="When the recording (a file or a pipe) began: 2026-11-20T08:15, or 2h (ago).  "
    "Default: a file ends now.",
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
    began: datetime | None,
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
    """Listen, show the emotions in the speech, and write them to the journal, until Ctrl-C.

    No audio is stored and nothing leaves this machine.  A model that can use it learns an average
    of the voice that it hears: see `undertone voice`.
    """
    from rich.console import Console

    from undertone.audio.block import REST_S
    from undertone.cli.view import ClippingWarning, LiveView, PlainView, SegmentCounter, summary
    from undertone.journal.sink import JournalSink
    from undertone.journal.writer import JournalWriter
    from undertone.listener import Listener
    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier
    from undertone.recognition.pipeline import Pipeline
    from undertone.recognition.stored_voice import Origin, VoiceSink, voice_path
    from undertone.service import signals
    from undertone.service.notify import service_manager
    from undertone.service.sink import ServiceSink

    console = Console()
    classifier = Classifier(bundle.load(model), runtime, threads)
    in_real_time = console.is_terminal if realtime is None else realtime
    pipeline = Pipeline(classifier, threshold=threshold, learns=True)
    sleep = time.sleep if in_real_time else None
    chosen = _open(source, microphone, channel, gain_db, sleep, began)
    day = date.today() if chosen.is_recording else None
    writer = JournalWriter(
        journal, limits, recording_day=day, demonstration=chosen.is_demonstration
    )
    counter = SegmentCounter()
    view: Sink = LiveView(console, chosen.name) if console.is_terminal else PlainView(console)
    sinks: list[Sink] = [JournalSink(writer), counter, view, ClippingWarning()]
    # another recording, or another program at the pipe, is another voice
    if classifier.knows_voices and source != "-" and not chosen.is_recording:
        origin = Origin.of(classifier.manifest, chosen.name, gain_db, channel)
        sinks.append(VoiceSink(pipeline, voice_path(), origin))
    manager = service_manager(os.environ)
    if manager:
        sinks.append(ServiceSink(manager))
    shutdown = signals.ShutdownSignals(service=manager is not None)
    # on a terminal somebody may be watching the level
    rest = None if console.is_terminal else partial(time.sleep, REST_S)
    listener = Listener(pipeline, classifier.manifest, sinks, chosen.clock, rest)
    listener.run(shutdown.until_signal(chosen.items), chosen.name)
    console.print(summary(counter.segments, counter.speech_s, listener.listened_s))
    console.print(
        f"journal: {printable(str(journal))}", highlight=False, markup=False, soft_wrap=True
    )
    if chosen.is_recording:
        console.print("to show it: undertone journal show --recordings", highlight=False)
    if shutdown.reload:
        signals.restart()
    signals.ignore()
    return int(listener.incomplete)


def _open(
    source: str | None,
    microphone: str | None,
    channel: int | None,
    gain_db: float,
    sleep: Callable[[float], None] | None,
    began: datetime | None,
) -> "Source":
    """What ``--source`` names; the packaged sample if it names nothing and no microphone opens."""
    from undertone import sources
    from undertone.audio.address import NetworkAddress

    if isinstance(source, NetworkAddress):
        if began:
            raise click.UsageError("--began needs a recording, and a network address is live.")
        return sources.open_network(source, gain_db)
    if source == "-":
        if sys.stdin is None:
            raise AudioSourceError(
                "Standard input is closed: pipe sound into it, for example from "
                "arecord -f S16_LE -r 16000 -c 1."
            )
        return sources.open_pipe(sys.stdin.fileno(), "standard input", began)
    if source not in (None, "mic"):
        return sources.open_file(source, sleep, began)
    if began:
        raise click.UsageError("--began needs a recording: name one with --source.")
    try:
        return sources.open_microphone(microphone, channel, gain_db)
    except (NoMicrophoneError, RuntimeMissingError) as error:
        if source == "mic" or microphone is not None:
            raise
        notice(str(error))
        notice("playing the packaged sample instead, about 40 s of RAVDESS clips")
        return sources.packaged_sample(sleep)
