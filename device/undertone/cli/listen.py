"""``undertone listen``: from a microphone (or a file) to a live view and the journal."""

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.journal.writer import JournalLimits
    from undertone.listener import Sink, SourceItem
    from undertone.recognition.interpreter import RuntimeName


@dataclass(frozen=True)
class _Source:
    """What is listened to, and what the journal calls it."""

    name: str
    items: "Iterable[SourceItem]"
    clock: Callable[[], float] = time.time
    """POSIX seconds: now, or where a recording has come to."""
    is_recording: bool = False


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
    help="A microphone, an audio file, or 16-bit PCM on stdin: WAV, or raw 16 kHz mono.  "
    "Default: the microphone, and the packaged sample where there is none.",
)
@click.option(
    "--realtime/--fast",
    default=None,
    help="Play a file at the speed of its sound, or as fast as it can be heard.  "
    "Default: real time on a terminal.",
)
@click.option(
    "--began",
    type=options.Moment(),
    metavar="WHEN",
    help="When a recording (a file, or a pipe) began: 2026-11-20T08:15, or 2h (ago).  "
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
    """Listen, show the emotions that are heard and write them to the journal; Ctrl-C ends it.

    No audio is stored and nothing leaves this machine.
    """
    from rich.console import Console

    from undertone.audio.block import REST_S
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
    sleep = time.sleep if paced else None
    chosen = _open(source, microphone, channel, gain_db, sleep, began)
    day = date.today() if chosen.is_recording else None
    writer = JournalWriter(journal, limits, recording_day=day)
    tally = Tally()
    view: Sink = LiveView(console, chosen.name) if console.is_terminal else PlainView(console)
    sinks: list[Sink] = [JournalSink(writer), tally, view, ClippingWarning()]
    manager = service_manager(os.environ)
    if manager:
        sinks.append(ServiceSink(manager))
    shutdown = signals.ShutdownSignals(service=manager is not None)
    # on a terminal somebody watches the level
    rest = None if console.is_terminal else partial(time.sleep, REST_S)
    listener = Listener(pipeline, classifier.manifest, sinks, chosen.clock, rest)
    listener.run(shutdown.until_signal(chosen.items), chosen.name)
    console.print(summary(tally.heard, tally.seconds, listener.listened_s))
    console.print(
        f"journal: {printable(str(journal))}", highlight=False, markup=False, soft_wrap=True
    )
    if chosen.is_recording:
        console.print("shown by: undertone journal show --recordings", highlight=False)
    if shutdown.reload:
        signals.start_anew()
    signals.ignore()
    return int(listener.incomplete)


def _open(
    source: str | None,
    microphone: str | None,
    channel: int | None,
    gain_db: float,
    sleep: Callable[[float], None] | None,
    began: datetime | None,
) -> _Source:
    """The source that is asked for; ``sleep`` gives a recording the pace of its sound."""
    from undertone.audio.files import length_s, read_blocks
    from undertone.audio.pipe import Pipe
    from undertone.samples import demonstration

    if source == "-":
        if sys.stdin is None:
            raise AudioSourceError(
                "Standard input is closed: pipe sound into it, for example from "
                "arecord -f S16_LE -r 16000 -c 1."
            )
        pipe = Pipe(sys.stdin.fileno())
        if began:
            return _recording("standard input", pipe, 0.0, None, began)
        return _Source("standard input", pipe)
    if source not in (None, "mic"):
        if Path(source).is_dir():
            raise AudioSourceError(
                f"{source} is a folder: name one audio file of it, or run `undertone classify` on "
                "the folder."
            )
        return _recording(source, read_blocks(source), length_s(source), sleep, began)
    if began:
        raise click.UsageError("--began is of a recording: name that with --source.")
    try:
        return _microphone(microphone, channel, gain_db)
    except (NoMicrophoneError, RuntimeMissingError) as error:
        if source == "mic" or microphone is not None:
            raise
        click.echo(
            f"undertone: {error}\n"
            "Playing the packaged sample instead, about 40 s of RAVDESS clips.",
            err=True,
        )
        blocks = list(demonstration())
        length = blocks[-1].time_s + blocks[-1].duration_s
        return _recording("packaged sample", blocks, length, sleep, None)


def _recording(
    name: str,
    items: "Iterable[SourceItem]",
    length_s: float,
    sleep: Callable[[float], None] | None,
    began: datetime | None,
) -> _Source:
    """A recording at the time that is stated; else it ends when it has been listened to."""
    from undertone.audio.realtime import Recording
    from undertone.journal.format import is_a_time

    now_s = time.time()
    if began is None:
        began_s = now_s if sleep else now_s - length_s
    else:
        began_s = began.timestamp()
        if began_s + length_s > now_s:
            raise click.BadParameter(
                "the recording would end in the future; state an earlier time.",
                param_hint="--began",
            )
        if not is_a_time(began):
            raise click.BadParameter(
                "a journal begins in 1900; state a later time.", param_hint="--began"
            )
    recording = Recording(items, began_s, sleep)
    return _Source(name, recording, recording.now, is_recording=True)


def _microphone(name: str | None, channel: int | None, gain_db: float) -> _Source:
    from undertone.audio.microphone import Microphone

    opened = Microphone(name, channel, gain_db)
    return _Source(opened.name, opened)
