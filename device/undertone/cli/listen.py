"""``undertone listen``: from a microphone (or another source) to a live view and the journal."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from undertone.cli import options
from undertone.cli.output import notice
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError
from undertone.support.duration import time_in
from undertone.support.printable import printable

if TYPE_CHECKING:
    from undertone.events import Sink
    from undertone.journal.limits import JournalLimits
    from undertone.recognition.interpreter import RuntimeName
    from undertone.sources import LiveSource, Source

_Value = TypeVar("_Value")


@click.command(
    epilog="""\b
Examples:
  undertone listen
  undertone listen --microphone USB --threshold 0.6
  undertone listen --source meeting.flac --fast
  undertone listen --source rtsp://camera.local:554/live
  undertone listen --microphone USB --microphone Webcam --gain-db 6 --gain-db 0
  arecord -f S16_LE -r 16000 -c 1 | undertone listen --source -
"""
)
@options.sources
@click.option(
    "--realtime/--fast",
    default=None,
    help="Play a file in real time, or process it as fast as possible.  "
    "Default: real time on a terminal.",
)
@click.option(
    "--began",
    type=options.Parsed("when", time_in),
    metavar="WHEN",
    help="When the recording (a file or a pipe) began: 2026-11-20T08:15, or 2h (ago).  "
    "Default: a file ends now.",
)
@options.microphones
@options.channels
@options.gains_db
@options.model
@options.threshold
@options.runtime
@options.threads
@options.journal_writing
def command(
    source: tuple[str, ...],
    realtime: bool | None,
    began: datetime | None,
    microphone: tuple[str, ...],
    channel: tuple[int, ...],
    gain_db: tuple[float, ...],
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

    Several microphones and streams can be listened to at once; each line of the journal names one.
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
    sleep = time.sleep if in_real_time else None
    live = _live_sources(source, microphone, channel, gain_db)
    chosen = _open(source[0] if source else None, live, sleep, began)
    pipelines = {
        name: Pipeline(classifier, threshold=threshold, learns=True) for name in chosen.names
    }
    day = date.today() if chosen.is_recording else None
    writer = JournalWriter(
        journal, limits, recording_day=day, demonstration=chosen.is_demonstration
    )
    counter = SegmentCounter()
    view: Sink = LiveView(console, chosen.name) if console.is_terminal else PlainView(console)
    sinks: list[Sink] = [JournalSink(writer), counter, view, ClippingWarning()]
    # another recording, or another program at the pipe, is another voice
    if classifier.knows_voices and live and not chosen.is_recording:
        for name, each in zip(chosen.names, live, strict=True):
            origin = Origin.of(classifier.manifest, name, each.gain_db, each.channel)
            sinks.append(VoiceSink(pipelines[name], voice_path(name), origin))
    manager = service_manager(os.environ)
    if manager:
        sinks.append(ServiceSink(manager))
    shutdown = signals.ShutdownSignals(service=manager is not None)
    # on a terminal somebody may be watching the level
    rest = None if console.is_terminal else partial(time.sleep, REST_S)
    listener = Listener(pipelines, classifier.manifest, sinks, chosen.clock, rest)
    listener.run(shutdown.until_signal(chosen.items))
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


def _live_sources(
    source: tuple[str, ...],
    microphone: tuple[str, ...],
    channel: tuple[int, ...],
    gain_db: tuple[float, ...],
) -> list["LiveSource"]:
    """The microphones and streams to listen to; none if it is a file or a pipe.

    Microphones are meant by ``mic``, by no source at all, and by ``--microphone`` as a flag.
    """
    from undertone.audio.address import NetworkAddress
    from undertone.sources import LiveSource

    streams = [each for each in source if isinstance(each, NetworkAddress)]
    others = [each for each in source if each not in streams and each != "mic"]
    if others and len(source) > 1:
        raise click.BadParameter(  # which does not repeat what may have a password
            "only mic and the addresses of streams can be listened to at once; name a file or - "
            "as the only source.",
            param_hint="'--source'",
        )
    if others:
        return []
    names: tuple[str | None, ...] = microphone or (None,)
    if streams and "mic" not in source and not options.is_by_flag("microphone"):
        names = ()
    channels: Sequence[int | None] = _one_each("channel", channel or (None,), len(names))
    gains_db = _one_each("gain_db", gain_db, len(names))
    of_streams = gain_db[0] if len(gain_db) == 1 else 0.0
    return [
        *map(LiveSource, names, channels, gains_db),
        *(LiveSource(stream, None, of_streams) for stream in streams),
    ]


def _one_each(option: str, values: Sequence[_Value], count: int) -> Sequence[_Value]:
    """``count`` values: one for each microphone, or the same for all.

    Without a microphone, a variable and the settings file may have them for another day.
    """
    if len(values) == 1:
        return [values[0]] * count
    if not count and not options.is_by_flag(option):
        return []
    if len(values) != count:
        flag = "--" + option.replace("_", "-")
        raise click.UsageError(
            f"{flag} is given {len(values)} times, for {count} microphone{'s' * (count != 1)}: "
            "give it once, or once for each microphone in the same order."
        )
    return values


def _open(
    source: str | None,
    live: list["LiveSource"],
    sleep: Callable[[float], None] | None,
    began: datetime | None,
) -> "Source":
    """What ``--source`` names; the packaged sample if it names nothing and no microphone opens.

    source: the only one, or the first of several.
    """
    from undertone import sources
    from undertone.audio.address import NetworkAddress

    if len(live) > 1:
        if began:
            raise click.UsageError("--began needs a recording, and these sources are live.")
        return sources.open_several(live)
    if source == "-":
        if sys.stdin is None:
            raise AudioSourceError(
                "Standard input is closed: pipe sound into it, for example from "
                "arecord -f S16_LE -r 16000 -c 1."
            )
        return sources.open_pipe(sys.stdin.fileno(), "standard input", began)
    if not live:
        assert source
        return sources.open_file(source, sleep, began)
    (only,) = live
    if isinstance(only.what, NetworkAddress):
        if began:
            raise click.UsageError("--began needs a recording, and a network address is live.")
        return sources.open_network(only.what, only.gain_db)
    if began:
        raise click.UsageError("--began needs a recording: name one with --source.")
    try:
        return sources.open_microphone(only.what, only.channel, only.gain_db)
    except (NoMicrophoneError, RuntimeMissingError) as error:
        if source == "mic" or only.what is not None:
            raise
        notice(str(error))
        notice("playing the packaged sample instead, about 40 s of RAVDESS clips")
        return sources.packaged_sample(sleep)
