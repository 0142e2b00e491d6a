"""Opens what is listened to: microphones, streams, a file, a pipe, or the packaged clips."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Thread

from undertone.audio.address import NetworkAddress
from undertone.audio.block import SourceItem
from undertone.audio.files import length_s, read_blocks
from undertone.audio.isolated_input import IsolatedInput
from undertone.audio.microphone import Microphone
from undertone.audio.pipe import Pipe
from undertone.audio.realtime import Recording
from undertone.audio.several import Several
from undertone.audio.stream import WATCHDOG, NetworkInput
from undertone.errors import AudioSourceError, ConfigError
from undertone.journal.format import is_a_time
from undertone.samples import demonstration

Sleep = Callable[[float], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What is listened to; several at once are always live.

    names: in the journal; one, or one for each of several.
    items: each with the name of the one that it is from.
    clock: POSIX seconds, now or at the position that a recording has reached.
    is_demonstration: whether the recording is the packaged sample.
    """

    names: tuple[str, ...]
    items: Iterable[tuple[str, SourceItem]]
    clock: Callable[[], float] = time.time
    is_recording: bool = False
    is_demonstration: bool = False

    @property
    def name(self) -> str:
        """All of the names."""
        return ", ".join(self.names)


@dataclass(frozen=True)
class LiveSource:
    """One of several that are listened to at once.

    what: a part of a microphone's name (None: the default one), or the address of a stream.
    channel, gain_db: as for a Microphone; a stream has no channel.
    """

    what: str | NetworkAddress | None
    channel: int | None = None
    gain_db: float = 0.0

    @property
    def name(self) -> str:
        """Its name in the journal: as it was given, without what is secret of an address."""
        return self.what or "default"


def open_several(sources: Sequence[LiveSource]) -> Source:
    """Open microphones and streams, all at the same time; those that are absent are waited for.

    Raises ConfigError for names that occur twice or mean the same microphone, RuntimeMissingError,
    and, if none can be opened, the error of the first.
    """
    names = tuple(source.name for source in sources)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name} is named twice: name each microphone or stream once.")
    devices = [_device(source) for source in sources]
    opened: list[Microphone] = []
    failed: list[Exception] = []

    def open_one(source: LiveSource, device: IsolatedInput | NetworkInput) -> None:
        try:
            opened.append(
                Microphone(
                    channel=source.channel,
                    gain_db=source.gain_db,
                    source=device,
                    poll_s=0.0,
                    patience_s=0.0,
                    watchdog=WATCHDOG if isinstance(source.what, NetworkAddress) else None,
                    may_be_absent=True,
                )
            )
        except Exception as error:
            failed.append(error)

    threads = [
        Thread(target=open_one, args=each, daemon=True)
        for each in zip(sources, devices, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.sort(key=lambda microphone: names.index(microphone.name))
    problems = [microphone.problem for microphone in opened if microphone.problem]
    try:
        if failed:
            raise failed[0]
        if len(problems) == len(opened):
            raise problems[0]
        _check_different(devices)
    except Exception:
        for microphone in opened:
            microphone.close()
        raise
    for problem in problems:
        _log.warning("%s  The others are listened to until it is there.", problem)
    return Source(names, Several(opened))


def _device(source: LiveSource) -> IsolatedInput | NetworkInput:
    if isinstance(source.what, NetworkAddress):
        return NetworkInput(source.what)
    return IsolatedInput(source.what, source.channel)


def _check_different(devices: Sequence[IsolatedInput | NetworkInput]) -> None:
    """Raise ConfigError if two names mean the same microphone."""
    found: dict[str, str] = {}
    for device in devices:
        if isinstance(device, IsolatedInput) and device.identity:
            full = device.identity.device.name
            if full in found:
                raise ConfigError(
                    f"{found[full]} and {device.name} are the same microphone ({full}): give more "
                    "of the names."
                )
            found[full] = device.name


def open_microphone(name: str | None, channel: int | None, gain_db: float) -> Source:
    """A microphone, by a part of its name (None: the default one).

    Raises NoMicrophoneError, AudioSourceError, or RuntimeMissingError without PortAudio.
    """
    microphone = Microphone(name, channel, gain_db)
    return _one(microphone.name, microphone)


def open_network(address: NetworkAddress, gain_db: float) -> Source:
    """Live sound from the network, reconnected after a loss as a microphone is.

    Raises RuntimeMissingError without PyAV, and AudioSourceError if no sound comes from there now.
    """
    source = NetworkInput(address)
    return _one(source.name, Microphone(None, None, gain_db, source=source, watchdog=WATCHDOG))


def open_pipe(descriptor: int, name: str, began: datetime | None) -> Source:
    """PCM from a file descriptor: live sound, or with ``began`` a recording.

    Raises ConfigError for an impossible start, and AudioSourceError as Pipe does.
    """
    pipe = Pipe(descriptor)
    if began:
        return _recording(name, pipe, 0.0, None, began)
    return _one(name, pipe)


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
    return replace(_one(name, recording), clock=recording.now, is_recording=True)


def _one(name: str, items: Iterable[SourceItem]) -> Source:
    return Source((name,), _Named(name, items))


@dataclass(frozen=True)
class _Named:
    """The items of one source, each with its name; who drops the iterator closes the source."""

    name: str
    items: Iterable[SourceItem]

    def __iter__(self) -> Iterator[tuple[str, SourceItem]]:
        return ((self.name, item) for item in self.items)
