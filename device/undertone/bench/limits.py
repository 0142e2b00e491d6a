"""Limits that a benchmark must not exceed, to check before a release.

A TOML file of figures by their dotted names, as in the JSON:

    baseline = "before.json"  # relative to this file
    threads = 1  # check only measurements with this many

    [at_most]
    silence.cpu_share = 0.003
    cold_start.p50_ms = 600

    [ratio_at_most]  # relative to the baseline's figure
    stages.path.p50_ms = 1.2
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from undertone.bench.compare import compare
from undertone.bench.result import Benchmark, Measurement, figure_names, read
from undertone.errors import ConfigError
from undertone.support.suggestion import suggestion
from undertone.support.toml import read_toml

_KEYS = {"baseline", "threads", "at_most", "ratio_at_most"}
_LISTED = "docs/benchmark.md lists all"


@dataclass(frozen=True)
class Limits:
    """The largest permitted figures, absolute and relative to a baseline's.

    threads: number of threads of the measurements that are checked; None checks all.
    """

    at_most: Mapping[str, float]
    ratio_at_most: Mapping[str, float]
    baseline: Benchmark | None
    threads: int | None

    def checked(self, benchmark: Benchmark) -> list[Measurement]:
        """The measurements that the limits apply to."""
        return [one for one in benchmark.measurements if self.threads in (None, one.threads)]


def load(path: Path) -> Limits:
    """The limits in ``path``.

    Raises ConfigError, which names the key, for one that is unknown or not a number, and
    BenchmarkError if the baseline can't be read.
    """
    try:
        content = read_toml(path)
    except FileNotFoundError:
        raise ConfigError(f"There is no limits file {path}.") from None
    for key in content:
        if key not in _KEYS:
            raise ConfigError(f"{path}: there is no key {key!r}; {suggestion(key, _KEYS, _LISTED)}")
    ratios = _section(path, content, "ratio_at_most")
    baseline = content.get("baseline", "")
    if not isinstance(baseline, str) or bool(ratios) != bool(baseline):
        raise ConfigError(
            f'{path}: [ratio_at_most] and baseline = "FILE.json" (a benchmark) must be set together'
        )
    threads = content.get("threads")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ConfigError(f"{path}: threads must be a whole number, 1 or more")
    return Limits(
        at_most=_section(path, content, "at_most"),
        ratio_at_most=ratios,
        baseline=read(path.parent / baseline) if ratios else None,
        threads=threads,
    )


def broken(benchmark: Benchmark, limits: Limits) -> Iterator[str]:
    """A sentence for every limit that ``benchmark`` exceeds."""
    checked = limits.checked(benchmark)
    if not checked:
        yield f"nothing was measured with threads = {limits.threads}, which the limits are for"
    for measurement in checked:
        figures = benchmark.figures(measurement)
        for name, most in limits.at_most.items():
            if figures[name] > most:
                yield f"{measurement.title}: {name} is {figures[name]:g}, above {most:g}"
    if limits.baseline:
        yield from _broken_ratios(benchmark, limits, limits.baseline)


def _broken_ratios(benchmark: Benchmark, limits: Limits, baseline: Benchmark) -> Iterator[str]:
    compared = dict(compare(baseline, benchmark))
    for measurement in limits.checked(benchmark):
        if measurement not in compared:
            yield f"{measurement.title}: the baseline has no such measurement"
        for one in compared.get(measurement, []):
            most = limits.ratio_at_most.get(one.name, math.inf)
            if one.b > most * one.a:
                yield (
                    f"{measurement.title}: {one.name} is {one.b:g}, above {most:g} times the "
                    f"baseline's {one.a:g}"
                )


def _section(path: Path, content: dict[str, Any], section: str) -> dict[str, float]:
    """The limits in one section, by figure."""
    values = content.get(section, {})
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: {section} must be a table of figures: [{section}]")
    limits = dict(_leaves(values))
    known = figure_names()
    for name, limit in limits.items():
        if name not in known:
            near = suggestion(name, known, _LISTED)
            raise ConfigError(f"{path}: there is no figure {name!r}; {near}")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or math.isnan(limit):
            raise ConfigError(f"{path}: the limit of {name} must be a number")
    return limits


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of TOML's nested tables, by their dotted names."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
