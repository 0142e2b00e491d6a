"""Opens what is listened to: a microphone, a stream, a file, a pipe, or the packaged clips."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from undertone.audio.address import NetworkAddress
from undertone.audio.files import length_s, read_blocks
from undertone.audio.pipe import Pipe
from undertone.audio.realtime import Recording
from undertone.errors import AudioSourceError, ConfigError
from undertone.journal.format import is_a_time
from undertone.listener import SourceItem
from undertone.samples import demonstration

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Source:
    """What is listened to, and its name in the journal.

    clock: POSIX seconds, now or at the position that a recording has reached.
    is_demonstration: whether the recording is the packaged sample.
    """

    name: str
    items: Iterable[SourceItem]
    clock: Callable[[], float] = time.time
    is_recording: bool = False
    is_demonstration: bool = False


def open_microphone(name: str | None, channel: int | None, gain_db: float) -> Source:
    """A microphone, by a part of its name (None: the default one).

    Raises NoMicrophoneError, AudioSourceError, or RuntimeMissingError without PortAudio.
    """
    from undertone.audio.microphone import Microphone

    microphone = Microphone(name, channel, gain_db)
    return Source(microphone.name, microphone)


def open_network(address: NetworkAddress, gain_db: float) -> Source:
    """Live sound from the network, reconnected after a loss as a microphone is.

    Raises RuntimeMissingError without PyAV, and AudioSourceError if no sound comes from there now.
    """
    from undertone.audio.microphone import Microphone
    from undertone.audio.stream import WATCHDOG, NetworkInput

    source = NetworkInput(address)
    return Source(source.name, Microphone(None, None, gain_db, source=source, watchdog=WATCHDOG))


def open_pipe(descriptor: int, name: str, began: datetime | None) -> Source:
    """PCM from a file descriptor: live sound, or with ``began`` a recording.

    Raises ConfigError for an impossible start, and AudioSourceError as Pipe does.
    """
    pipe = Pipe(descriptor)
    if began:
        return _recording(name, pipe, 0.0, None, began)
    return Source(name, pipe)


def open_file(path: str, sleep: Sleep | None = None, began: datetime | None = None) -> Source:
    """An audio file, played in real time where ``sleep`` is given.

    Without ``began`` it ends now, or begins now if it is played in real time.  Raises
    AudioSourceError, and ConfigError for an impossible start.
    """
    if Path(path).is_dir():
        raise AudioSourceError(
            f"{path} is a folder: name one audio file in it, or run `undertone classify` on the "
            "folder."
        )
    return _recording(path, read_blocks(path), length_s(path), sleep, began)


def packaged_sample(sleep: Sleep | None = None) -> Source:
    """The packaged clips, about 40 seconds, played in real time where ``sleep`` is given."""
    blocks = list(demonstration())
    end_s = blocks[-1].time_s + blocks[-1].duration_s
    source = _recording("packaged sample", blocks, end_s, sleep, None)
    return replace(source, is_demonstration=True)


def _recording(
    name: str,
    items: Iterable[SourceItem],
    duration_s: float,
    sleep: Sleep | None,
    began: datetime | None,
) -> Source:
    now_s = time.time()
    if began is None:
        began_s = now_s if sleep else now_s - duration_s
    else:
        began_s = began.timestamp()
        if began_s + duration_s > now_s:
            raise ConfigError("The recording would end in the future: state an earlier start.")
        if not is_a_time(began):
            raise ConfigError("The journal can't hold times before 1900: state a later start.")
    recording = Recording(items, began_s, sleep)
    return Source(name, recording, recording.now, is_recording=True)
