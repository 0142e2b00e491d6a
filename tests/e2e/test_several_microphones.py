"""Several microphones of a real PulseAudio server in one program."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import growth
from undertone.audio.files import read_blocks
from undertone.samples import clips
from virtual_microphone import VirtualMicrophone

pytestmark = pytest.mark.microphone

LIMIT_S = 120.0
MOST_BYTES = 110e6
"""Of four microphones, whatever processes it takes."""

RECORDER = """
import sys, threading
from pathlib import Path
from undertone.audio.block import Block
from undertone.events import CaughtUp, Idle
from undertone.sources import LiveSource, open_several

sources = open_several([LiveSource(name) for name in sys.argv[2:]])
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
files = {name: open(Path(sys.argv[1], name), "wb", buffering=0) for name in sources.names}
hearing = set()
for name, item in sources.items:
    if ended.is_set():
        break
    if isinstance(item, Block):
        files[name].write(item.samples.tobytes())
        if name not in hearing:
            hearing.add(name)
            print("hearing", name, flush=True)
    elif not isinstance(item, CaughtUp | Idle):
        print(type(item).__name__, name, flush=True)
"""


class Server:
    """A sound server with the microphones ``mic_spk``, ``mic_2``, ``mic_3`` and ``mic_4``.

    The first is the default: if it goes and comes back, the server itself moves other streams.
    """

    sinks = ("spk", "2", "3", "4")

    def __init__(self, microphone: VirtualMicrophone) -> None:
        self.env = microphone.env_naming(self.sinks)
        self.unload, self.load = microphone.unload, microphone.load

    def play(self, path: Path, sink: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["paplay", f"--device={sink}", str(path)], env=self.env)


@pytest.fixture
def server(virtual_microphone: VirtualMicrophone) -> Iterator[Server]:
    for sink in Server.sinks[1:]:
        virtual_microphone.load(sink)
    yield Server(virtual_microphone)
    for sink in Server.sinks[1:]:
        virtual_microphone.unload(sink)


Start = Callable[[Sequence[str]], "subprocess.Popen[str]"]


@pytest.fixture
def start(server: Server) -> Iterator[Start]:
    """Starts a program; one that is waited for in vain is killed, so that its test fails."""
    limits = []

    def program(command: Sequence[str]) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            command, env=server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        limits.append((process, threading.Timer(LIMIT_S, process.kill)))
        limits[-1][1].start()
        return process

    yield program
    for process, limit in limits:
        limit.cancel()
        process.kill()
        process.communicate()


def test_the_loss_of_one_costs_the_others_no_sample(
    server: Server, start: Start, tmp_path: Path
) -> None:
    recorder = start([sys.executable, "-c", RECORDER, str(tmp_path), "mic_3", "mic_2"])
    assert recorder.stdout

    def wait_for(*words: str) -> None:
        assert recorder.stdout
        missing = set(words)
        while missing:
            line = recorder.stdout.readline()
            assert line, f"it ended before {missing}"
            missing.discard(line.strip())

    wait_for("hearing mic_3", "hearing mic_2")
    noise = np.random.default_rng(5).integers(1, 9000, 10 * 16_000, np.int16)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    player = server.play(tmp_path / "noise.wav", "2")
    server.unload("3")
    wait_for("SourceLost mic_3")
    assert player.poll() is None
    server.load("3")
    wait_for("SourceBack mic_3")
    player.wait()
    recorded = np.empty(0, np.int16)
    while len(recorded) < len(noise) and recorder.poll() is None:
        recorded = np.fromfile(tmp_path / "mic_2", np.int16)
        recorded = recorded[recorded != 0]  # a busy server plays silence in between
    assert np.array_equal(recorded, noise)
    recorder.communicate("\n", timeout=LIMIT_S)
    assert recorder.returncode == 0


class Listening:
    """``undertone listen`` to some microphones, and its journal."""

    def __init__(self, start: Start, journal: Path, microphones: Sequence[str]) -> None:
        self._journal = journal
        arguments = [word for name in microphones for word in ("--microphone", name)]
        arguments += ["--journal", str(journal), "--journal-flush-s", "0"]
        self.process = start([sys.executable, "-m", "undertone.cli", "listen", *arguments])

    @property
    def events(self) -> list[dict[str, Any]]:
        text = "".join(path.read_text() for path in sorted(self._journal.glob("*.jsonl")))
        return list(map(json.loads, text.splitlines()))

    def wait_for(self, kind: str, source: str) -> dict[str, Any]:
        while self.process.poll() is None:
            for event in self.events:
                if (event["event"], event.get("source")) == (kind, source):
                    return event
            time.sleep(0.05)
        raise AssertionError(f"it ended before {kind} of {source}")

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """One clip."""
    sound = np.concatenate([block.samples for block in read_blocks(clips()[4])])
    soundfile.write(tmp_path / "speech.wav", sound, 16_000)
    return tmp_path / "speech.wav"


def test_every_line_says_which_microphone_it_is_about(
    server: Server, start: Start, tmp_path: Path, speech: Path
) -> None:
    listening = Listening(start, tmp_path / "journal", ["mic_3", "mic_2"])
    for name in ("mic_3", "mic_2"):
        listening.wait_for("start", name)
    server.play(speech, "2").wait()
    segment = listening.wait_for("segment", "mic_2")
    assert segment["confidence"] > 0
    server.unload("3")
    listening.wait_for("source-lost", "mic_3")
    server.play(speech, "2").wait()
    server.load("3")
    listening.wait_for("source-back", "mic_3")
    listening.end()
    events = listening.events
    assert {event.get("source") for event in events} == {"mic_3", "mic_2"}
    assert [event["source"] for event in events if event["event"] == "stop"] == ["mic_3", "mic_2"]
    of_segments = {event["source"] for event in events if event["event"] == "segment"}
    assert of_segments == {"mic_2"}


def test_four_microphones_fit_into_a_small_machine(
    server: Server, start: Start, tmp_path: Path, speech: Path
) -> None:
    names = [f"mic_{sink}" for sink in Server.sinks]
    listening = Listening(start, tmp_path / "journal", names)
    for name in names:
        listening.wait_for("start", name)
    players = [server.play(speech, sink) for sink in Server.sinks]
    for name in names:
        listening.wait_for("segment", name)
    for player in players:
        player.wait()
    family = [*growth.family(listening.process.pid)]
    assert len(family) > len(names)
    assert sum(map(growth.pss_bytes, family)) < MOST_BYTES
    listening.end()
    assert not [pid for pid in family if Path("/proc", str(pid)).exists()]


def test_the_doctor_checks_each_microphone_of_the_settings(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "undertone.cli", "doctor", "--format", "json"],
        env=server.env | {"UNDERTONE_MICROPHONE": "mic_spk\nmic_2\npiano"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    found = {
        name: [(each["status"], each["sentence"]) for each in findings if each["name"] == name]
        for name in ("microphone", "level")
    }
    assert [status for status, _ in found["microphone"]] == ["ok", "ok", "problem"]
    assert [sentence.split()[0] for _, sentence in found["level"]] == ["mic_spk", "mic_2"]
    assert done.returncode == 1
