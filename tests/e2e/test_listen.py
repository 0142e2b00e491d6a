"""``undertone listen``: a microphone that records a clip, loses its server, or is missing."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
import soundfile

from undertone.recognition import bundle
from undertone.samples import clips

LISTEN = [sys.executable, "-m", "undertone.cli", "listen"]
LIMIT_S = 60

NO_PORTAUDIO = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == "portaudio" else find(name)
"""
PSEUDO_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


@contextmanager
def limited(process: subprocess.Popen[Any]) -> Iterator[None]:
    """A program that waits in vain fails its test instead of hanging it."""
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    try:
        yield
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


class VirtualMicrophone(Protocol):
    env: dict[str, str]

    def play(self, path: Path) -> None: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...


class Listening:
    """A listening program with a journal of its own, written at once."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self.journal = folder / "journal"
        self.process = subprocess.Popen(
            [*LISTEN, "--source", "mic", "--journal", self.journal, "--journal-flush-s", "0"],
            env=env | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def events(self) -> list[dict[str, Any]]:
        """What stands in the journal by now."""
        lines = "".join(path.read_text() for path in sorted(self.journal.glob("*.jsonl")))
        return [json.loads(line) for line in lines.splitlines()]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The journal's event of that kind, the first or a later one, waited for."""
        while self.process.poll() is None:
            found = [event for event in self.events() if event["event"] == kind]
            if len(found) >= count:
                return found[count - 1]
            time.sleep(0.02)
        raise AssertionError(f"it ended before any {kind}: {self.process.communicate()}")

    def interrupt(self) -> str:
        """Ctrl-C; what it printed on its way out and before."""
        self.process.send_signal(signal.SIGINT)
        output, complaints = self.process.communicate()
        assert (self.process.returncode, complaints) == (0, "")
        return output


