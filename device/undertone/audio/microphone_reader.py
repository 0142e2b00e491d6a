"""The program that reads one of several microphones, in a process of its own.

PortAudio looks for devices once.  To find a microphone that was plugged in again it must be
restarted, which closes every microphone that its process reads.  So each of several has a process,
and the loss of one does not disturb the others.

``python -m undertone.audio.microphone_reader`` reads a request, one line of JSON, from stdin:
``wanted``, ``channel`` and ``identity`` as PortAudioInput takes them.  It writes one line of JSON
to stdout, ``rate_hz``, ``channels`` and ``identity``, or ``error`` and ``message``, and then
records until the microphone is lost or stdin is closed.  It imports no NumPy: 13 MB less.
"""

import fcntl
import json
import os
import sys
import time
from contextlib import suppress
from enum import IntEnum
from struct import Struct
from threading import Event, Lock, Thread
from typing import Any

from undertone.audio.portaudio import Identity, InputDevice, PortAudioInput
from undertone.errors import UndertoneError

HEAD = Struct("<IB")
"""Of a record: the number of bytes that follow, and its Kind."""

_PIPE_BYTES = 2**20
"""Of sound that waits for a program that was stopped: 30 s at our rate, in mono."""

_LOOK_S = 0.5
"""How soon it is noticed that nothing more will come."""

_PATIENCE_S = 0.5
"""How long closing the microphone may take."""


class Kind(IntEnum):
    """What a record holds."""

    SOUND = 0
    SOUND_AFTER_LOSS = 1
    """Sound before which some was lost."""
    SOURCE = 2
    """The name of what a sound server delivers from now on."""


class _Output:
    """Writes records from the audio thread, without ever waiting for the pipe.

    A queue and another thread would double the wake-ups, which are nearly all that this costs.
    """

    def __init__(self, microphone: PortAudioInput) -> None:
        self.ended = Event()
        """Set when nobody reads any more."""
        self._microphone = microphone
        self._source: str | None = None
        self._begun = False
        self._waiting = bytearray()
        self._lost = False
        self._lock = Lock()

    def begin(self, answer: dict[str, object], source: str | None) -> None:
        """Write the answer; records follow it."""
        _write_line(answer)
        self._source = source
        os.set_blocking(1, False)
        with self._lock:
            self._begun = True
            self._flush()

    def deliver(self, data: bytes, frames: int, overflowed: bool) -> None:
        """Called from the audio thread."""
        with self._lock:
            self._lost |= overflowed
            self._flush()
            if len(self._waiting) >= (1 if self._begun else _PIPE_BYTES):  # the pipe is full
                self._lost = True
                return
            source = self._microphone.source
            if self._begun and source and source != self._source:
                self._source = source
                self._put(Kind.SOURCE, source.encode(errors="replace"))
            self._put(Kind.SOUND_AFTER_LOSS if self._lost else Kind.SOUND, data)
            self._lost = False
            self._flush()

    def finish(self) -> None:
        """Write what still waits, if the pipe takes it."""
        with self._lock:
            self._flush()

    def _put(self, kind: Kind, data: bytes) -> None:
        self._waiting += HEAD.pack(len(data), kind) + data

    def _flush(self) -> None:
        if self._begun and self._waiting:
            with suppress(BlockingIOError):
                try:
                    del self._waiting[: os.write(1, self._waiting)]
                except BrokenPipeError:
                    self.ended.set()


def main() -> None:
    """Read the request, and write what the microphone delivers."""
    request = json.loads(sys.stdin.buffer.readline())
    microphone = PortAudioInput(
        request["wanted"], request["channel"], identity_from(request["identity"])
    )
    output = _Output(microphone)
    Thread(target=_end_with_parent, args=(output.ended,), daemon=True).start()
    try:
        stream = microphone.open(output.deliver)
    except UndertoneError as error:
        _write_line({"error": type(error).__name__, "message": str(error)})
        return
    identity = microphone.identity
    assert identity
    with suppress(OSError):  # no more than an unprivileged user may have
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    answer = {
        "rate_hz": stream.sample_rate_hz,
        "channels": stream.channels,
        "identity": identity_as_json(identity),
    }
    with suppress(BrokenPipeError):
        output.begin(answer, identity.source)
        while stream.active and not output.ended.wait(_LOOK_S):
            pass
        output.finish()
    stream.close()
    os._exit(0)  # whatever PortAudio would still do


def identity_as_json(identity: Identity) -> dict[str, Any]:
    """What JSON can hold of an Identity."""
    return identity._asdict() | {"device": identity.device._asdict()}


def identity_from(values: dict[str, Any] | None) -> Identity | None:
    """An Identity from what ``identity_as_json`` made of it."""
    if values is None:
        return None
    device = values["device"]
    rates = tuple(device["supported_rates_hz"])
    return Identity(**values | {"device": InputDevice(**device | {"supported_rates_hz": rates})})


def _end_with_parent(ended: Event) -> None:
    """End when stdin is closed, even if a sound server hangs."""
    sys.stdin.buffer.read()
    ended.set()
    time.sleep(_PATIENCE_S)
    os._exit(1)


def _write_line(values: dict[str, object]) -> None:
    line = json.dumps(values).encode() + b"\n"
    while line:
        line = line[os.write(1, line) :]


if __name__ == "__main__":
    main()
