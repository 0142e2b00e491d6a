"""Resident memory as the program loads its parts one by one; to be run in a new process.

This module imports almost nothing, so that the first reading is of Python alone.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from undertone.recognition.interpreter import RuntimeName


def measure(folder: Path, runtime: "RuntimeName", threads: int) -> dict[str, int]:
    """The fields of ``result.Memory``: load everything step by step, then classify the sample."""
    resident = {"python_bytes": status_bytes("VmRSS")}

    import undertone.audio.files
    import undertone.journal.writer
    import undertone.recognition.pipeline  # noqa: F401

    resident["libraries_bytes"] = status_bytes("VmRSS")

    from undertone.recognition.interpreter import load_runtime

    load_runtime(runtime)
    resident["runtime_bytes"] = status_bytes("VmRSS")

    from undertone.recognition import bundle
    from undertone.recognition.classifier import Classifier

    classifier = Classifier(bundle.load(folder), runtime, threads)
    resident["model_bytes"] = status_bytes("VmRSS")

    from undertone.recognition.pipeline import classify
    from undertone.samples import demonstration

    classify(demonstration(), classifier)
    resident["listening_bytes"] = status_bytes("VmRSS")
    return resident | {"peak_bytes": status_bytes("VmHWM")}


def status_bytes(name: str, process: int | str = "self") -> int:
    """``VmRSS`` (resident now) or ``VmHWM`` (peak) of a process; 0 if it has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
