"""One of several microphones, as an input that Microphone opens, watches and reopens."""

import json
import signal
import subprocess
from contextlib import suppress
from typing import Any

from undertone.audio import child_process
from undertone.audio.microphone_reader import HEAD, Kind, identity_as_json, identity_from
from undertone.audio.portaudio import Deliver, PortAudioInput
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError

OPEN_S = 15.0
"""What a process may take to start and to open its microphone, on a slow card."""

_CLOSE_S = 1.0
"""What it may take to end."""


class IsolatedInput(PortAudioInput):
    """A PortAudioInput that is opened by a process of its own, which reads it."""

    _process: "subprocess.Popen[bytes] | None" = None
    _stream: "IsolatedStream | None" = None

    @property
    def name(self) -> str:
        """The name as it was given: it stays the same, whichever number the device gets."""
        return self._wanted or "default"

    @property
    def source(self) -> str | None:
        """The name of what a sound server delivers, once that has changed."""
        return self._stream.source if self._stream else None

    def open(self, deliver: Deliver) -> "IsolatedStream":
        """Start the process; ``deliver`` is called from a thread.

        Raises what PortAudioInput raises, and AudioSourceError if the process fails.
        """
        process = self._process = self._start_reader()
        try:
            answer = _answer(process, self.name)
        except BaseException:
            child_process.end(process)
            raise
        self.identity = identity_from(answer["identity"])
        self._stream = IsolatedStream(process, answer["rate_hz"], answer["channels"], deliver)
        return self._stream

    def _start_reader(self) -> "subprocess.Popen[bytes]":
        identity = identity_as_json(self.identity) if self.identity else None
        request = {"wanted": self._wanted, "channel": self._channel, "identity": identity}
        return child_process.start("microphone_reader", request)

    def refresh(self) -> None:
        """Does nothing: every process looks for the devices itself."""

    def abandon(self) -> None:
        """End a process that hangs."""
        if self._process:
            self._process.kill()


class IsolatedStream(child_process.ChildStream):
    """Delivers what the process writes until that ends or is closed."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        sample_rate_hz: int,
        channels: int,
        deliver: Deliver,
    ) -> None:
        """``process`` has answered the request."""
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.source: str | None = None
        """The name of what a sound server delivers now, once that has changed."""
        super().__init__(process, deliver)

    def close(self) -> None:
        """End the process: by itself, so that it can release the microphone, or else by force."""
        self._closed.set()
        assert self._process.stdin
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSE_S)
        super().close()

    def _run(self) -> None:
        assert self._process.stdout
        read = self._process.stdout.read
        while len(head := read(HEAD.size)) == HEAD.size:
            size, kind = HEAD.unpack(head)
            data = read(size)
            if len(data) < size:
                return
            if kind == Kind.SOURCE:
                self.source = data.decode()
            elif not self._closed.is_set():
                lost = kind == Kind.SOUND_AFTER_LOSS
                self._deliver(data, size // (2 * self.channels), lost)


def _answer(process: "subprocess.Popen[bytes]", name: str) -> dict[str, Any]:
    """What the process says about the microphone that it has opened; raises its error."""
    assert process.stdout
    with child_process.time_limit(process, OPEN_S):
        line = process.stdout.readline()
    if not line:
        status = process.wait()
        if status == -signal.SIGKILL:
            reason = "the sound system does not answer"
        else:
            reason = f"the process that reads it failed with status {status}"
        raise AudioSourceError(
            f"The microphone {name} can't be opened ({reason}): run undertone doctor."
        )
    answer: dict[str, Any] = json.loads(line)
    match answer.get("error"):
        case None:
            return answer
        case NoMicrophoneError.__name__:
            raise NoMicrophoneError
        case RuntimeMissingError.__name__:
            raise RuntimeMissingError(answer["message"])
    raise AudioSourceError(answer["message"])
