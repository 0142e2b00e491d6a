"""Which source a sound server (PulseAudio, PipeWire) lets this process hear.

A stream on ALSA's ``default`` is moved to another microphone without a word when its own is
pulled out.  Only the server knows, and its tool ``pactl`` tells.
"""

import json
import os
import subprocess
from threading import Thread
from typing import Any

_PATIENCE_S = 1.0  # a server that hangs is noticed elsewhere


class HeardSource:
    """The one source that this process records, as the server tells of it.

    ``pactl subscribe`` sleeps until something changes.  A thread reads it, not the listening one,
    and asks for the name again when our stream was changed.
    """

    def __init__(self) -> None:
        """Ask, for two seconds at most, and go on where a server says that it is recorded."""
        self.name: str | None = None
        """Of the source; None where no server says so."""
        self._stream: int | None = None
        self._events = _subscribe()
        self._ask()
        if self._events:
            Thread(target=self._follow, args=[self._events], name="pactl", daemon=True).start()
            if not self.name:
                self.close()

    def close(self) -> None:
        """Follow no more."""
        if self._events:
            self._events.kill()
            self._events.wait()

    def _follow(self, events: "subprocess.Popen[str]") -> None:
        assert events.stdout
        subscribed = False  # no event tells what happened before the first
        with events.stdout as lines:
            for line in lines:
                if not subscribed or line.endswith(f"'change' on source-output #{self._stream}\n"):
                    subscribed = True
                    self._ask()

    def _ask(self) -> None:
        pid = str(os.getpid())
        ours = [
            (stream["index"], stream["source"])
            for stream in _list("source-outputs")
            if stream.get("properties", {}).get("application.process.id") == pid
        ]
        self._stream, source = ours[0] if len(ours) == 1 else (None, None)
        names = {one["index"]: one["name"] for one in _list("sources")} if ours else {}
        self.name = names.get(source)


def _list(kind: str) -> list[dict[str, Any]]:
    command = ["pactl", "--format=json", "list", kind]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=True)
        told: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):  # not there, too old, hanging
        return []
    return told


def _subscribe() -> "subprocess.Popen[str] | None":
    try:
        return subprocess.Popen(
            ["pactl", "subscribe"],
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return None
