"""A whole benchmark: every bundle with every requested runtime and number of threads.

Each measurement runs in a new process, so that the runtimes do not affect each other and memory is
that of one alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Literal

from undertone import __version__
from undertone.bench import memory, model, process, stages
from undertone.bench.machine import Sensors
from undertone.bench.result import SCHEMA_VERSION, Benchmark, Measurement, Memory, Model
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

_COLD_STARTS = 5

Step = Callable[[str], None]
"""Called with the name of each part before it is measured."""


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
        measurements = len(self.bundles) * len(self.runtimes) * len(self.threads)
        return len(self.bundles) + _STEPS * measurements


_STEPS = 4


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
    measurements = [
        _measure(one, runtime, threads, plan, step)
        for one, runtime, threads in product(plan.bundles, plan.runtimes, plan.threads)
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


def _measure(
    loaded: Bundle, runtime: InstalledRuntime, threads: int, plan: Plan, step: Step
) -> Measurement:
    title = f"{loaded.manifest.name}, {runtime}, threads: {threads}"
    folder = loaded.folder.absolute()
    options = process.model_options(folder, runtime, threads)
    step(f"{title}: stages")
    timed = in_new_process(stages.measure, folder, runtime, threads, plan.runs)
    step(f"{title}: memory")
    resident = Memory(**in_new_process(memory.measure, folder, runtime, threads))
    step(f"{title}: cold start")
    started = process.cold_start(options, min(_COLD_STARTS, plan.runs))
    step(f"{title}: listening")
    silence, speech = process.listening(options, plan.listened_s)
    return Measurement(
        bundle=loaded.manifest.name,
        runtime=runtime,
        runtime_version=package_version(runtime),
        xnnpack=timed.xnnpack,
        threads=threads,
        stages=timed.stages,
        operator_ms=timed.operator_ms,
        real_time_factor=timed.real_time_factor,
        event_delay_s=timed.event_delay_s,
        cold_start=started,
        memory=resident,
        silence=silence,
        speech=speech,
    )
