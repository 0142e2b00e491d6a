"""The model of this machine, and the power supply and temperature of a Raspberry Pi."""

import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[Sequence[str]], str | None]
"""Runs a command and returns its output; None if it is not installed or fails."""

_POWER_BITS = {
    0: "the supply voltage is too low",
    1: "the processor's speed is capped",
    2: "the processor is throttled",
    3: "the processor is too hot",
}
"""Bits of ``vcgencmd get_throttled``: now; 16 bits higher, that it has happened since boot."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """What slows a Raspberry Pi down now, and what has done so since boot."""

    now: tuple[str, ...]
    since_boot: tuple[str, ...]


def throttling(run: Run) -> Throttling | None:
    """Throttling as reported by the Pi's firmware; None on any other machine."""
    answer = run(["vcgencmd", "get_throttled"])
    try:
        bits = int((answer or "").strip().removeprefix("throttled="), 16)
    except ValueError:
        return None
    return Throttling(
        tuple(text for bit, text in _POWER_BITS.items() if bits >> bit & 1),
        tuple(text for bit, text in _POWER_BITS.items() if bits >> bit + 16 & 1),
    )


def processor(root: Path = Path("/")) -> str:
    """The board model of a Raspberry Pi, or the name of the processor."""
    board = root / "proc/device-tree/model"
    if board.exists():
        return board.read_text().strip("\0\n ")
    cpuinfo = root / "proc/cpuinfo"
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def run(command: Sequence[str]) -> str | None:
    """Run a command for at most 5 s; see Run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
