"""The microphone as PortAudio gives it, in a process of its own, on a PulseAudio server."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.microphone

RECORDER = """
import sys, threading
from undertone.audio.block import Block
from undertone.audio.microphone import Microphone
from undertone.events import CaughtUp, Idle

microphone = Microphone()
threading.Thread(target=lambda: (sys.stdin.readline(), microphone.close()), daemon=True).start()
hearing = False
with open(sys.argv[1], "wb") as sound:
    try:
        for item in microphone:
            if isinstance(item, Block):
                sound.write(item.samples.tobytes())
                if not hearing:
                    print("hearing", flush=True)
                    hearing = True
            elif not isinstance(item, CaughtUp | Idle):
                print(type(item).__name__, item.source, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


class VirtualMicrophone(Protocol):
    env: dict[str, str]

    def play(self, path: Path) -> None: ...
    def start(self) -> None: ...
    def load(self, name: str = "spk") -> None: ...
    def unload(self, name: str = "spk") -> None: ...
    def stop_server(self) -> None: ...
    def cont(self) -> None: ...
    def kill(self) -> None: ...


class Recorder:
    """A program that records the microphone to a file and reports what happens."""

    def __init__(self, env: dict[str, str], path: Path) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-c", RECORDER, str(path)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # A test that waits for a word in vain should fail, not hang.
        self.limit = threading.Timer(60, self.process.kill)
        self.limit.start()

    def next_word(self) -> str:
        """Wait for the next thing that it reports."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> np.ndarray:
        """End the recording in the orderly way; its samples."""
        self.process.communicate("\n", timeout=20)
        assert self.process.returncode == 0
        return np.frombuffer(self.path.read_bytes(), np.int16)


@pytest.fixture
def recorder(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(virtual_microphone.env, tmp_path / "recorded.pcm")
    assert recorder.next_word() == "hearing"
    yield recorder
    virtual_microphone.cont()
    recorder.limit.cancel()
    recorder.process.kill()
    recorder.process.communicate()


def test_what_is_played_is_what_is_recorded(
    virtual_microphone: VirtualMicrophone, recorder: Recorder, tmp_path: Path
) -> None:
    played = np.random.default_rng(5).integers(1, 9000, 32_000, np.int16)
    soundfile.write(tmp_path / "played.wav", played, 16_000)
    virtual_microphone.play(tmp_path / "played.wav")
    recorded = recorder.end()
    start = int(np.argmax(recorded != 0))
    assert np.array_equal(recorded[start : start + len(played)], played)
    assert not recorded[start + len(played) :].any()


def test_a_killed_server_is_a_loss_and_its_successor_brings_the_sound_back(
    virtual_microphone: VirtualMicrophone, recorder: Recorder, tmp_path: Path
) -> None:
    virtual_microphone.kill()
    assert recorder.next_word() == "SourceLost default"
    virtual_microphone.start()
    assert recorder.next_word() == "SourceBack default"
    played = np.full(8_000, 1234, np.int16)
    soundfile.write(tmp_path / "played.wav", played, 16_000)
    virtual_microphone.play(tmp_path / "played.wav")
    assert np.count_nonzero(recorder.end() == 1234) == len(played)


def test_a_frozen_server_is_a_loss_until_it_goes_on(
    virtual_microphone: VirtualMicrophone, recorder: Recorder
) -> None:
    virtual_microphone.stop_server()
    assert recorder.next_word() == "SourceLost default"
    virtual_microphone.cont()
    assert recorder.next_word() == "SourceBack default"
    recorder.end()


def test_another_microphone_is_never_used_in_its_place(
    virtual_microphone: VirtualMicrophone, recorder: Recorder, tmp_path: Path
) -> None:
    virtual_microphone.load("other")
    virtual_microphone.unload()
    assert recorder.next_word() == "SourceLost default"
    virtual_microphone.load()
    assert recorder.next_word() == "SourceBack default"
    played = np.full(8_000, 1234, np.int16)
    soundfile.write(tmp_path / "played.wav", played, 16_000)
    virtual_microphone.play(tmp_path / "played.wav")
    assert np.count_nonzero(recorder.end() == 1234) == len(played)
    virtual_microphone.unload("other")


LOGGED_PACTL = """#!/bin/sh
echo "$$ $@" >> {log}
exec {pactl} "$@"
"""


def test_the_server_is_asked_for_its_source_only_when_that_may_have_changed(
    virtual_microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    pactl = tmp_path / "pactl"
    pactl.write_text(LOGGED_PACTL.format(log=log, pactl=shutil.which("pactl")))
    pactl.chmod(0o755)
    noise = np.random.default_rng(5).integers(1, 9000, 6 * 16_000, np.int16)
    soundfile.write(tmp_path / "short.wav", noise[:16_000], 16_000)
    soundfile.write(tmp_path / "long.wav", noise, 16_000)
    env = virtual_microphone.env | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    recorder = Recorder(env, tmp_path / "recorded.pcm")
    assert recorder.next_word() == "hearing"
    virtual_microphone.play(tmp_path / "short.wav")
    asked = log.read_text()
    assert asked.count("subscribe") == 1
    virtual_microphone.play(tmp_path / "long.wav")
    assert log.read_text() == asked
    recorder.end()
    recorder.limit.cancel()
    (subscribed,) = [line.split()[0] for line in asked.splitlines() if "subscribe" in line]
    assert not Path("/proc", subscribed).exists()


def test_even_while_the_server_hangs_the_program_can_be_ended(
    virtual_microphone: VirtualMicrophone, recorder: Recorder
) -> None:
    virtual_microphone.stop_server()
    assert recorder.next_word() == "SourceLost default"
    recorder.process.send_signal(signal.SIGINT)
    assert recorder.next_word() == "interrupted"
    assert recorder.process.wait(timeout=20) == 0
