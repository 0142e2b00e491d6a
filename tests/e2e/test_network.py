"""``undertone listen`` to a real server of sound whose address has a password."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream_servers import Radio
from undertone.audio.files import read_blocks
from undertone.samples import clips

pytest.importorskip("av", reason="no PyAV: pip install -e '.[formats]'")

LIMIT_S = 120
SECRET = "hunter2"


class Listening:
    """A program that listens to what the variable says, and its journal."""

    def __init__(self, source: str, journal: Path) -> None:
        self.journal = journal
        self.process = subprocess.Popen(
            [sys.executable, "-m", "undertone.cli", "listen", "--journal-flush-s", "0"],
            env=os.environ | {"UNDERTONE_SOURCE": source, "UNDERTONE_JOURNAL": str(journal)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The journal's first event of that kind, waited for."""
        while self.process.poll() is None:
            for path in self.journal.glob("*.jsonl"):
                for event in map(json.loads, path.read_text().splitlines()):
                    if event["event"] == kind:
                        return dict(event)
            time.sleep(0.02)
        raise AssertionError(f"it ended before any {kind}: {self.process.communicate()}")

    def end(self) -> str:
        """All that it printed and wrote; it must end well."""
        self.process.send_signal(signal.SIGINT)
        output, complaints = self.process.communicate()
        assert self.process.returncode == 0, complaints
        return output + complaints + "".join(p.read_text() for p in self.journal.glob("*.jsonl"))


@pytest.fixture
def radio() -> Iterator[Radio]:
    """Sends the recordings one after another, and then nothing."""
    sound = np.concatenate([block.samples for path in clips() for block in read_blocks(path)])
    file = io.BytesIO()
    soundfile.write(file, sound, 16_000, format="OGG", subtype="VORBIS")
    data = file.getvalue()
    with Radio(data, bytes_per_s=1.5 * len(data) / len(sound) * 16_000, login=f"me:{SECRET}") as it:
        yield it


def test_a_stream_is_classified_lost_and_found_again_without_showing_its_password(
    radio: Radio, tmp_path: Path
) -> None:
    listening = Listening(
        radio.url(login=f"me:{SECRET}@") + f"?token={SECRET}", tmp_path / "journal"
    )
    limit = threading.Timer(LIMIT_S, listening.process.kill)
    limit.start()
    try:
        start = listening.wait_for("start")
        segment = listening.wait_for("segment")
        radio.kill()
        lost = listening.wait_for("source-lost")
        radio.start()
        back = listening.wait_for("source-back")
        everything = listening.end()
    finally:
        limit.cancel()
        listening.process.kill()
    assert start["source"] == lost["source"] == back["source"] == radio.url()
    assert lost["reason"] == "its stream ended"
    assert start["time"] < segment["time"] <= lost["time"] < back["time"]
    assert back["missed_s"] > 0
    assert SECRET not in everything


def test_a_wrong_password_ends_it_with_one_sentence(radio: Radio, tmp_path: Path) -> None:
    listening = Listening(radio.url(login=f"me:{SECRET}-no@"), tmp_path / "journal")
    output, complaints = listening.process.communicate(timeout=LIMIT_S)
    assert listening.process.returncode == 1
    assert complaints.startswith(f"undertone: {radio.url()} can't be listened to: its server ref")
    assert SECRET not in output + complaints
    assert not (tmp_path / "journal").exists()
