"""Kills the broker, and then the program, under a journal that is being written."""

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mqtt_broker import Gate, Mosquitto, Received, Subscriber
from undertone.events import Gap, moment
from undertone.journal.limits import JournalLimits
from undertone.journal.writer import JournalWriter

TOPIC = "undertone/kills"
_PAUSE_S = 0.005
_BEGIN_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of so many kills: ``written`` events, and those that arrived, in their order.

    Each of ``arrived`` is the number of an event and the id of its message.
    """

    kills: int
    written: int
    arrived: Sequence[tuple[int, str]]

    def figures(self) -> dict[str, int]:
        """How many events were lost, and how many came again."""
        numbers = [number for number, _ in self.arrived]
        return {
            "kills": self.kills,
            "events": self.written,
            "lost": len({*range(self.written)} - {*numbers}),
            "doubled": len(numbers) - len(set(numbers)),
        }


def kill_broker(folder: Path, kills: int) -> Outcome:
    """Kill the broker at any time and start it again, and so on."""
    chance = random.Random(19)
    with Mosquitto(folder) as broker:
        gate = Gate(broker.port)
        subscriber = Subscriber(broker.port)
        journal = _Journal(folder / "journal")
        got: list[Received] = []
        with _publishing(gate.url, folder):
            subscriber.wait_until_online(TOPIC)
            journal.start()
            for _ in range(kills):
                more = chance.randint(1, 100)
                subscriber.wait_for(lambda found: len(_events(found)) >= more)  # noqa: B023
                broker.kill()
                gate.shut()
                got += subscriber.end()
                broker.start()
                subscriber = Subscriber(broker.port)  # nothing may pass before somebody listens
                gate.open()
            journal.end()
            _wait_for_last(subscriber, journal.count)
        got += subscriber.messages
        subscriber.close()
        gate.close()
    return Outcome(kills, journal.count, _events(got))


def kill_program(folder: Path, kills: int) -> Outcome:
    """Kill the program at any time and start it again, and so on."""
    chance = random.Random(20)
    with Mosquitto(folder) as broker:
        subscriber = Subscriber(broker.port)
        journal = _Journal(folder / "journal")
        with _publishing(broker.url, folder):
            subscriber.wait_until_online(TOPIC)
            journal.start()
            subscriber.wait_for(lambda found: len(_events(found)) > 1)
        for _ in range(kills):
            with _publishing(broker.url, folder):
                more = len(_events(subscriber.messages)) + chance.randint(1, 150)
                subscriber.wait_for(lambda found: len(_events(found)) >= more)  # noqa: B023
        with _publishing(broker.url, folder):
            journal.end()
            _wait_for_last(subscriber, journal.count)
        subscriber.close()
    return Outcome(kills, journal.count, _events(subscriber.messages))


class _Journal(threading.Thread):
    """A journal to which an event is written every few milliseconds, in several files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._ending = threading.Event()
        self._writer = JournalWriter(folder, JournalLimits(flush_s=0, max_mb=0.01), zone=UTC)
        self.count = 0

    def run(self) -> None:
        while not self._ending.wait(_PAUSE_S):
            self._writer.write(Gap(moment(_BEGIN_S + self.count), self.count, "test"))
            self._writer.flush()
            self.count += 1
        self._writer.close()

    def end(self) -> None:
        self._ending.set()
        self.join()


@contextmanager
def _publishing(url: str, folder: Path) -> Iterator[None]:
    """Run the program meanwhile, and kill it."""
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "undertone.cli", "publish", "--mqtt", url),
            *("--journal", str(folder / "journal"), "--mqtt-topic", TOPIC),
        ],
        env=os.environ | {"UNDERTONE_STATE": str(folder / "state")},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        program.kill()
        program.wait()


def _events(messages: Sequence[Received]) -> list[tuple[int, str]]:
    contents: Iterator[Any] = (json.loads(m.payload) for m in messages if m.topic.endswith("/gap"))
    return [(event["lost_samples"], event["id"]) for event in contents]


def _wait_for_last(subscriber: Subscriber, count: int) -> None:
    subscriber.wait_for(lambda found: [number for number, _ in _events(found)][-1:] == [count - 1])
