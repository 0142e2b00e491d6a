"""What the journal of a real ``undertone listen`` holds when something goes wrong on the way."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import soundfile

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.samples import clips

LIMIT_S = 120


def spoken(pause_s: float = 2.0) -> bytes:
    """One clip as a pipe gives it, and quiet that ends its segment."""
    samples, _ = soundfile.read(clips()[4], dtype="int16")
    sound: bytes = samples.tobytes()
    return sound + bytes(2 * round(pause_s * SAMPLE_RATE_HZ))


class Listening:
    """``undertone listen``, by default to a pipe that stays open."""

    def __init__(
        self, journal: Path, *options: str, source: str = "-", around: tuple[str, ...] = ()
    ) -> None:
        self.journal = journal
        self.process = subprocess.Popen(
            [
                *(*around, sys.executable, "-m", "undertone.cli", "listen", "--source", source),
                *("--journal", str(journal), *options),
            ],
            env=os.environ | {"TZ": "UTC", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._limit = threading.Timer(LIMIT_S, self.process.kill)
        self._limit.start()

    def close(self) -> None:
        self._limit.cancel()
        self.process.kill()
        self.process.communicate()

    def feed(self, sound: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(sound)
        self.process.stdin.flush()

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended; return its exit status and its stderr."""
        _, told = self.process.communicate()
        return self.process.returncode, told.decode()

    def events(self) -> list[dict[str, Any]]:
        try:
            files = sorted(self.journal.glob("*.jsonl"))
            content = "".join(path.read_text() for path in files)
        except FileNotFoundError:  # deleted in between
            return []
        return [json.loads(line) for line in content.splitlines(keepends=True) if line[-1] == "\n"]

    def kinds(self) -> list[str]:
        return [event["event"] for event in self.events()]

    def wait_for(self, *kinds: str) -> None:
        """Wait until these, and nothing else, stand in the journal."""
        while self.process.poll() is None:
            if self.kinds() == list(kinds):
                return
            time.sleep(0.02)
        raise AssertionError(f"in the journal: {self.kinds()}; {self.ended()}")


Listen = Callable[..., Listening]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


@pytest.fixture
def listen(journal: Path) -> Iterator[Listen]:
    started = []

    def listen(*options: str, **others: Any) -> Listening:
        started.append(Listening(journal, *options, **others))
        return started[-1]

    yield listen
    for one in started:
        one.close()


def test_a_pipe_that_stands_still_keeps_no_event_from_the_disk(listen: Listen) -> None:
    listening = listen("--journal-flush-s", "0.5")
    listening.feed(spoken())
    listening.wait_for("start", "segment")  # although no sound comes any more
    listening.process.kill()
    assert listening.kinds() == ["start", "segment"]


def test_a_folder_that_is_deleted_is_made_and_locked_again(listen: Listen, journal: Path) -> None:
    listening = listen("--journal-flush-s", "0")
    listening.feed(spoken())
    listening.wait_for("start", "segment")
    shutil.rmtree(journal.parent)
    listening.feed(spoken())
    listening.wait_for("segment")
    status, told = listen().ended()
    assert status == 1
    assert f"being written by another undertone (process {listening.process.pid})" in told
    listening.process.terminate()
    assert listening.ended() == (0, "")
    assert listening.kinds() == ["segment", "stop"]


def test_a_folder_that_was_replaced_is_written_by_who_locks_it_first(
    listen: Listen, journal: Path
) -> None:
    first = listen("--journal-flush-s", "0")
    first.feed(spoken())
    first.wait_for("start", "segment")
    journal.rename(journal.with_name("moved"))
    journal.mkdir()
    second = listen("--journal-flush-s", "0")
    second.feed(bytes(SAMPLE_RATE_HZ))
    second.wait_for("start")
    first.feed(spoken())
    assert first.process.stderr
    complaint = first.process.stderr.readline().decode()
    assert f"being written by another undertone (process {second.process.pid})" in complaint
    assert second.kinds() == ["start"]
    second.process.terminate()
    assert second.ended()[0] == 0
    first.wait_for("start", "stop", "disk-refused", "segment")
    first.process.terminate()
    assert first.ended()[0] == 0


def test_events_that_are_lost_at_the_end_are_a_failure(listen: Listen, journal: Path) -> None:
    listening = listen("--journal-flush-s", "0")
    listening.feed(spoken())
    listening.wait_for("start", "segment")
    shutil.rmtree(journal)
    journal.write_text("a file is in its place")
    listening.process.terminate()
    status, told = listening.ended()
    assert status == 1
    assert "the last event is lost" in told


def test_events_that_find_no_inode_are_a_failure(listen: Listen, journal: Path) -> None:
    journal.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", str(journal)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        listening = listen()
        listening.feed(spoken())
        assert listening.process.stdin
        listening.process.stdin.close()
        listening.process.stdin = None
        status, told = listening.ended()
    finally:
        subprocess.run(["umount", journal], check=True)
    assert status == 1
    assert "No space left on device: the last 3 events are lost" in told


@pytest.mark.parametrize("pause_ms", [0, 1, 2, 4, 8])
def test_ctrl_c_again_and_again_ends_it_once_and_loses_nothing(
    listen: Listen, pause_ms: int
) -> None:
    listening = listen("--journal-flush-s", "60")
    listening.feed(spoken() + spoken(0))  # ends in the middle of a segment
    assert listening.process.stdout
    listening.process.stdout.readline()  # the first segment
    for _ in range(8):
        listening.process.send_signal(signal.SIGINT)
        time.sleep(pause_ms / 1000)
    assert listening.ended() == (0, "")
    first, *segments, last = listening.events()
    assert (first["event"], last["event"]) == ("start", "stop")
    assert len(segments) == last["segments"] > 0


@pytest.mark.skipif(not shutil.which("faketime"), reason="faketime is not installed")
def test_a_clock_that_is_years_ahead_removes_no_day(listen: Listen, journal: Path) -> None:
    journal.mkdir(parents=True)
    days = [date.today() - timedelta(days=number) for number in range(1, 6)]
    for day in days:
        (journal / f"{day}.jsonl").write_text("")
    clip = str(clips()[4])
    wrong = [("faketime", "-f", f"@2045-01-0{day} 12:00:00") for day in (1, 2)]
    for around in [*wrong, (), *wrong, ()]:
        assert listen("--fast", source=clip, around=around).ended() == (0, "")
    kept = {path.stem for path in journal.glob("*.jsonl")}
    assert kept == {*map(str, days), str(date.today()), "2045-01-01", "2045-01-02"}
