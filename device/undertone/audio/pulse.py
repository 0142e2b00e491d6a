"""Which source a sound server (PulseAudio, PipeWire) delivers to this process.

A stream on ALSA's ``default`` is silently moved to another microphone when its own is unplugged.
Only the server knows, and its tool ``pactl`` reports it.
"""

import json
import os
import subprocess
from threading import Thread
from typing import Any

_PATIENCE_S = 1.0  # a hanging server is detected elsewhere


class RecordedSource:
    """The source that this process records, according to the server.

    ``pactl subscribe`` sleeps until something changes.  A separate thread reads it, and asks for
    the name again when our stream was changed.
    """

    def __init__(self) -> None:
        """Ask for two seconds at most, and watch for changes if a server names the source."""
        self.name: str | None = None
        """The name of the source; None if no server reports one."""
        self._stream: int | None = None
        self._events = _subscribe()
        self._ask()
        if self._events:
            Thread(target=self._follow, args=[self._events], name="pactl", daemon=True).start()
            if not self.name:
                self.close()

    def close(self) -> None:
        """Stop watching."""
        if self._events:
            self._events.kill()
            self._events.wait()

    def _follow(self, events: "subprocess.Popen[str]") -> None:
        assert events.stdout
        subscribed = False  # there is no event for what happened before the subscription
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
        listed: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):  # not there, too old, hanging
        return []
    return listed


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
