"""Two benchmarks side by side: every figure of both, and their ratio."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from undertone.bench.result import Benchmark, Measurement
from undertone.errors import BenchmarkError


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure in two benchmarks; every figure is a cost, so a ratio above 1 is worse."""

    name: str
    a: float
    b: float

    @property
    def ratio(self) -> float | None:
        """``b / a``; None if ``a`` is 0."""
        return self.b / self.a if self.a else None


def compare(a: Benchmark, b: Benchmark) -> Iterator[tuple[Measurement, list[Compared]]]:
    """For each measurement of ``b`` that ``a`` also has, its figures in both.

    Raises BenchmarkError if they have none in common.
    """
    of_a = {measurement.key: measurement for measurement in a.measurements}
    pairs = [(of_a[one.key], one) for one in b.measurements if one.key in of_a]
    if not pairs:
        raise BenchmarkError(
            "The two benchmarks have no measurement in common: measure the same bundle, with the "
            "same runtime and number of threads, in both."
        )
    for in_a, in_b in pairs:
        before = a.figures(in_a)
        yield in_b, [Compared(name, before[name], after) for name, after in b.figures(in_b).items()]


def to_json(compared: Iterable[tuple[Measurement, Sequence[Compared]]]) -> str:
    """What :func:`compare` yields, as indented JSON: one object for each measurement."""
    objects = [
        {
            "bundle": measurement.bundle,
            "runtime": measurement.runtime,
            "threads": measurement.threads,
            "figures": {one.name: {"a": one.a, "b": one.b, "ratio": one.ratio} for one in figures},
        }
        for measurement, figures in compared
    ]
    return json.dumps(objects, indent=2) + "\n"


def other_machine(a: Benchmark, b: Benchmark) -> str | None:
    """A warning if the two were measured on different machines; else None."""
    if a.machine.processor == b.machine.processor:
        return None
    return (
        f"measured on different machines ({a.machine.processor}; {b.machine.processor}): "
        "the ratios compare the machines, not two versions"
    )
