"""The machine that is measured; a missing sensor gives None, never an error."""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from undertone.bench.result import Machine, State
from undertone.diagnostics.machine_state import Run, processor, run, throttling


class Sensors:
    """Reads a machine's state from ``/proc``, ``/sys`` and the Pi's ``vcgencmd``."""

    def __init__(self, root: Path = Path("/"), run: Run = run) -> None:
        """``root``: the folder that contains ``proc`` and ``sys``."""
        self._root = root
        self._run = run

    def state(self) -> State:
        """The machine's state now."""
        power = throttling(self._run)
        return State(
            frequency_mhz=self._frequency_mhz(),
            temperature_c=self._temperature_c(),
            throttled=power.now if power else None,
            load=round(os.getloadavg()[0], 2),
        )

    def machine(self, before: State) -> Machine:
        """The machine after the measurements; ``before``: its state before them."""
        power = throttling(self._run)
        governors = sorted(
            {*self._texts("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")}
        )
        return Machine(
            processor=processor(self._root),
            architecture=platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
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
        listed = "".join(self._texts("proc/cpuinfo"))
        found = re.findall(r"^cpu MHz\s*: *([\d.]+)$", listed, re.MULTILINE)
        return max(map(float, found), default=None)

    def _temperature_c(self) -> float | None:
        zones = self._numbers("sys/class/thermal/thermal_zone*/temp")
        if degrees := [value / 1000 for value in zones]:
            return round(max(degrees), 1)
        output = (self._run(["vcgencmd", "measure_temp"]) or "").strip()
        return _number(output.removeprefix("temp=").removesuffix("'C"))

    def _numbers(self, pattern: str) -> list[float]:
        values = map(_number, self._texts(pattern))
        return [value for value in values if value is not None]

    def _texts(self, pattern: str) -> Iterator[str]:
        """The contents of the files that match, except empty ones."""
        for path in sorted(self._root.glob(pattern)):
            try:
                if text := path.read_text(errors="replace").strip():
                    yield text
            except OSError:  # a sensor that exists but can't be read
                continue


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