@pytest.fixture
def listening(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> Iterator[Listening]:
    listening = Listening(virtual_microphone.env, tmp_path)
    with limited(listening.process):
        yield listening


@pytest.fixture
def no_microphone(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with a sound system but no sound server and no card."""
    (tmp_path / "asound.conf").write_text("pcm.default { type hw card 99 }\n")
    return os.environ | {"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")}


@pytest.fixture
def no_portaudio(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without the PortAudio library."""
    (tmp_path / "sitecustomize.py").write_text(NO_PORTAUDIO)
    return os.environ | {"PYTHONPATH": str(tmp_path)}


def listen(env: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*LISTEN, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S)


def classified(clip: Path) -> dict[str, Any]:
    """What ``undertone classify`` says of one file."""
    command = [sys.executable, "-m", "undertone.cli", "classify", "--format", "json", clip]
    line = subprocess.run(command, capture_output=True, check=True, timeout=LIMIT_S).stdout
    heard: dict[str, Any] = json.loads(line)
    return heard


def wave(clip: Path, folder: Path) -> Path:
    """``clip`` as a WAV file, which every ``paplay`` can play."""
    samples, rate = soundfile.read(clip, dtype="int16")
    soundfile.write(folder / "clip.wav", samples, rate)
    return folder / "clip.wav"


@pytest.mark.microphone
def test_listen_gives_the_verdicts_of_classify_for_the_same_sound(
    virtual_microphone: VirtualMicrophone, listening: Listening, tmp_path: Path
) -> None:
    """The sound begins anywhere between two frames, so the frames are not the same."""
    clip = clips()[6]
    said = classified(clip)
    assert len(said["segments"]) == 1
    listening.wait_for("start")
    virtual_microphone.play(wave(clip, tmp_path))
    heard = listening.wait_for("segment")
    output = listening.interrupt()

    assert heard["label"] == said["label"]
    assert heard["verdict"] == said["verdict"]
    assert heard["scores"] == pytest.approx(said["scores"], abs=0.05)
    assert heard["duration_s"] == pytest.approx(said["segments"][0]["duration_s"], abs=0.1)
    start, segment, stop = listening.events()
    assert [start["event"], segment["event"], stop["event"]] == ["start", "segment", "stop"]
    assert (stop["reason"], stop["segments"]) == ("interrupted", 1)
    assert heard["label"] in output
    assert "1 segment" in output
    assert f"journal: {listening.journal}" in output


@pytest.mark.microphone
def test_a_lost_microphone_is_in_the_journal_while_it_is_missing_and_used_when_it_is_back(
    virtual_microphone: VirtualMicrophone, listening: Listening, tmp_path: Path
) -> None:
    clip = wave(clips()[4], tmp_path)
    virtual_microphone.play(clip)
    listening.wait_for("segment")  # from here on there is sound that can be missed
    virtual_microphone.kill()
    assert listening.wait_for("source-lost")["source"] == "default"
    virtual_microphone.start()
    assert listening.wait_for("source-back")["missed_s"] > 0
    virtual_microphone.play(clip)
    listening.wait_for("segment", 2)
    listening.interrupt()
    kinds = [event["event"] for event in listening.events()]
    assert kinds == ["start", "segment", "source-lost", "source-back", "segment", "stop"]


def test_without_a_microphone_the_packaged_sample_is_played(
    no_microphone: dict[str, str], tmp_path: Path
) -> None:
    done = listen(no_microphone, "--journal", tmp_path / "journal")
    assert done.returncode == 0
    assert done.stderr.startswith("undertone: No microphone was found")
    assert "packaged sample" in done.stderr
    assert done.stderr.count("\n") == 2
    *_, told, last = done.stdout.splitlines()
    assert told == f"journal: {tmp_path / 'journal'}"
    assert last == "to show it: undertone journal show --recordings"
    (file,) = (tmp_path / "journal").glob("*.jsonl")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert events[0]["source"] == "packaged sample"
    assert all(event["recording"] and event["demonstration"] for event in events)
    counted = [*LISTEN[:-1], "journal", "summary", "--recordings", "--journal", file.parent]
    summary = subprocess.run(counted, capture_output=True, text=True)
    assert (summary.returncode, summary.stdout) == (0, "")
    assert all(datetime.fromisoformat(event["time"]).timestamp() <= time.time() for event in events)
    assert [event["event"] for event in events].count("segment") >= len(clips())


def test_a_microphone_that_is_asked_for_and_missing_is_an_error(
    no_microphone: dict[str, str], tmp_path: Path
) -> None:
    done = listen(no_microphone, "--source", "mic", "--journal", tmp_path / "journal")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("undertone: No microphone was found")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "journal").exists()


def test_without_portaudio_one_sentence_says_how_to_get_it(
    no_portaudio: dict[str, str], tmp_path: Path
) -> None:
    done = listen(no_portaudio, "--source", "mic", "--journal", tmp_path / "journal")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("run sudo apt install libportaudio2.\n")
    assert done.stderr.count("\n") == 1
    done = listen(no_portaudio, "--journal", tmp_path / "journal")
    assert done.returncode == 0
    assert "packaged sample" in done.stderr


def test_a_pipe_with_something_else_than_sound_is_refused_in_one_sentence(
    no_microphone: dict[str, str], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "clip.mp3", soundfile.read(clips()[4])[0], 16_000)
    with (tmp_path / "clip.mp3").open("rb") as compressed:
        done = subprocess.run(
            [*LISTEN, "--source", "-", "--journal", tmp_path / "journal"],
            env=no_microphone,
            stdin=compressed,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("undertone: The pipe carries MP3")
    assert done.stderr.endswith("-f s16le -ar 16000 -ac 1 - | undertone listen --source -.\n")
    assert done.stderr.count("\n") == 1


def test_on_a_terminal_the_emotion_is_shown_and_ctrl_c_leaves_it_as_it_was(
    no_microphone: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PSEUDO_TERMINAL, *LISTEN, "--journal", tmp_path / "journal"]
    terminal = subprocess.Popen(
        command,
        env=no_microphone | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert terminal.stdin and terminal.stdout
    with limited(terminal):
        shown = b""
        while b"last segment" not in shown:
            more = terminal.stdout.read(65_536)
            assert more, shown.decode()
            shown += more
        terminal.stdin.write(b"\x03")
        rest, _ = terminal.communicate()
    picture = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", shown.decode(errors="replace"))
    (headline,) = re.findall(r"([A-Z]+)  last segment", picture)
    assert headline.lower() in {*bundle.load().manifest.labels, "uncertain"}
    assert "█" in picture
    assert "\x1b[?25l" in shown.decode(errors="replace")  # the cursor is hidden ...
    assert rest.rfind(b"\x1b[?25h") > rest.rfind(b"\x1b[?25l")  # ... and shown again
    after = rest[rest.rfind(b"\x1b[?25h") :].decode()
    assert "listened" in after
    assert "journal: " in after
    assert terminal.returncode == 0
