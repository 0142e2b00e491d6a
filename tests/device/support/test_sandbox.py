"""A crash in a child process is survived and reported by its parent."""

import ctypes
import os
import signal
from pathlib import Path

import pytest

from undertone.support import sandbox
from undertone.support.sandbox import crash_of


def hang():
    while True:
        pass


def fail():
    raise ValueError("told by whoever calls it again")


def grow():
    return [bytearray(2**20) for _ in range(2**20)]


@pytest.mark.parametrize("task", [lambda: None, fail, grow])
def test_what_comes_back_or_raises_is_not_deadly(task):
    assert crash_of(task) is None


def test_a_crash_is_reported():
    assert crash_of(lambda: ctypes.string_at(0)) == signal.strsignal(signal.SIGSEGV)
    assert crash_of(os.abort) == signal.strsignal(signal.SIGABRT)
    assert crash_of(lambda: os._exit(3)) == "exit status 3"


def test_what_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 0)
    assert crash_of(hang) == "it does not come to an end"
    assert crash_of(signal.pause) == "it does not come to an end"


def test_the_child_takes_no_more_than_its_memory(monkeypatch):
    monkeypatch.setattr(sandbox, "MEMORY_BYTES", 16 * 2**20)
    enough, too_much = (
        (lambda: os._exit(len(bytearray(2**20)) % 2)),
        (lambda: os._exit(bool(bytearray(64 * 2**20)))),
    )
    assert crash_of(enough) is None
    assert crash_of(too_much) is None  # a MemoryError, where it would have been exit status 1


def descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def children():
    """Processes that are this one's, zombies too."""
    tasks = Path("/proc/self/task").glob("*/children")
    return sorted(number for task in tasks for number in task.read_text().split())


def test_the_child_prints_nothing_and_leaves_nothing(capfd):
    before = descriptors(), children()
    assert crash_of(lambda: os.write(1, b"out") and os.write(2, b"err")) is None
    assert capfd.readouterr() == ("", "")
    assert (descriptors(), children()) == before
