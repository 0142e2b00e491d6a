"""Quantises runs in a process apart: what the converter can't take may end its process."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from undertone.errors import UndertoneError
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.runs import Run


def quantize_apart(
    jobs: Iterable[tuple[Run, Sequence[ClipFeatures]]],
) -> Iterator[tuple[Run, str | None]]:
    """Quantise each run by its training clips; yields it with the reason why not, or None.

    The reason is kept in the run's folder, so that it is tested as a float model only.
    """
    pool = _pool()
    try:
        for run, train in jobs:
            run.unquantized.unlink(missing_ok=True)
            try:
                reason = pool.submit(_quantize, run, train).result()
            except BrokenProcessPool:
                reason, pool = "the converter ends its process", _pool()
            if reason:
                run.unquantized.write_text(f"{reason}\n")
            yield run, reason
    finally:
        pool.shutdown()


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _quantize(run: Run, train: Sequence[ClipFeatures]) -> str | None:
    """In the process apart."""
    from undertone_training.cli.common import load_tensorflow

    load_tensorflow()
    from undertone_training.export.quantize import quantize_run

    try:
        quantize_run(run, train, run.calibration.normalization)
    except UndertoneError:
        raise
    except Exception as error:  # TensorFlow's many ways to say that an operator has no int8 form
        lines = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
        said = lines[0].partition("error: ")[2] or lines[0]
        return re.sub(r"^loc\(.*\): ", "", said)  # where in the graph helps nobody
    return None
