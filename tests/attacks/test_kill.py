"""``undertone listen`` killed with -9 at any time, over and over, on one journal.

No line is torn, no event stands there twice, and what is lost was heard within ``journal_flush_s``
of the kill.  ``UNDERTONE_ATTACKS`` says how often; ``make attack`` does it 300 times.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import soundfile

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone.events import SegmentEnded, Started
from undertone.journal.format import parse_line
from undertone.journal.reader import JournalReader
from undertone.samples import clips

KILLS = int(os.environ.get("UNDERTONE_ATTACKS", "3"))
FLUSH_S = (0.0, 1.0, 5.0)
SLACK_S = 1.0
"""What a busy machine may take to bring a batch to its disk once it is due."""
PAUSE = bytes(2 * SAMPLE_RATE_HZ)


class Victim:
    """A listening program that gets clips without end, and when it reported each segment."""

    def __init__(self, journal: Path, flush_s: float) -> None:
        self.told_s: list[float] = []
        self.speaks = threading.Event()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "undertone.cli", "listen", "--source", "-"),
                *("--journal", str(journal), "--journal-flush-s", str(flush_s)),
                *("--journal-max-mb", "0.02"),
            ],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._threads = [threading.Thread(target=run) for run in (self._feed, self._read)]
        for thread in self._threads:
            thread.start()

    def _feed(self) -> None:
        sound = [soundfile.read(clip, dtype="int16")[0].tobytes() + PAUSE for clip in clips()]
        assert self.process.stdin
        with suppress(BrokenPipeError):
            while True:
                for clip in sound:
                    rest = memoryview(clip)
                    while rest:
                        rest = rest[self.process.stdin.write(rest) :]

    def _read(self) -> None:
        assert self.process.stdout
        for line in iter(self.process.stdout.readline, b""):
            if line.endswith(b"\n"):
                self.told_s.append(time.monotonic())
                self.speaks.set()
        self.speaks.set()

    def kill(self) -> float:
        """Kill it; when that was."""
        killed_s = time.monotonic()
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        return killed_s


def test_no_kill_tears_or_doubles_a_line_or_takes_more_than_the_last_seconds(
    tmp_path: Path,
) -> None:
    chance = random.Random(15)
    oldest_s, lost, written = 0.0, 0, 0
    before: set[bytes] = set()
    for _ in range(KILLS):
        flush_s = chance.choice(FLUSH_S)
        victim = Victim(tmp_path, flush_s)
        if chance.random() < 0.8:  # else it is killed while it starts
            assert victim.speaks.wait(120)
        time.sleep(chance.uniform(0, flush_s + 1))
        killed_s = victim.kill()

        files = [path.read_bytes() for path in tmp_path.glob("*.jsonl")]
        lines = [line for content in files for line in content.splitlines(keepends=True)]
        assert all(line.endswith(b"\n") and parse_line(line) for line in lines)
        assert len(set(lines)) == len(lines)
        assert before <= set(lines)
        kinds = Counter(type(record) for line in {*lines} - before if (record := parse_line(line)))
        assert kinds[Started] == bool(kinds)
        lost_s = [killed_s - told_s for told_s in victim.told_s[kinds[SegmentEnded] :]]
        assert max(lost_s, default=0) <= flush_s + SLACK_S
        before = set(lines)
        oldest_s = max(oldest_s, *lost_s, 0)
        lost += len(lost_s)
        written += kinds[SegmentEnded]
    totals = JournalReader(tmp_path).summary()
    assert (totals.segments, totals.damaged) == (written, 0)
    sys.stdout.write(
        f"\n{KILLS} kills, {written} segments written, 0 lines torn, 0 doubled; {lost} lost, "
        f"the oldest {oldest_s:.2f} s before its kill\n"
    )
