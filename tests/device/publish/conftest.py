"""A real broker, and a journal to write."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mqtt_broker import Mosquitto, Subscriber, what_is_missing
from undertone.events import (
    DiskRefused,
    Event,
    Gap,
    SegmentEnded,
    SourceBack,
    SourceLost,
    Started,
    Stopped,
    Verdict,
    moment,
)
from undertone.journal.limits import JournalLimits
from undertone.journal.writer import JournalWriter

NOON_S = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
PATIENCE_S = 60.0


class Journal:
    """A journal that is written at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = JournalWriter(folder, JournalLimits(flush_s=0), zone=UTC)

    def write(self, *events: Event) -> None:
        for event in events:
            self._writer.write(event)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def started(source: str = "USB", at_s: float = 0.0) -> Started:
    return Started(moment(NOON_S + at_s), source, "m", "0" * 64, "0.2")


def segment(label: str = "angry", confidence: float = 0.75, at_s: float = 0.0) -> SegmentEnded:
    verdict = Verdict.of({label: confidence, "calm": 1 - confidence})
    return SegmentEnded.of(NOON_S + at_s, 1.0, -20.0, verdict, "m", "0" * 64)


def lost(source: str = "USB") -> SourceLost:
    return SourceLost(moment(NOON_S), source, "its stream ended")


def back(source: str = "USB") -> SourceBack:
    return SourceBack(moment(NOON_S), source, 3.0)


def stopped() -> Stopped:
    return Stopped(moment(NOON_S), "interrupted", 1.0, 0)


def refused() -> DiskRefused:
    return DiskRefused(moment(NOON_S), 1.0, "no space")


def gap(number: int) -> Gap:
    """An event that its number tells from all others."""
    return Gap(moment(NOON_S + number / 1000), number, "test")


@contextmanager
def running(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run a publisher on a thread until the end of the block, in which it must not fail."""
    stop, errors = threading.Event(), []

    def guarded() -> None:
        try:
            work(stop)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert errors == []


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is read, and a lost broker tried again, ten times as often as in use."""
    for constant in ("delivery._POLL_S", "mqtt._POLL_S", "mqtt._FIRST_DELAY_S"):
        monkeypatch.setattr(f"undertone.publish.{constant}", 0.1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal")
    yield journal
    journal.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if missing := what_is_missing():
        pytest.skip(missing)
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def subscriber(broker: Mosquitto) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()
