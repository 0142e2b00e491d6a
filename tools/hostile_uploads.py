"""What may be sent to the page or to the interface for programs instead of a sound file."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import soundfile

MB = 2**20


def sound(seconds: float, form: str = "WAV", rate_hz: int = 16_000, channels: int = 1) -> bytes:
    """A file of silence."""
    file = io.BytesIO()
    silence = np.zeros((int(seconds * rate_hz), channels), np.int16)
    soundfile.write(file, silence, rate_hz, format=form)
    return file.getvalue()


def zip_bomb() -> bytes:
    """An archive that unpacks to 200 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.wav", bytes(10 * MB))
    return file.getvalue()


def header(rate_hz: int, channels: int) -> bytes:
    """Of a WAV that promises four gigabytes, with little behind it."""
    data = bytearray(sound(0.1))
    data[22:24] = channels.to_bytes(2, "little")
    data[24:28] = rate_hz.to_bytes(4, "little")
    data[40:44] = b"\xff\xff\xff\x7f"
    return bytes(data)


RUBBISH: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"This is no sound.",
    "zip bomb": zip_bomb,
    "program": lambda: b"\x7fELF" + bytes(5000),
    "head alone": lambda: sound(1)[:44],
    "rate": lambda: header(2_000_000_000, 1),
    "channels": lambda: header(16_000, 1024),
    "not a number": lambda: _floats(np.nan),
}


def _floats(value: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(16_000, value, np.float32), 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


NAMES = [
    "../../../etc/passwd.wav",
    "/etc/shadow.wav",
    "![x](http://example.org/x.png).wav",
    "<script>alert(1)</script><img src=http://example.org/x>.wav",
    "$(reboot);`id`.wav",
    "a\n\x1b[2J.wav",
    "\u202egpj.wav",
    "x" * 3000 + ".wav",
]
