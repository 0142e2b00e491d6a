"""The broker, and then the program, killed with -9 under a journal that is being written.

No event is lost, and none comes twice but the one that was on its way at a kill, with the same
``id``.  ``UNDERTONE_ATTACKS`` says how often; ``make attack`` does it 50 times.
"""

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest

from mqtt_broker import Gate, Mosquitto, Received, Subscriber, what_is_missing
from undertone.events import Gap, moment
from undertone.journal import JournalLimits, JournalWriter

KILLS = min(50, int(os.environ.get("UNDERTONE_ATTACKS", "3")))
PAUSE_S = 0.005
TOPIC = "undertone/test"
BEGIN_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


class Journal(threading.Thread):
    """A journal to which an event is written every few milliseconds, in several files."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._ending = threading.Event()
        self._writer = JournalWriter(folder, JournalLimits(flush_s=0, max_mb=0.01), zone=UTC)
        self.count = 0

    def run(self) -> None:
        while not self._ending.wait(PAUSE_S):
            self._writer.write(Gap(moment(BEGIN_S + self.count), self.count, "test"))
            self._writer.flush()
            self.count += 1
        self._writer.close()

    def end(self) -> None:
        self._ending.set()
        self.join()


@contextmanager
def publishing(url: str, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The program, until it is killed here or there."""
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "undertone.cli", "publish", "--mqtt", url),
            *("--journal", str(folder / "journal"), "--mqtt-topic", TOPIC),
        ],
        env=os.environ | {"UNDERTONE_STATE": str(folder / "state")},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield program
    finally:
        program.kill()
        program.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if missing := what_is_missing():
        pytest.skip(missing)
    with Mosquitto(tmp_path) as broker:
        yield broker


def events(messages: Sequence[Received]) -> list[dict[str, Any]]:
    return [json.loads(m.payload) for m in messages if m.topic.endswith("/gap")]


def compare(found: list[dict[str, Any]], count: int) -> int:
    """All events of the journal are there in order; how many came twice, one after the other."""
    once = [next(same) for _, same in groupby(found, key=lambda event: event["id"])]
    assert [event["lost_samples"] for event in once] == list(range(count))
    return len(found) - len(once)


def test_no_kill_of_the_broker_loses_or_reorders_an_event(
    broker: Mosquitto, tmp_path: Path
) -> None:
    chance = random.Random(19)
    gate = Gate(broker.port)
    subscriber = Subscriber(broker.port)
    journal = Journal(tmp_path / "journal")
    got: list[Received] = []
    with publishing(gate.url, tmp_path):
        subscriber.wait_until_online(TOPIC)
        journal.start()
        for _ in range(KILLS):
            more = chance.randint(1, 100)
            subscriber.wait_for(lambda found: len(events(found)) >= more)  # noqa: B023
            broker.kill()
            gate.shut()
            got += subscriber.end()
            broker.start()
            subscriber = Subscriber(broker.port)  # nothing may pass before somebody listens
            gate.open()
        journal.end()
        last = journal.count - 1
        subscriber.wait_for(lambda found: [e["lost_samples"] for e in events(found)][-1:] == [last])
    got += subscriber.messages
    subscriber.close()
    gate.close()
    doubled = compare(events(got), journal.count)
    assert doubled <= KILLS
    sys.stdout.write(f"\n{KILLS} kills, {journal.count} events, 0 lost, {doubled} came twice\n")


def test_no_kill_of_the_program_loses_an_event(broker: Mosquitto, tmp_path: Path) -> None:
    chance = random.Random(20)
    subscriber = Subscriber(broker.port)
    journal = Journal(tmp_path / "journal")
    with publishing(broker.url, tmp_path):
        subscriber.wait_until_online(TOPIC)
        journal.start()
        subscriber.wait_for(lambda found: len(events(found)) > 1)
    for _ in range(KILLS):
        with publishing(broker.url, tmp_path):
            more = len(events(subscriber.messages)) + chance.randint(1, 150)
            subscriber.wait_for(lambda found: len(events(found)) >= more)  # noqa: B023
    with publishing(broker.url, tmp_path):
        journal.end()
        last = journal.count - 1
        subscriber.wait_for(lambda found: [e["lost_samples"] for e in events(found)][-1:] == [last])
    subscriber.close()
    found = events(subscriber.messages)
    first_time = {event["id"]: event["lost_samples"] for event in found}
    assert list(first_time.values()) == list(range(journal.count))
    # after a kill it goes on at most one batch further back, and from there in order
    steps = [after["lost_samples"] - before["lost_samples"] for before, after in pairwise(found)]
    back = [step for step in steps if step != 1]
    assert len(back) <= KILLS + 1
    assert all(-20 <= step <= 0 for step in back)
    doubled = len(found) - journal.count
    sys.stdout.write(f"\n{KILLS} kills, {journal.count} events, 0 lost, {doubled} came twice\n")
