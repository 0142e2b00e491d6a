"""Measure what ``undertone publish`` costs: a day of 10,000 events at once, waiting, and kills.

``make publish-cost`` runs it.  The journal has real lines, the broker is a Mosquitto of its own,
which is killed and started again, as is the program then.  Prints one JSON object, and writes it to
the file ``--output``.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from journal_scale import lines_of
from mqtt_broker import Mosquitto, Subscriber
from pages import parser_with_output, print_figures
from publish_kills import kill_broker, kill_program
from undertone.bench.machine import Sensors
from undertone.bench.memory import status_bytes
from undertone.bench.process import processor_s
from undertone.events import Started, moment
from undertone.journal.format import to_line

TOPIC = "undertone/cost"
DAY = date(2026, 11, 21)
RULE = """
[[alert]]
name = "argument"
when = "emotion"
emotion = "angry"
times = 1000
within = "1m"
"""


def measure(folder: Path, events: int, idle_s: float) -> dict[str, float]:
    """Run the program on a journal to which ``events`` are added, and then let it wait."""
    (folder / "config.toml").write_text(RULE)
    path = folder / "journal" / f"{DAY}.jsonl"
    path.parent.mkdir()
    began = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp()
    path.write_text(to_line(Started(moment(began), "USB", "m", "0" * 64, "1")) + "\n")
    broker = Mosquitto(folder)
    broker.start()
    subscriber = Subscriber(broker.port, f"{TOPIC}/#")
    environment = {
        "UNDERTONE_STATE": str(folder / "state"),
        "UNDERTONE_CONFIG": str(folder / "config.toml"),
        "UNDERTONE_WEBHOOK_URL": "http://127.0.0.1:9/",
    }
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "undertone.cli", "publish", "--mqtt", broker.url),
            *("--journal", str(path.parent), "--mqtt-topic", TOPIC),
        ],
        env=os.environ | environment,
    )
    try:
        subscriber.wait_until_online(TOPIC)
        at_start_s = processor_s(program.pid)
        with path.open("ab") as file:
            file.writelines(line for line, _ in zip(lines_of(DAY), range(events), strict=False))
        began_s = time.monotonic()
        subscriber.wait_for(lambda got: sum(m.topic.endswith("/segment") for m in got) == events)
        wall_s = time.monotonic() - began_s
        time.sleep(5)  # the cursor, and the alerts' way through the same events
        caught_up_s = processor_s(program.pid)
        time.sleep(idle_s)
        idle_used_s = processor_s(program.pid)
        resident_mb = status_bytes("VmRSS", program.pid) / 2**20
    finally:
        program.terminate()
        program.wait()
        broker.kill()
    return {
        "events": events,
        "cpu_start_s": round(at_start_s, 2),
        "cpu_events_s": round(caught_up_s - at_start_s, 2),
        "wall_events_s": round(wall_s, 2),
        "idle_s": idle_s,
        "idle_cpu_percent": round(100 * (idle_used_s - caught_up_s) / idle_s, 3),
        "resident_mb": round(resident_mb, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = parser_with_output(__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=120, help="seconds of waiting")
    parser.add_argument("--kills", type=int, default=50, help="of the broker and of the program")
    arguments = parser.parse_args()
    sensors = Sensors()
    before = sensors.state()
    figures: dict[str, Any] = {}
    with temporary() as folder:
        figures["cost"] = measure(folder, arguments.events, arguments.idle)
    for name, kill in (("broker", kill_broker), ("program", kill_program)):
        with temporary() as folder:
            figures[name] = kill(folder, arguments.kills).figures()
    machine = sensors.machine(before)
    figures["machine"] = {"processor": machine.processor, "load_before": before.load}
    print_figures(figures, arguments.output)


@contextmanager
def temporary() -> Iterator[Path]:
    """A new folder, which is deleted at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
