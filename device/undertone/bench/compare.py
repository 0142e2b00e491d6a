"""Two benchmarks side by side: every figure of both, and by how much it has changed."""

from collections.abc import Iterator
from dataclasses import dataclass

from undertone.bench.result import Benchmark, Measurement
from undertone.errors import BenchmarkError


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure in two benchmarks; all are costs, so that a ratio above 1 is worse."""

    name: str
    a: float
    b: float

    @property
    def ratio(self) -> float | None:
        """``b`` in terms of ``a``; None where ``a`` is 0."""
        return self.b / self.a if self.a else None


def compare(a: Benchmark, b: Benchmark) -> Iterator[tuple[Measurement, list[Compared]]]:
    """For each measurement of ``b`` that ``a`` has too, its figures in both.

    Raises BenchmarkError where there is none.
    """
    of_a = {measurement.key: measurement for measurement in a.measurements}
    pairs = [(of_a[one.key], one) for one in b.measurements if one.key in of_a]
    if not pairs:
        raise BenchmarkError(
            "The two benchmarks have no bundle with the same runtime and threads in common: "
            "measure the same in both."
        )
    for in_a, in_b in pairs:
        before = a.figures(in_a)
        yield in_b, [Compared(name, before[name], after) for name, after in b.figures(in_b).items()]


def other_machine(a: Benchmark, b: Benchmark) -> str | None:
    """A warning where the two are of different machines, whose ratios say nothing of a change."""
    if a.machine.processor == b.machine.processor:
        return None
    return (
        f"measured on different machines ({a.machine.processor}; {b.machine.processor}): "
        "the ratios compare these, not two versions"
    )
