"""Microphones without hardware, for processes of their own: a made ``sounddevice``."""

import json
import os
from pathlib import Path
from typing import Any

_SOUND_DEVICE = '''
"""The part of sounddevice that Undertone uses; a file says what it does."""
import json, os, threading, time
from pathlib import Path
from types import SimpleNamespace

folder = Path(os.environ["MADE_DEVICES"])
world = json.loads((folder / "world.json").read_text())
if world.get("missing"):
    raise OSError("PortAudio library not found")
if world.get("crashes"):
    os.abort()
if world.get("hangs"):
    time.sleep(1000)
default = SimpleNamespace(device=[0, -1])

class PortAudioError(Exception):
    pass

def query_devices():
    return [
        {"index": index, "name": name, "hostapi": 0, "max_input_channels": 2,
         "default_samplerate": 48000.0}
        for index, name in enumerate(world["devices"])
    ]

def query_hostapis():
    return [{"name": "ALSA"}]

class RawInputStream:
    def __init__(self, device, channels, samplerate, blocksize, callback, **others):
        if world.get("busy"):
            raise PortAudioError("Device unavailable", -9985)
        if samplerate != world.get("rate_hz", 16000):
            raise PortAudioError("Invalid sample rate", -9997)
        self.device, self.size, self.callback = device, 2 * channels * blocksize, callback
        self.frames, self.active = blocksize, True

    def start(self):
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        for number in range(world.get("chunks", 10)):
            self.deliver(number)
        (folder / "delivered").touch()
        while not (folder / "unplugged").exists():
            time.sleep(0.01)
            if (folder / "more").exists():
                (folder / "more").unlink()
                self.deliver(number + 1)
        self.active = False

    def deliver(self, number):
        data = bytes([self.device, number % 256]) * (self.size // 2)
        status = SimpleNamespace(input_overflow=number == world.get("overflow"))
        self.callback(data, self.frames, None, status)

    def abort(self):
        (folder / "closed").touch()
        if world.get("closing_hangs"):
            time.sleep(1000)

    close = abort
'''


class MadeMicrophones:
    """What the processes of microphones find that have ``env`` in their environment.

    Each delivers ten chunks, or ``chunks``, whose bytes are the device's number and the chunk's,
    and then one for each call of ``deliver``.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the module and its state in ``folder``."""
        self._folder = folder
        self.env = {
            "PYTHONPATH": str(folder),
            "MADE_DEVICES": str(folder),
            "PATH": str(folder),  # without pactl
        }
        (folder / "sounddevice.py").write_text(_SOUND_DEVICE)
        self.set(devices=["Webcam (hw:0,0)", "USB (hw:1,0)"])

    def set(self, **world: Any) -> None:
        """What a process that starts from now on finds: ``devices``, and what goes wrong."""
        (self._folder / "world.json").write_text(json.dumps(world))

    def unplug(self) -> None:
        """End every stream."""
        (self._folder / "unplugged").touch()

    def plug(self) -> None:
        """Let new streams last again."""
        (self._folder / "unplugged").unlink(missing_ok=True)

    def deliver(self) -> None:
        """Deliver another chunk."""
        (self._folder / "more").touch()

    @property
    def has_delivered(self) -> bool:
        """Whether a stream has delivered the first chunks."""
        return (self._folder / "delivered").exists()

    @property
    def was_closed(self) -> bool:
        """Whether a stream was closed in the orderly way."""
        return (self._folder / "closed").exists()


_READER = b"undertone.audio.microphone_reader"


def readers() -> list[int]:
    """The processes that this one has started to read microphones, and that have not ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if f"PPid:\t{os.getpid()}\n" in text and _READER in command:
            found.append(int(status.parent.name))
    return found
