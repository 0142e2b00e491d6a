"""A whole benchmark: every bundle with every requested runtime and number of threads.

Each measurement runs in a new process, so that the runtimes do not affect each other and memory is
that of one alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

from undertone import __version__
from undertone.bench import memory, model, process, stages
from undertone.bench.machine import Sensors
from undertone.bench.result import (
    SCHEMA_VERSION,
    Benchmark,
    ColdStart,
    Measurement,
    Memory,
    Model,
)
from undertone.errors import BenchmarkError
from undertone.files.workers import in_new_process
from undertone.recognition import bundle
from undertone.recognition.bundle import Bundle
from undertone.recognition.interpreter import (
    InstalledRuntime,
    RuntimeName,
    choose_runtime,
    installed_runtimes,
    package_version,
)

_COLD_STARTS = 7
_STEPS = 3
"""Of a case, beside its cold starts."""

Step = Callable[[str], None]
"""Called with the name of each part before it is measured."""


class Case(NamedTuple):
    """What one measurement is of."""

    bundle: Bundle
    runtime: InstalledRuntime
    threads: int

    @property
    def title(self) -> str:
        """How progress names it."""
        return f"{self.bundle.manifest.name}, {self.runtime}, threads: {self.threads}"

    @property
    def folder(self) -> Path:
        """Of the bundle, absolute: processes of their own open it."""
        return self.bundle.folder.absolute()

    @property
    def options(self) -> list[str]:
        """The options of ``classify`` and ``listen`` that select it."""
        return process.model_options(self.folder, self.runtime, self.threads)


@dataclass(frozen=True)
class Plan:
    """What to measure.

    runtimes: of :func:`undertone.recognition.interpreter.installed_runtimes`.
    runs: calls of each stage.  listened_s: seconds of silence, and of speech, in real time.
    """

    bundles: tuple[Bundle, ...]
    runtimes: tuple[InstalledRuntime, ...]
    threads: tuple[int, ...]
    runs: int
    listened_s: float

    def __post_init__(self) -> None:
        """Raise BenchmarkError if two bundles have the same name."""
        names = [one.manifest.name for one in self.bundles]
        for name in names:
            if names.count(name) > 1:
                raise BenchmarkError(
                    f"Two of the bundles are called {name}: measure one of them, or change the "
                    "name in its manifest."
                )

    @property
    def steps(self) -> int:
        """How often :func:`run` calls its ``step``."""
        return len(self.bundles) + _STEPS * len(self.cases) + self.cold_starts

    @property
    def cold_starts(self) -> int:
        """How many of each case are measured."""
        return min(_COLD_STARTS, self.runs)

    @property
    def cases(self) -> list[Case]:
        """Every bundle with every runtime and number of threads."""
        return [Case(*one) for one in product(self.bundles, self.runtimes, self.threads)]


def plan_of(
    bundles: Sequence[str],
    runtime: RuntimeName | Literal["all"],
    threads: tuple[int, ...],
    runs: int,
    listened_s: float,
) -> Plan:
    """The plan to measure ``bundles`` (names or paths) with one runtime, or all installed ones.

    Raises BundleError, RuntimeMissingError, and BenchmarkError as :class:`Plan` does.
    """
    runtimes = installed_runtimes() if runtime == "all" else []
    if not runtimes:
        runtimes = [choose_runtime("auto" if runtime == "all" else runtime)]
    return Plan(tuple(map(bundle.load, bundles)), tuple(runtimes), threads, runs, listened_s)


def run(plan: Plan, step: Step, sensors: Sensors | None = None) -> Benchmark:
    """Carry out ``plan``; raises UndertoneError if a part can't be measured."""
    sensors = sensors or Sensors()
    began = datetime.now().astimezone()
    before = sensors.state()
    models = [_model(one, plan.runtimes[0], step) for one in plan.bundles]
    started = _cold_starts(plan, step)
    measurements = [
        _measure(case, cold_start, plan, step)
        for case, cold_start in zip(plan.cases, started, strict=True)
    ]
    return Benchmark(
        schema_version=SCHEMA_VERSION,
        version=__version__,
        time=began.isoformat(timespec="seconds"),
        runs=plan.runs,
        listened_s=plan.listened_s,
        machine=sensors.machine(before),
        models=tuple(models),
        measurements=tuple(measurements),
    )


def _model(loaded: Bundle, runtime: InstalledRuntime, step: Step) -> Model:
    step(f"{loaded.manifest.name}: size")
    return in_new_process(model.describe, loaded.folder, runtime)


def _cold_starts(plan: Plan, step: Step) -> list[ColdStart]:
    """Of each case, in turns: if the machine is slower for a while, it is so for all of them."""
    cases, rounds = plan.cases, []
    for number in range(1, plan.cold_starts + 1):
        step(f"cold starts: round {number} of {plan.cold_starts}")
        rounds.append([process.cold_start(case.options) for case in cases])
    return [process.summarised(starts) for starts in zip(*rounds, strict=True)]


def _measure(case: Case, cold_start: ColdStart, plan: Plan, step: Step) -> Measurement:
    folder, runtime, threads = case.folder, case.runtime, case.threads
    step(f"{case.title}: stages")
    timed = in_new_process(stages.measure, folder, runtime, threads, plan.runs)
    step(f"{case.title}: memory")
    resident = Memory(**in_new_process(memory.measure, folder, runtime, threads))
    step(f"{case.title}: listening")
    silence, speech = process.listening(case.options, plan.listened_s)
    return Measurement(
        bundle=case.bundle.manifest.name,
        runtime=runtime,
        runtime_version=package_version(runtime),
        xnnpack=timed.xnnpack,
        threads=threads,
        stages=timed.stages,
        operator_ms=timed.operator_ms,
        real_time_factor=timed.real_time_factor,
        event_delay_s=timed.event_delay_s,
        cold_start=cold_start,
        memory=resident,
        silence=silence,
        speech=speech,
    )
