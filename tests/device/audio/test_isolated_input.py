"""A microphone in a process of its own: a real one, whose ``sounddevice`` is made."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import IO, Any

import pytest

from made_microphones import MadeMicrophones, readers
from undertone.audio import isolated_input
from undertone.audio.isolated_input import IsolatedInput, IsolatedStream, _answer
from undertone.audio.microphone_reader import HEAD, Kind
from undertone.errors import AudioSourceError, NoMicrophoneError, RuntimeMissingError

LIMIT_S = 60.0


Chunk = tuple[bytes, int, bool]


class Opened:
    """An opened microphone and the queue of what it delivers."""

    def __init__(self, source: IsolatedInput) -> None:
        self.chunks: Queue[Chunk] = Queue()
        self.stream: IsolatedStream = source.open(lambda *chunk: self.chunks.put(chunk))

    def next(self) -> Chunk:
        return self.chunks.get(timeout=LIMIT_S)


@pytest.fixture
def opened() -> Iterator[Callable[[IsolatedInput], Opened]]:
    """Opens one, and closes it at the end."""
    all_opened = []

    def one(source: IsolatedInput) -> Opened:
        all_opened.append(Opened(source))
        return all_opened[-1]

    yield one
    for each in all_opened:
        each.stream.close()


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


Open = Callable[[IsolatedInput], Opened]


def test_the_sound_comes_as_it_was_delivered(made: MadeMicrophones, opened: Open) -> None:
    made.set(devices=["Webcam", "USB"], overflow=3)
    microphone = opened(IsolatedInput("usb"))
    assert (microphone.stream.sample_rate_hz, microphone.stream.channels) == (16_000, 1)
    for number in range(10):
        assert microphone.next() == (bytes([1, number]) * 1600, 1600, number == 3)
    assert microphone.stream.active


def test_another_rate_and_a_channel_are_passed_on(made: MadeMicrophones, opened: Open) -> None:
    made.set(devices=["Webcam"], rate_hz=48_000)
    microphone = opened(IsolatedInput("webcam", channel=1))
    assert (microphone.stream.sample_rate_hz, microphone.stream.channels) == (48_000, 2)
    data, frames, _ = microphone.next()
    assert (len(data), frames) == (4 * 4800, 4800)


def test_its_name_is_the_one_that_was_given(made: MadeMicrophones, opened: Open) -> None:
    source = IsolatedInput("web")
    assert (source.name, source.identity) == ("web", None)
    opened(source)
    assert source.name == "web"
    assert source.identity and source.identity.device.name == "Webcam (hw:0,0)"


@pytest.mark.parametrize(
    ("world", "error", "words"),
    [
        ({"devices": []}, NoMicrophoneError, "plug one in"),
        ({"devices": ["Webcam"]}, AudioSourceError, "No microphone has 'USB' in its name"),
        ({"devices": ["USB 1", "USB 2"]}, AudioSourceError, "Several microphones have 'USB'"),
        ({"devices": ["USB"], "busy": True}, AudioSourceError, "USB is busy"),
        ({"missing": True}, RuntimeMissingError, "sudo apt install libportaudio2"),
        ({"crashes": True}, AudioSourceError, "USB can't be opened .*status -6.*doctor"),
    ],
)
def test_why_it_can_not_be_opened_is_said_as_ever(
    made: MadeMicrophones, world: dict[str, Any], error: type[Exception], words: str
) -> None:
    made.set(**world)
    with pytest.raises(error, match=words):
        IsolatedInput("USB").open(lambda *_: None)
    assert readers() == []


def test_a_sound_system_that_hangs_is_given_up(
    made: MadeMicrophones, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.set(hangs=True)
    monkeypatch.setattr(isolated_input, "OPEN_S", 0.5)
    with pytest.raises(AudioSourceError, match="the sound system does not answer"):
        IsolatedInput("USB").open(lambda *_: None)
    assert readers() == []


def test_an_unplugged_one_is_no_longer_active_and_found_under_its_new_number(
    made: MadeMicrophones, opened: Open
) -> None:
    source = IsolatedInput("usb")
    first = opened(source)
    assert first.next()[0][0] == 1
    made.unplug()
    wait_until(lambda: not first.stream.active)
    first.stream.close()
    made.set(devices=["Webcam (hw:0,0)"])
    with pytest.raises(AudioSourceError, match=r"USB \(hw:1,0\) is missing: plug it in again"):
        source.open(lambda *_: None)
    made.plug()
    made.set(devices=["USB (hw:3,0)", "Webcam (hw:0,0)"])
    second = opened(source)
    assert second.next()[0][0] == 0
    assert source.identity and source.identity.device.name == "USB (hw:3,0)"
    assert source.name == "usb"


def test_a_process_that_crashes_is_a_loss(made: MadeMicrophones, opened: Open) -> None:
    microphone = opened(IsolatedInput("usb"))
    microphone.next()
    (reader,) = readers()
    os.kill(reader, signal.SIGSEGV)
    wait_until(lambda: not microphone.stream.active)
    microphone.stream.close()
    assert readers() == []


@pytest.mark.parametrize("hangs", [False, True])
def test_closing_releases_the_microphone_and_ends_the_process(
    made: MadeMicrophones, hangs: bool
) -> None:
    made.set(devices=["USB"], closing_hangs=hangs)
    microphone = Opened(IsolatedInput("usb"))
    microphone.next()
    microphone.stream.close()
    assert made.was_closed
    assert readers() == []
    assert not microphone.stream.active
    microphone.stream.close()


def test_what_a_stopped_program_misses_is_told_and_the_rest_is_kept(made: MadeMicrophones) -> None:
    made.set(devices=["USB"], chunks=500)
    source = IsolatedInput("usb")
    with source._start_reader() as process:
        assert process.stdin and process.stdout
        wait_until(lambda: made.has_delivered)
        _answer(process, "usb")
        records = [record(process.stdout) for _ in range(320)]
        made.deliver()
        while records[-1][0] == Kind.SOUND:
            records.append(record(process.stdout))
        process.stdin.close()
    *kept, last = records
    assert [data for _, data in kept] == [bytes([0, n % 256]) * 1600 for n in range(len(kept))]
    assert len(kept) < 500
    assert last == (Kind.SOUND_AFTER_LOSS, bytes([0, 500 % 256]) * 1600)


def record(stdout: IO[bytes]) -> tuple[int, bytes]:
    size, kind = HEAD.unpack(stdout.read(HEAD.size))
    return kind, stdout.read(size)


PARENT = """
import sys, time
from undertone.audio.isolated_input import IsolatedInput
source = IsolatedInput("usb")
source.open(lambda *_: None)
print(source._process.pid, flush=True)
time.sleep(1000)
"""


def test_no_process_outlives_the_program_that_started_it(made: MadeMicrophones) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        reader = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not Path("/proc", str(reader)).exists())


def test_its_process_imports_no_numpy() -> None:
    program = "import sys, undertone.audio.microphone_reader; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "undertone.audio.portaudio" in loaded
    assert not {"numpy", "msgspec"} & {*loaded}
