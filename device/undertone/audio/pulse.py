"""Which source a sound server (PulseAudio, PipeWire) lets this process hear.

A stream on ALSA's ``default`` is moved to another microphone without a word when its own is
pulled out.  Only the server knows, and its tool ``pactl`` tells.
"""

import json
import os
import subprocess
from typing import Any

_PATIENCE_S = 1.0  # a server that hangs is noticed elsewhere


def heard_source() -> str | None:
    """The name of the one source that this process records; None where no server says so."""
    pid = str(os.getpid())
    heard = {
        output["source"]
        for output in _pactl("source-outputs")
        if output.get("properties", {}).get("application.process.id") == pid
    }
    if len(heard) != 1:
        return None
    names = [source["name"] for source in _pactl("sources") if source["index"] in heard]
    return names[0] if names else None


def _pactl(kind: str) -> list[dict[str, Any]]:
    command = ["pactl", "--format=json", "list", kind]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=True)
        told: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):  # not there, too old, hanging
        return []
    return told
