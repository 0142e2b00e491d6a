"""Live sound from the network, as an input that Microphone opens, watches and reopens."""

import json
import logging
import math
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec

from undertone.audio import child_process
from undertone.audio.address import NetworkAddress
from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.audio.portaudio import CHUNK_S, Deliver
from undertone.audio.timeline import WINDOW_S
from undertone.audio.watchdog import WatchdogConfig
from undertone.errors import AudioSourceError, RuntimeMissingError
from undertone.support.installation import add_extra
from undertone.support.printable import printable

OPEN_S = 10.0
"""How long a server may take to begin the stream."""

WATCHDOG = WatchdogConfig(no_samples_s=10.0, frozen_s=300.0)
"""A network pauses for longer than a sound card, and a radio is silent for longer than a room."""

PACE = 1.01
"""Sound that waits is taken this much faster than real time, so that a sender's clock that is too
fast never fills its queue, which it would end by closing the connection."""

_START_S = 10.0
"""What the decoder may take to start, on a slow card."""

_CHUNK_LENGTH = round(SAMPLE_RATE_HZ * CHUNK_S)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a server sends; ``codec`` as FFmpeg calls it, for people."""

    codec: str
    rate_hz: int
    channels: int


class NetworkInput:
    """An ``Input`` for Microphone: the sound at an address, decoded by a process of its own.

    Sound that arrives faster than real time, as the first seconds of many radios and all of a file
    do, waits in the network until it is its turn.  So its times are those at which a loudspeaker
    would play it.
    """

    def __init__(self, address: NetworkAddress) -> None:
        self.name = str(address)
        """The address without what may be secret in it."""
        self._url = address.url
        self._process: subprocess.Popen[bytes] | None = None
        self._opened = False
        self._problem = ""

    def open(self, deliver: Deliver) -> "NetworkStream":
        """Connect and wait for the first sound; ``deliver`` is called from a thread.

        Raises RuntimeMissingError without PyAV, and AudioSourceError if no sound comes; from the
        second time on this is logged too, once for each reason.
        """
        if find_spec("av") is None:
            raise RuntimeMissingError(f"Sound from the network needs PyAV: {add_extra('formats')}.")
        process = self._process = _start_decoder(self._url)
        try:
            form, first = _beginning(process)
        except AudioSourceError as error:
            problem = str(error)
            if self._opened and problem != self._problem:
                _log.warning("%s can't be reached: %s", self.name, problem)
            self._problem = problem
            raise AudioSourceError(f"{self.name} can't be listened to: {problem}.") from None
        except BaseException:
            child_process.end(process)
            raise
        self._opened = True
        self._problem = ""
        return NetworkStream(process, form, first, deliver)

    def refresh(self) -> None:
        """Does nothing: there is no list of devices."""

    def moved_to(self) -> None:
        """An address is never another's."""

    def abandon(self) -> None:
        """End a decoder that is still connecting."""
        if self._process:
            self._process.kill()


class NetworkStream(child_process.ChildStream):
    """Delivers what a decoder writes, in real time, until it ends or is closed."""

    sample_rate_hz = SAMPLE_RATE_HZ
    channels = 1

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        form: StreamFormat,
        first: bytes,
        deliver: Deliver,
    ) -> None:
        """``first`` is the first chunk."""
        self.form = form
        """Of the stream before it was decoded, when it began."""
        self._first = first
        super().__init__(process, deliver)

    def _run(self) -> None:
        assert self._process.stdout
        chunk = self._first
        due_s = -math.inf
        while len(chunk) > 1 and not self._closed.is_set():
            now_s = time.monotonic()
            if now_s - due_s > WINDOW_S:  # the first, or one that catches up with nothing
                due_s = now_s
            self._closed.wait(max(0.0, due_s - now_s))
            frames = len(chunk) // 2
            due_s += frames / SAMPLE_RATE_HZ / PACE
            self._deliver(chunk[: 2 * frames], frames, False)
            chunk = self._process.stdout.read(2 * _CHUNK_LENGTH)


def _start_decoder(url: str) -> "subprocess.Popen[bytes]":
    request = {
        "url": url,
        "rate_hz": SAMPLE_RATE_HZ,
        "open_s": OPEN_S,
        "read_s": 2 * WATCHDOG.no_samples_s,  # if nobody ends it before
    }
    return child_process.start("stream_decoder", request, subprocess.PIPE)


def _beginning(process: "subprocess.Popen[bytes]") -> tuple[StreamFormat, bytes]:
    """Wait for the first sound; raises AudioSourceError, which says why none came."""
    assert process.stdout and process.stderr
    with child_process.time_limit(process, _START_S + OPEN_S):
        line = process.stdout.readline()
        first = process.stdout.read(2 * _CHUNK_LENGTH)
        if first:
            return StreamFormat(**json.loads(line)), first
        reason = printable(process.stderr.read(1000).decode(errors="replace"))
        status = process.wait()
    child_process.end(process)
    if status == -signal.SIGKILL:
        reason = "its server does not answer"
    elif status:
        how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
        reason = f"the decoder failed ({how})"
    raise AudioSourceError(reason)
