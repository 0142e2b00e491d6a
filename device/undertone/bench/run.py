"""A whole benchmark: every bundle with every runtime and number of threads asked for.

Whatever is measured runs in a new process, so that the runtimes do not disturb each other and
memory is that of one alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from undertone import __version__
from undertone.bench import memory, model, process, stages
from undertone.bench.machine import Sensors
from undertone.bench.result import SCHEMA_VERSION, Benchmark, Measurement, Memory, Model
from undertone.errors import BenchmarkError
from undertone.files.workers import in_new_process
from undertone.recognition.bundle import Bundle
from undertone.recognition.interpreter import InstalledRuntime, package_version

_COLD_STARTS = 5

Step = Callable[[str], None]
"""Told of each part before it is measured."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    runtimes: of :func:`undertone.recognition.interpreter.installed_runtimes`.
    runs: calls of each stage.  listened_s: seconds of silence, and of speech, in real time.
    """

    bundles: tuple[Bundle, ...]
    runtimes: tuple[InstalledRuntime, ...]
    threads: tuple[int, ...]
    runs: int
    listened_s: float

    def __post_init__(self) -> None:
        """Raise BenchmarkError where two bundles could not be told apart."""
        names = [one.manifest.name for one in self.bundles]
        for name in names:
            if names.count(name) > 1:
                raise BenchmarkError(
                    f"Two of the bundles are called {name}: name one of them, or give it another "
                    "name in its manifest."
                )

    @property
    def steps(self) -> int:
        """How often :func:`run` tells of a step."""
        measurements = len(self.bundles) * len(self.runtimes) * len(self.threads)
        return len(self.bundles) + _STEPS * measurements


_STEPS = 4


def run(plan: Plan, step: Step, sensors: Sensors | None = None) -> Benchmark:
    """Measure all of ``plan``; raises UndertoneError where a part can't be measured."""
    sensors = sensors or Sensors()
    begun = datetime.now().astimezone()
    before = sensors.state()
    models = [_model(one, plan.runtimes[0], step) for one in plan.bundles]
    measurements = [
        _measure(one, runtime, threads, plan, step)
        for one, runtime, threads in product(plan.bundles, plan.runtimes, plan.threads)
    ]
    return Benchmark(
        schema_version=SCHEMA_VERSION,
        version=__version__,
        time=begun.isoformat(timespec="seconds"),
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
    what = f"{loaded.manifest.name}, {runtime}, threads: {threads}"
    folder = loaded.folder.absolute()
    options = process.model_options(folder, runtime, threads)
    step(f"{what}: stages")
    timed = in_new_process(stages.measure, folder, runtime, threads, plan.runs)
    step(f"{what}: memory")
    resident = Memory(**in_new_process(memory.measure, folder, runtime, threads))
    step(f"{what}: cold start")
    started = process.cold_start(options, min(_COLD_STARTS, plan.runs))
    step(f"{what}: listening")
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
