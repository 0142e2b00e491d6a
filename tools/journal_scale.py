"""Measure ``undertone journal summary`` on a journal of ten million events.

``make journal-scale`` runs it.  The journal has real lines in files of 50 MB, each with the stored
summary that the writer makes when it closes a file; the last one is still open.  Prints one JSON
object, and writes it to the file ``--output``.
"""

import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pages import parser_with_output, print_figures
from undertone.emotions import EMOTIONS
from undertone.events import SegmentEnded, Verdict
from undertone.journal import summary_cache
from undertone.journal.files import JournalFile
from undertone.journal.format import to_line
from undertone.journal.limits import JournalLimits

FIRST_DAY = date(2026, 1, 1)
EVENTS_A_DAY = 100_000
_MB = 2**20

MEASURED = """
import re, sys, time
from pathlib import Path
from undertone import cli
cli.run(cli.undertone, "undertone", sys.argv[1:])
peak_kb = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]
print(time.process_time(), peak_kb, file=sys.stderr)
"""
"""The program, which prints what it used at its end; getrusage would count its parent's memory."""


def lines_of(day: date) -> Iterator[bytes]:
    """Segments of one day, one every 0.86 s: real lines, of which only the times differ."""
    chance = random.Random(day.toordinal())
    begin_s = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    stamp = f"{day.isoformat()}T00:00:00.000+00:00"
    kinds = []
    for label in EMOTIONS:
        shares = {other: (0.65 if other == label else 0.05) for other in EMOTIONS}
        verdict = Verdict.of(shares)
        event = SegmentEnded.of(begin_s, 0.0, -30.0, verdict, "ravdess8-compact", "0" * 64)
        kinds.append(to_line(event).replace(stamp, "{stamp}").split("{stamp}"))
    for number in range(EVENTS_A_DAY):
        time_of_day = timedelta(milliseconds=number * 86_400_000 // EVENTS_A_DAY)
        now = (datetime(day.year, day.month, day.day) + time_of_day).isoformat(
            timespec="milliseconds"
        )
        yield f"{now}+00:00".join(chance.choice(kinds)).encode() + b"\n"


def write(folder: Path, events: int) -> int:
    """A journal of that many events; its size in bytes."""
    size = 0
    closed: Path | None = None
    for number in range(-(-events // EVENTS_A_DAY)):
        day = FIRST_DAY + timedelta(days=number)
        content = b"".join(lines_of(day))
        limit = int(JournalLimits.max_mb * _MB)
        start = part = 0
        while start < len(content):
            end = len(content)
            if end - start > limit:
                end = content.rindex(b"\n", start, start + limit) + 1
            if closed:
                summary_cache.store(closed)
            closed = JournalFile.at(folder, day, part).path
            closed.write_bytes(content[start:end])
            start, part = end, part + 1
        size += len(content)
    return size


def measure(folder: Path) -> dict[str, Any]:
    """Seconds and peak memory of ``undertone journal summary`` on ``folder``."""
    began = time.monotonic()
    command = [sys.executable, "-c", MEASURED, "journal", "summary", "--journal", str(folder)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    processor_s, peak_kb = done.stderr.split()
    return {
        "wall_s": round(time.monotonic() - began, 2),
        "processor_s": round(float(processor_s), 2),
        "peak_memory_mb": round(int(peak_kb) / 1024, 1),
        "output": done.stdout.splitlines()[0],
    }


def main() -> None:
    """Write, measure, and measure again without the stored summaries."""
    parser = parser_with_output(__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="undertone-journal-"))
    try:
        size = write(folder, wanted.events)
        figures = {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "events": wanted.events,
            "size_mb": round(size / _MB),
            "files": len(list(folder.glob("*.jsonl"))),
            "summary": measure(folder),
        }
        for stored in folder.glob(".*.summary"):
            stored.unlink()
        figures["summary_without_stored_ones"] = measure(folder)
    finally:
        shutil.rmtree(folder)
    print_figures(figures, wanted.output)


if __name__ == "__main__":
    main()
