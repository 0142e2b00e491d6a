"""The machine on which something is measured; an absent sensor gives None, never an error."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from undertone.bench.result import Machine, State
from undertone.diagnostics.machine_state import Run, processor, run, throttling


class Sensors:
    """Looks at a machine through its files and the Pi's ``vcgencmd``."""

    def __init__(self, root: Path = Path("/"), run: Run = run) -> None:
        """``root`` holds ``proc`` and ``sys``."""
        self._root = root
        self._run = run

    def state(self) -> State:
        """The machine at this moment."""
        power = throttling(self._run)
        return State(
            frequency_mhz=self._frequency_mhz(),
            temperature_c=self._temperature_c(),
            throttled=power.now if power else None,
            load=self._load(),
        )

    def machine(self, before: State) -> Machine:
        """The machine after the measurements; ``before`` them it was in that state."""
        power = throttling(self._run)
        governors = sorted(
            {*self._texts("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")}
        )
        return Machine(
            processor=processor(self._root),
            architecture=platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=self._memory_bytes(),
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            governor=", ".join(governors) or None,
            before=before,
            after=self.state(),
            throttled_since_boot=power.since_boot if power else None,
        )

    def _frequency_mhz(self) -> float | None:
        khz = self._numbers("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
        if mhz := [value / 1000 for value in khz]:
            return max(mhz)
        shown = [_number(value) for name, value in self._lines("proc/cpuinfo") if name == "cpu MHz"]
        return max((value for value in shown if value is not None), default=None)

    def _temperature_c(self) -> float | None:
        zones = self._numbers("sys/class/thermal/thermal_zone*/temp")
        if degrees := [value / 1000 for value in zones]:
            return round(max(degrees), 1)
        said = (self._run(["vcgencmd", "measure_temp"]) or "").strip()
        return _number(said.removeprefix("temp=").removesuffix("'C"))

    def _load(self) -> float | None:
        for text in self._texts("proc/loadavg"):
            return _number(text.split()[0])
        return None

    def _memory_bytes(self) -> int | None:
        for name, value in self._lines("proc/meminfo"):
            if name == "MemTotal":
                return int(value.split()[0]) * 1024
        return None

    def _lines(self, pattern: str) -> Iterator[tuple[str, str]]:
        for text in self._texts(pattern):
            for line in text.splitlines():
                name, _, value = line.partition(":")
                yield name.strip(), value.strip()

    def _numbers(self, pattern: str) -> list[float]:
        values = map(_number, self._texts(pattern))
        return [value for value in values if value is not None]

    def _texts(self, pattern: str) -> Iterator[str]:
        """The contents of the files of that pattern, none of them empty."""
        for path in sorted(self._root.glob(pattern)):
            try:
                if text := path.read_text(errors="replace").strip():
                    yield text
            except OSError:  # a sensor that is there and gives no answer
                continue


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
