"""A listening program learns a voice, knows it after a restart, and forgets it while it listens."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import soundfile
from msgspec import structs

from undertone.recognition import bundle
from undertone.samples import clips

PROGRAM = [sys.executable, "-m", "undertone.cli"]
LIMIT_S = 120


class VirtualMicrophone(Protocol):
    env: dict[str, str]

    def play(self, path: Path) -> None: ...


@pytest.fixture
def knowing(tmp_path: Path) -> Path:
    """The folder of a bundle that knows voices."""
    packaged = bundle.load("ravdess8-tiny")
    shutil.copytree(packaged.folder, tmp_path / "knowing")
    normalization = structs.replace(packaged.manifest.normalization, voice_prior_frames=200.0)
    manifest = structs.replace(packaged.manifest, normalization=normalization)
    (tmp_path / "knowing" / bundle.MANIFEST_FILE).write_bytes(bundle.manifest_json(manifest))
    return tmp_path / "knowing"


class Listener:
    """A listening program, whose state is in ``folder``."""

    def __init__(self, env: dict[str, str], folder: Path, model: Path, *options: str) -> None:
        self.voices = folder / "voices"
        self.journal = folder / "journal"
        self.starts_before = self.starts()
        self.process = subprocess.Popen(
            [
                *PROGRAM,
                "listen",
                "--source",
                "mic",
                "--model",
                model,
                "--journal-flush-s",
                "0",
                *options,
            ],
            env=env | {"UNDERTONE_STATE": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, reached: Callable[[], bool]) -> None:
        while not reached():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def hear(self, microphone: VirtualMicrophone, clip: Path, reached: Callable[[], bool]) -> None:
        """Speak until ``reached``: on a busy machine the microphone may be lost for a moment."""
        while not reached():
            assert self.process.poll() is None, self.process.communicate()
            microphone.play(clip)

    def starts(self) -> int:
        """How often listening has begun, by the journal."""
        return sum(path.read_text().count('"start"') for path in self.journal.glob("*.jsonl"))

    def stored(self) -> list[Path]:
        """The files of voices: one, or none."""
        return [*self.voices.glob("*.json")]

    def frames(self) -> int:
        """How much of the voice is stored."""
        (file,) = self.stored()
        return int(json.loads(file.read_bytes())["voice"]["frames"])

    def interrupt(self) -> str:
        """Ctrl-C; what it wrote to stderr."""
        self.process.send_signal(signal.SIGINT)
        _, complaints = self.process.communicate()
        assert self.process.returncode == 0, complaints
        return str(complaints)


@contextmanager
def listening(env: dict[str, str], *arguments: Path | str) -> Iterator[Listener]:
    folder, model, *options = arguments
    listener = Listener(env, Path(folder), Path(model), *map(str, options))
    limit = threading.Timer(LIMIT_S, listener.process.kill)
    limit.start()
    try:
        listener.wait(lambda: listener.starts() > listener.starts_before)
        yield listener
    finally:
        limit.cancel()
        listener.process.kill()
        listener.process.communicate()


@pytest.mark.microphone
def test_a_voice_is_learnt_known_after_a_restart_and_forgotten_while_it_listens(
    virtual_microphone: VirtualMicrophone, knowing: Path, tmp_path: Path
) -> None:
    samples, rate = soundfile.read(clips()[4], dtype="int16")
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, samples, rate)
    state = tmp_path / "state"
    env = virtual_microphone.env
    with listening(env, state, knowing) as first:
        first.hear(virtual_microphone, clip, lambda: bool(first.stored()))
        assert "voice" not in first.interrupt()
    learnt = first.frames()
    assert learnt > 20

    with listening(env, state, knowing) as second:
        second.hear(virtual_microphone, clip, lambda: second.frames() > learnt)
        (file,) = second.stored()
        forget = [*PROGRAM, "voice", "forget"]
        done = subprocess.run(forget, env=os.environ | {"UNDERTONE_STATE": str(state)}, timeout=30)
        assert done.returncode == 0
        complaints = second.interrupt()
    assert f"forgotten: {file} was deleted" in complaints
    assert not second.stored()


@pytest.mark.microphone
def test_another_gain_forgets_and_says_so(
    virtual_microphone: VirtualMicrophone, knowing: Path, tmp_path: Path
) -> None:
    samples, rate = soundfile.read(clips()[4], dtype="int16")
    soundfile.write(tmp_path / "clip.wav", samples, rate)
    state = tmp_path / "state"
    with listening(virtual_microphone.env, state, knowing) as first:
        first.hear(virtual_microphone, tmp_path / "clip.wav", lambda: bool(first.stored()))
        first.interrupt()
    with listening(virtual_microphone.env, state, knowing, "--gain-db", "6") as second:
        complaints = second.interrupt()
    assert "learnt at a gain of 0 dB, and this is 6" in complaints
