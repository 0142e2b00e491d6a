"""The listener is stopped (SIGSTOP) while people speak, and goes on later.

Once for three seconds; with UNDERTONE_ATTACKS, as ``make attack`` sets it, three times for thirty.
What was said meanwhile is dated by when it was said, and what is called lost was lost.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile

from undertone.audio.block import BLOCK_LENGTH, SAMPLE_RATE_HZ, Block, Samples
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier
from undertone.recognition.pipeline import Pipeline
from undertone.samples import clips

LONG = "UNDERTONE_ATTACKS" in os.environ
STOPS = 3 if LONG else 1
STOP_S = 30.0 if LONG else 3.0
BETWEEN_S = 10.0 if LONG else 7.0
PATIENCE_S = 60.0
BLOCK_S = BLOCK_LENGTH / SAMPLE_RATE_HZ

TIME_S = 0.2
"""So far may a time be off."""

LOST_S = 0.5
"""So far may the seconds that are called lost be off."""

TAIL_S = 0.7
"""Sound that nobody has taken yet when the listening ends: while nobody speaks, it rests 0.5 s."""

Speech = tuple[float, float]
"""When a segment began and ended."""


class VirtualMicrophone(Protocol):
    env: dict[str, str]


def spoken() -> Samples:
    """Clips with pauses between them, in a room that is never digitally silent; long enough."""
    length = round((STOPS * (STOP_S + BETWEEN_S) + 2 * BETWEEN_S) * SAMPLE_RATE_HZ)
    parts: list[Samples] = []
    while sum(map(len, parts)) < length:
        samples, _ = soundfile.read(clips()[len(parts) % len(clips())], dtype="int16")
        parts.append(np.concatenate([samples, np.zeros(SAMPLE_RATE_HZ // 2, np.int16)]))
    sound = np.concatenate(parts)
    room: Samples = np.rint(np.random.default_rng(5).normal(0, 6, len(sound))).astype(np.int16)
    return sound + room


def speech_in(runs: Iterable[Sequence[Block]]) -> list[Speech]:
    """The segments of sound with a hole between one run of blocks and the next."""
    pipeline = Pipeline(Classifier(bundle.load()))
    found = []
    for run in runs:
        found += [one for block in run for one in pipeline.process(block)]
        found += pipeline.flush()
    return [(one.time_s, one.time_s + one.duration_s) for one in found]


class Listening:
    """``undertone listen`` with a journal of its own, written at once."""

    def __init__(self, source: str, folder: Path, **options: Any) -> None:
        self._journal = folder / "journal"
        command = [sys.executable, "-m", "undertone.cli", "listen", "--source", source]
        command += ["--journal", str(self._journal), "--journal-flush-s", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        lines = "".join(path.read_text() for path in sorted(self._journal.glob("*.jsonl")))
        events = [json.loads(line) for line in lines.splitlines()]
        return [event for event in events if event["event"] in kinds]

    def wait_for(self, kind: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self.events(kind):
            assert self.process.poll() is None
            assert time.monotonic() < deadline, f"no {kind}"
            time.sleep(0.05)

    def attack(self) -> None:
        """Stop it and let it go on, as often and as long as it should be."""
        for _ in range(STOPS):
            time.sleep(BETWEEN_S)
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(STOP_S)
            self.process.send_signal(signal.SIGCONT)
        time.sleep(BETWEEN_S)

    def speech(self) -> list[Speech]:
        return [
            (seconds(event["start"]), seconds(event["start"]) + event["duration_s"])
            for event in self.events("segment")
        ]

    def lost_s(self) -> float:
        gaps = sum(event["lost_samples"] for event in self.events("gap")) / SAMPLE_RATE_HZ
        return gaps + sum(event["missed_s"] for event in self.events("source-back"))

    def unaccounted_s(self) -> float:
        """Of the time between start and stop, what was neither listened to nor called lost."""
        (start,), (stop,) = self.events("start"), self.events("stop")
        passed_s = seconds(stop["time"]) - seconds(start["time"])
        return passed_s - stop["listened_s"] - self.lost_s()


@contextmanager
def ended(*processes: "subprocess.Popen[Any]") -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.kill()  # a stopped one as well
            process.wait()


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def compare(heard: list[Speech], said: list[Speech], holes: Sequence[Speech] = ()) -> None:
    """Each segment is the other list's at the same time, but for those that a hole cuts."""

    def whole(speech: Speech) -> bool:
        return not any(
            speech[0] < end_s + 1 and speech[1] > start_s - 1 for start_s, end_s in holes
        )

    heard, said = list(filter(whole, heard)), list(filter(whole, said))
    assert len(said) >= 3
    off = [one[0] - other[0] for one, other in zip(heard, said, strict=True)]
    sys.stdout.write(f"{len(said)} segments, at most {max(map(abs, off)):.3f} s off\n")
    assert max(map(abs, off)) < TIME_S


