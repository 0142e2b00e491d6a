"""The tables of docs/arm.md, from the counts of ``make arm`` in docs/arm.json."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pages import rewritten, table

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs/arm.json"
PAGE = ROOT / "docs/arm.md"
BEGIN = "<!-- figures: written by tools/arm.py -->"

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Core:
    """A processor core; its key in CORES is qemu's name for it.

    instructions_per_cycle: assumed, from low to high; docs/arm.md explains why.
    part, features: as in Linux's /proc/cpuinfo.
    """

    name: str
    instructions_per_cycle: Range
    part: str
    features: str


_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
_ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
CORES = {
    "cortex-a53": Core("Cortex-A53", (0.4, 1.0), "0xd03", _ARMV8_0),
    "cortex-a72": Core("Cortex-A72", (0.75, 1.5), "0xd08", _ARMV8_0),
    "cortex-a76": Core("Cortex-A76", (1.0, 2.4), "0xd0b", _ARMV8_2),
}


@dataclass(frozen=True, slots=True)
class Board:
    """A Raspberry Pi; clock_ghz: of its slowest and its fastest model."""

    name: str
    core: str
    clock_ghz: Range

    def seconds(self, instructions: float) -> Range:
        """The time of one core for them, at best and at worst."""
        slow, fast = CORES[self.core].instructions_per_cycle
        return (
            instructions / (self.clock_ghz[1] * 1e9 * fast),
            instructions / (self.clock_ghz[0] * 1e9 * slow),
        )


BOARDS = (
    Board("Pi Zero 2 W", "cortex-a53", (1.0, 1.0)),
    Board("Pi 3 B, 3 B+", "cortex-a53", (1.2, 1.4)),
    Board("Pi 4 B", "cortex-a72", (1.5, 1.8)),
    Board("Pi 5", "cortex-a76", (2.4, 2.4)),
)

STAGES = {
    "silence": "a second of silence",
    "speech": "a second of speech",
    "gate": "of it, the speech gate, with MFCC and detector",
    "detector": "of it, the speech detector",
    "mfcc": "MFCC of a window",
    "prepare": "pitch of a window, normalising and quantising it",
    "invoke": "invoking the model on a window",
}
"""The stages of arm_workload.py, as they are called on the page."""


def update(**new: Any) -> None:
    """Add figures to the file, or replace those with the same names."""
    old = json.loads(FIGURES.read_bytes()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(old | new, indent=2) + "\n")


def largest_deviation(some: Mapping[str, Any], others: Mapping[str, Any]) -> float:
    """Largest difference between the probabilities of two golden.json for the same clips."""
    found = [
        abs(share - others[name]["probabilities"][clip][label])
        for name, bundle in some.items()
        for clip, shares in bundle["probabilities"].items()
        for label, share in shares.items()
    ]
    return round(max(found), 6)


def tables(figures: Mapping[str, Any]) -> str:
    """The page's part, without its markers; a step that was not run yet has no table."""
    counts = figures.get("counts", {})
    names = list(next(iter(counts.values()), ()))
    return "\n\n".join(
        [
            *_golden(figures.get("golden_deviation")),
            *_tests(figures.get("tests")),
            *(_counts(name, counts) for name in names),
            *(_estimates(name, counts) for name in names),
        ]
    )


def _golden(deviation: float | None) -> Iterator[str]:
    if deviation is not None:
        yield (
            "Under emulation, the probabilities of the golden outputs deviate by at most "
            f"{deviation:.6f} (the test allows 0.002)."
        )


def _tests(tests: Mapping[str, Any] | None) -> Iterator[str]:
    if tests:
        yield (
            f"{tests['passed']} device tests passed under emulation, {tests['skipped']} were "
            "skipped. Not run:"
        )
        yield "\n".join(f"- `{test}`: {why}" for test, why in tests["left_out"].items())


def _counts(name: str, counts: Mapping[str, Any]) -> str:
    head = [f"{name}: million instructions", *(CORES[core].name for core in counts)]
    rows = (
        [title, *(f"{counts[core][name][stage] / 1e6:,.2f}" for core in counts)]
        for stage, title in STAGES.items()
    )
    return table(head, rows)


def _estimates(name: str, counts: Mapping[str, Any]) -> str:
    head = [f"{name}: **estimate**", "clock", "silence", "speech", "microphones", "MFCC", "invoke"]

    def row(board: Board) -> list[str]:
        spent = {stage: board.seconds(n) for stage, n in counts[board.core][name].items()}
        at_worst, at_best = (int(1 / share) for share in reversed(spent["speech"]))
        clock = "–".join(f"{ghz:g}" for ghz in sorted(set(board.clock_ghz)))
        return [
            f"{board.name} ({CORES[board.core].name})",
            f"{clock} GHz",
            *(_range(spent[stage], 100, "% of a core") for stage in ("silence", "speech")),
            f"{at_worst}–{at_best} per core",
            *(_range(spent[stage], 1000, "ms per window") for stage in ("mfcc", "invoke")),
        ]

    return table(head, map(row, BOARDS))


def _range(values: Range, factor: float, unit: str) -> str:
    return f"{'–'.join(f'{factor * value:.2g}' for value in values)} {unit}"


def current() -> str:
    """The page with the current figures."""
    return rewritten(PAGE.read_text(), BEGIN, tables(json.loads(FIGURES.read_bytes())))


def write_page() -> None:
    """Rewrite docs/arm.md in place."""
    PAGE.write_text(current())
