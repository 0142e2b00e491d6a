"""Resident memory as the program loads one thing after the other; for a process of its own.

Imports next to nothing before it looks.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from undertone.bench.result import Memory

if TYPE_CHECKING:
    from undertone.interpreter import RuntimeName


def measure(folder: Path, runtime: "RuntimeName", threads: int) -> Memory:
    """Load the device path and the bundle in ``folder`` step by step, and listen for a while."""
    python = status_bytes("VmRSS")

    import undertone.audio.files
    import undertone.pipeline  # noqa: F401

    libraries = status_bytes("VmRSS")

    from undertone.interpreter import load_runtime

    load_runtime(runtime)
    of_runtime = status_bytes("VmRSS")

    from undertone import bundle
    from undertone.classifier import Classifier

    classifier = Classifier(bundle.load(folder), runtime, threads)
    model = status_bytes("VmRSS")

    from undertone.pipeline import classify
    from undertone.samples import demonstration

    classify(demonstration(), classifier)
    return Memory(
        python_bytes=python,
        libraries_bytes=libraries,
        runtime_bytes=of_runtime,
        model_bytes=model,
        listening_bytes=status_bytes("VmRSS"),
        peak_bytes=status_bytes("VmHWM"),
    )


def status_bytes(name: str, process: int | str = "self") -> int:
    """``VmRSS`` (resident now) or ``VmHWM`` (at most so far) of a process; 0 if it has ended."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