@pytest.mark.microphone
def test_a_stopped_listener_on_a_microphone(
    virtual_microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "spoken.wav", spoken(), SAMPLE_RATE_HZ)
    env = virtual_microphone.env
    listening = Listening("mic", tmp_path, env=env)
    record = ["parec", "--raw", f"--rate={SAMPLE_RATE_HZ}", "--channels=1", "--format=s16le"]
    with ended(listening.process), (tmp_path / "recorded.pcm").open("wb") as file:
        listening.wait_for("start")
        began_s = time.time()
        recorder = subprocess.Popen([*record, "--latency-msec=50"], env=env, stdout=file)
        player = subprocess.Popen(["paplay", tmp_path / "spoken.wav"], env=env)
        with ended(player, recorder):
            listening.attack()
            player.kill()
            time.sleep(3.0)  # a pause ends the last segment
        listening.process.send_signal(signal.SIGINT)
        assert listening.process.wait(PATIENCE_S) == 0
    recorded = np.frombuffer((tmp_path / "recorded.pcm").read_bytes(), "<i2")
    said = speech_in([blocks(recorded, 0.0)])
    heard = listening.speech()
    recording_began_s = heard[0][0] - said[0][0]
    assert recording_began_s == pytest.approx(began_s, abs=5.0)  # as fast as parec starts
    compare(heard, [tuple(at_s + recording_began_s for at_s in speech) for speech in said])
    # the sound server kept all of the speech
    sys.stdout.write(
        f"{listening.lost_s():.3f} s called lost, {listening.unaccounted_s():.3f} s unaccounted\n"
    )
    assert listening.lost_s() < LOST_S
    assert -LOST_S < listening.unaccounted_s() < LOST_S + TAIL_S


def blocks(samples: Samples, begin_s: float) -> list[Block]:
    return [
        Block(samples[at : at + BLOCK_LENGTH], begin_s + at / SAMPLE_RATE_HZ)
        for at in range(0, len(samples), BLOCK_LENGTH)
    ]


class Feeder(threading.Thread):
    """A live program in front of a pipe: what the pipe can't take is lost."""

    def __init__(self, descriptor: int, sound: Samples) -> None:
        super().__init__(daemon=True)
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._sound = sound
        self.ending = threading.Event()
        self.runs: list[list[Block]] = [[]]
        """What the pipe took, with a hole between one run and the next."""

    def run(self) -> None:
        begin_s, steady_s = time.time(), time.monotonic()
        for number, block in enumerate(blocks(self._sound, begin_s), 1):
            if self.ending.wait(max(0.0, steady_s + number * BLOCK_S - time.monotonic())):
                return
            try:
                os.write(self._descriptor, block.samples.tobytes())  # less than PIPE_BUF: or none
                self.runs[-1].append(block)
            except BlockingIOError:
                if self.runs[-1]:
                    self.runs.append([])

    def holes(self) -> list[Speech]:
        runs = [run for run in self.runs if run]
        return [(before[-1].time_s + BLOCK_S, after[0].time_s) for before, after in pairwise(runs)]


def test_a_stopped_listener_on_a_pipe(tmp_path: Path) -> None:
    listening = Listening("-", tmp_path, stdin=subprocess.PIPE)
    with ended(listening.process):
        assert listening.process.stdin
        feeder = Feeder(listening.process.stdin.fileno(), spoken())
        listening.wait_for("start")
        feeder.start()
        listening.attack()
        feeder.ending.set()
        feeder.join()
        listening.process.stdin.close()
        assert listening.process.wait(PATIENCE_S) == 0
    holes = feeder.holes()
    lost_s = sum(end_s - start_s for start_s, end_s in holes)
    sys.stdout.write(f"{listening.lost_s():.3f} s called lost of {lost_s:.3f} s\n")
    assert listening.lost_s() == pytest.approx(lost_s, abs=LOST_S)
    assert lost_s > STOPS * (STOP_S - 2.5)
    reported = [seconds(gap["time"]) for gap in listening.events("gap")]
    assert reported == pytest.approx([start_s for start_s, _ in holes], abs=TIME_S)
    compare(listening.speech(), speech_in(feeder.runs), holes)
