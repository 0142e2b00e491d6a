"""Sound from a pipe: what it holds, when it was captured, and what is no sound at all."""

import io
import logging
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from undertone.audio.block import REST_S, SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.pipe import Pipe
from undertone.audio.timeline import WINDOW_S
from undertone.errors import AudioSourceError
from undertone.events import CaughtUp, Gap, Idle
from undertone.samples import clips

START_S = 1_700_000_000.0
CHUNK_S = 0.1
CHUNK = round(CHUNK_S * SAMPLE_RATE_HZ)


def noise(seconds: float = 1.0, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> Samples:
    shape = (round(rate_hz * seconds), channels) if channels > 1 else round(rate_hz * seconds)
    return (np.random.default_rng(7).standard_normal(shape) * 3000).astype(np.int16)


@contextmanager
def piped(content: bytes) -> Iterator[int]:
    """The reading end of a pipe into which ``content`` is written as it is taken."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        writer.join()


def blocks_of(content: bytes) -> list[Block]:
    with piped(content) as descriptor:
        return [item for item in Pipe(descriptor) if isinstance(item, Block)]


def sound_of(content: bytes) -> Samples:
    return np.concatenate([block.samples for block in blocks_of(content)])


def test_raw_pcm_comes_through_bit_for_bit() -> None:
    samples = noise(5.55)
    blocks = blocks_of(samples.tobytes())
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), samples)
    assert sum(block.duration_s for block in blocks) == pytest.approx(5.55)


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert len(sound_of(noise().tobytes() + b"\x01")) == 16_000


def test_a_file_as_standard_input_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(noise(3.0).tobytes())
    with (tmp_path / "raw").open("rb") as file:
        blocks = [item for item in Pipe(file.fileno()) if isinstance(item, Block)]
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), noise(3.0))


def wav_header(
    rate_hz: int, channels: int, bits: int, length: int = 0xFFFFFFFF, encoding: int = 1
) -> bytes:
    width = channels * bits // 8
    fmt = struct.pack("<HHIIHH", encoding, channels, rate_hz, rate_hz * width, width, bits)
    if encoding == 0xFFFE:
        fmt += struct.pack("<HHI", 22, bits, 0) + b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\08\x9bq"
    size = struct.pack("<I", len(fmt))
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + size + fmt + b"data" + struct.pack("<I", length)


@pytest.mark.parametrize("encoding", [1, 0xFFFE])
@pytest.mark.parametrize("length", [0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_a_wav_header_of_a_stream_that_has_no_end_is_obeyed(length: int, encoding: int) -> None:
    for rate_hz, expected in ((16_000, 8_000), (8_000, 16_000)):
        header = wav_header(rate_hz, 1, 16, length, encoding)
        assert len(sound_of(header + noise(0.5).tobytes())) == pytest.approx(expected, abs=1)


def test_stereo_of_another_rate_is_mixed_and_resampled_as_a_file_is() -> None:
    stereo = noise(1.0, 96_000, channels=2)
    stream = io.BytesIO()
    soundfile.write(stream, stereo, 96_000, "PCM_16", format="WAV")
    sound = sound_of(stream.getvalue())
    expected = soxr.resample(stereo.mean(axis=1), 96_000, SAMPLE_RATE_HZ)
    assert len(sound) == pytest.approx(16_000, abs=1)
    assert sound[100:-100] == pytest.approx(expected[100 : len(sound) - 100], abs=20)


def test_what_a_wav_holds_after_its_sound_is_no_sound() -> None:
    one = wav_header(16_000, 1, 16, 3201) + noise(0.1).tobytes() + b"\x07\0"
    extra = b"LIST\x05\0\0\0abcde\0"
    sound = sound_of(one + extra + wav_header(16_000, 1, 16) + noise(0.2).tobytes())
    assert np.array_equal(sound, np.concatenate([noise(0.1), noise(0.2)]))


@pytest.mark.parametrize(
    "content",
    [
        wav_header(16_000, 1, 24) + b"123456",
        wav_header(16_000, 1, 32, encoding=3) + bytes(800),
        wav_header(1, 1, 16) + bytes(800),
        wav_header(16_000, 0, 16) + bytes(800),
        b"RIFF    WAVEdata\x08\0\0\0abcdefgh",
        b"RIFF    WAVEjunk\xff\xff\xff\xff" + bytes(800),
        wav_header(16_000, 1, 16, 800) + bytes(800) + wav_header(8_000, 1, 16) + bytes(800),
    ],
)
def test_a_wav_that_is_not_16_bit_pcm_is_refused_with_the_right_command(content: bytes) -> None:
    with pytest.raises(AudioSourceError, match="ffmpeg -i - -f s16le -ar 16000 -ac 1 -"):
        blocks_of(content)


@pytest.mark.parametrize("content", [b"", b"R", b"RIFF", b"\xff", wav_header(16_000, 1, 16)])
def test_a_pipe_without_sound_is_reported(content: bytes) -> None:
    with pytest.raises(AudioSourceError, match=r"No sound arrived.*arecord"):
        blocks_of(content)


def encoded(kind: str, **options: str) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, noise(2.0), SAMPLE_RATE_HZ, format=kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((kind, encoded(kind)) for kind in ("MP3", "FLAC", "AIFF", "AU", "CAF", "W64", "RF64")),
        ("Ogg", encoded("OGG")),
        ("MP3", b"ID3\x04\0\0\0\0\0\0" + encoded("MP3")),
        ("MP4", b"\0\0\0\x20ftypisom" + bytes(99)),
        ("WebM", b"\x1aE\xdf\xa3" + bytes(99)),
        ("AAC", (b"\xff\xf1P\x80\x0d\xff\xfc" + bytes(104)) * 99),
        ("RIFF without WAVE", b"RIFF\x40\0\0\0AVI LIST" + bytes(99)),
    ],
    # every worker must name them alike, and an Ogg stream has a random number in it
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_known_format_is_refused_with_the_right_command(name: str, content: bytes) -> None:
    with pytest.raises(AudioSourceError, match=f"The pipe carries .*{name}") as caught:
        blocks_of(content)
    sentence = str(caught.value)
    command = "| ffmpeg -i - -f s16le -ar 16000 -ac 1 - | undertone listen --source -."
    assert sentence.endswith(command)
    assert "\n" not in sentence


@pytest.mark.parametrize("first", [b"\xff\xfb\x90\x00", b"\xff\xf1P\x80", b"\xff\xff"])
def test_sound_that_begins_as_a_header_might_is_sound(first: bytes) -> None:
    assert len(sound_of(first + noise(2.0).tobytes())) == 32_000 + len(first) // 2


def speech() -> Samples:
    return np.concatenate([soundfile.read(clip, dtype="int16")[0] for clip in clips()])[:400_000]


def loud(samples: Samples) -> Samples:
    return (samples.astype(np.float64) * (30_000 / np.abs(samples).max())).astype(np.int16)


def tone(amplitude: float) -> Samples:
    seconds = np.arange(80_000) / SAMPLE_RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16)


def warnings_of(content: bytes, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        blocks_of(content)
    return caplog.messages


def as_24_bit(samples: Samples) -> bytes:
    wide = (samples.astype("<i4") * 256 + 77).view(np.uint8).reshape(-1, 4)
    return wide[:, :3].tobytes()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda samples: (samples / 32768).astype("<f4").tobytes(),
        lambda samples: (samples / 32768).astype("<f8").tobytes(),
        lambda samples: (samples.astype("<i4") << 16).tobytes(),
        lambda samples: (samples // 256 + 128).astype(np.uint8).tobytes(),
        lambda samples: samples.astype(">i2").tobytes(),
        lambda samples: samples.tobytes()[1:],
        as_24_bit,
        lambda samples: encoded("MP3")[1001:] * 20,
        lambda samples: np.random.default_rng(3).bytes(99_999),
    ],
    ids=["float32", "float64", "int32", "uint8", "big-endian", "odd", "int24", "mp3", "any"],
)
def test_bytes_that_can_be_no_sound_are_warned_about_once(
    wrong: Callable[[Samples], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    (warning,) = warnings_of(wrong(loud(speech())), caplog)
    assert "does not look like sound" in warning
    assert "ffmpeg" in warning


@pytest.mark.parametrize(
    "sound",
    [speech, lambda: loud(speech()), noise, lambda: tone(32_767), lambda: np.zeros(48_000, "<i2")],
    ids=["speech", "loud speech", "noise", "full scale", "silence"],
)
def test_sound_is_not_warned_about(
    sound: Callable[[], Samples], caplog: pytest.LogCaptureFixture
) -> None:
    assert warnings_of(sound().tobytes(), caplog) == []


class World:
    """Made time, and a writer who puts sound into a real pipe."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.wall_s = START_S - self.now_s
        self.sent: list[Samples] = []
        self.items: list[Block | Gap | Idle] = []
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self._noise = np.random.default_rng(3)
        self._source = iter(
            Pipe(
                self.reading,
                clock=lambda: self.wall_s + self.now_s,
                steady_clock=lambda: self.now_s,
                poll_s=0.0,
            )
        )

    def send(self, seconds: float = CHUNK_S) -> None:
        """Write so much sound, as a live writer whose reader may be too slow: what fits."""
        samples = self._noise.integers(-3000, 3000, round(seconds * SAMPLE_RATE_HZ), np.int16)
        try:
            count = os.write(self.writing, samples.tobytes())
        except BlockingIOError:
            count = 0
        self.sent.append(samples[: count // 2])

    def rest(self) -> None:
        for _ in range(round(REST_S / CHUNK_S)):
            self.now_s += CHUNK_S
            self.send()

    def read(self) -> None:
        """All that is there."""
        while not self.items or not isinstance(self.items[-1], Idle):
            item = next(self._source)
            if not isinstance(item, CaughtUp):
                self.items.append(item)
        self.items.pop()

    def live(self, seconds: float) -> None:
        """Live sound for so long, read as it comes."""
        for _ in range(round(seconds / CHUNK_S)):
            self.now_s += CHUNK_S
            self.send()
            self.read()

    def pause(self, seconds: float) -> None:
        """Nothing comes for so long, and the reader waits for it."""
        for _ in range(round(seconds / CHUNK_S)):
            self.now_s += CHUNK_S
            self.read()  # ends with an idle moment

    def end(self) -> None:
        os.close(self.writing)
        self.items += (item for item in self._source if not isinstance(item, CaughtUp))
        os.close(self.reading)

    @property
    def blocks(self) -> list[Block]:
        return [item for item in self.items if isinstance(item, Block)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    def sound(self) -> Samples:
        return np.concatenate([block.samples for block in self.blocks])


@pytest.fixture
def world() -> World:
    return World()


def test_live_sound_has_the_time_of_its_capture(world: World) -> None:
    world.live(20.0)
    world.end()
    assert np.array_equal(world.sound(), np.concatenate(world.sent))
    assert world.blocks[0].time_s == pytest.approx(START_S)
    for before, after in pairwise(world.blocks):
        assert after.time_s == pytest.approx(before.time_s + before.duration_s, abs=1e-6)


def test_what_waited_in_the_pipe_while_the_model_was_loaded_was_captured_before(
    world: World,
) -> None:
    for _ in range(15):
        world.now_s += CHUNK_S
        world.send()
    world.live(5.0)
    assert world.blocks[0].time_s == pytest.approx(START_S)
    assert world.blocks[-1].time_s == pytest.approx(START_S + 6.4)


def test_a_pipe_that_stands_still_gives_idle_moments_and_then_a_gap(world: World) -> None:
    world.live(5.0)
    world.pause(40.0)
    assert not world.gaps
    world.live(5.0)
    (gap,) = world.gaps
    assert gap.reason == "the sound stood still"
    assert gap.lost_samples == pytest.approx(40 * SAMPLE_RATE_HZ, abs=1)
    assert gap.time.timestamp() == pytest.approx(START_S + 5.0)
    after = world.items[world.items.index(gap) + 1]
    assert isinstance(after, Block)
    assert after.time_s == pytest.approx(START_S + 45.0)


def test_an_overrun_of_the_program_in_front_is_a_gap_where_it_was(world: World) -> None:
    world.live(5.0)
    world.pause(0.7)
    world.live(5.0)
    world.pause(0.7)
    world.live(5.0)
    assert [gap.time.timestamp() - START_S for gap in world.gaps] == pytest.approx([5.0, 10.7])
    assert [gap.lost_samples / SAMPLE_RATE_HZ for gap in world.gaps] == pytest.approx([0.7, 0.7])
    assert world.blocks[-1].time_s == pytest.approx(START_S + 16.3)


def test_what_a_stopped_listener_finds_in_the_pipe_was_captured_before_the_gap(
    world: World,
) -> None:
    """A pipe holds two seconds; what comes later is lost by the program in front of it."""
    world.live(5.0)
    for _ in range(300):
        world.now_s += CHUNK_S
        world.send()
    world.live(5.0)
    (gap,) = world.gaps
    sound = np.concatenate(world.sent)
    assert np.array_equal(world.sound(), sound[: len(world.sound())])
    kept_s = sum(map(len, world.sent)) / SAMPLE_RATE_HZ - 10.0
    assert gap.time.timestamp() == pytest.approx(START_S + 5.0 + kept_s, abs=0.11)
    assert gap.lost_samples / SAMPLE_RATE_HZ == pytest.approx(30.0 - kept_s, abs=0.11)
    assert world.blocks[-1].time_s == pytest.approx(START_S + 39.9, abs=0.11)


def test_a_clock_that_is_set_dates_what_comes_after_and_makes_no_gap(world: World) -> None:
    """As on a machine without a clock, which learns the time from the network."""
    world.live(5.0)
    world.wall_s += 30 * 86_400.0
    world.live(5.0)
    world.wall_s -= 86_400.0
    world.live(5.0)
    assert not world.gaps
    days = [(block.time_s - START_S) // 86_400 for block in world.blocks]
    assert days == [0] * 50 + [30] * 50 + [29] * 50
    assert world.blocks[-1].time_s - START_S - 29 * 86_400 == pytest.approx(14.9)


def test_late_sound_that_catches_up_is_no_gap(world: World) -> None:
    world.live(5.0)
    world.pause(WINDOW_S - 0.5)
    for _ in range(15):
        world.send()
    world.live(5.0)
    assert not world.gaps
    assert world.blocks[-1].time_s == pytest.approx(START_S + 11.4)


def test_a_recording_that_comes_faster_than_it_lasts_is_not_dated_in_the_future(
    world: World,
) -> None:
    for _ in range(600):
        world.now_s += 0.002
        world.send()
        world.read()
        for block in world.blocks[-1:]:
            assert block.time_s + block.duration_s <= world.wall_s + world.now_s + 1e-6
    assert not world.gaps
    world.end()
    assert np.array_equal(world.sound(), np.concatenate(world.sent))


def test_while_nobody_waits_for_it_sound_is_taken_after_a_rest(world: World) -> None:
    rests = 0
    while len(world.items) < 20:
        item = next(world._source)
        if isinstance(item, CaughtUp):
            rests += 1
            world.rest()
        else:
            world.items.append(item)
    assert rests == pytest.approx(20, abs=1)
    world.end()
    assert np.array_equal(world.sound(), np.concatenate(world.sent))
    assert not world.gaps


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(8_000, 1), (44_100, 1), (16_000, 2), (96_000, 2)]
)
def test_live_sound_of_another_rate_without_a_header_is_warned_about_once(
    world: World, rate_hz: int, channels: int, caplog: pytest.LogCaptureFixture
) -> None:
    pace = rate_hz * channels / SAMPLE_RATE_HZ
    with caplog.at_level(logging.WARNING):
        for _ in range(200):
            world.now_s += CHUNK_S
            world.send(CHUNK_S * pace)
            world.read()
    (warning,) = caplog.messages
    assert f"{pace:.2g} s of sound" in warning
    assert "ffmpeg" in warning


@pytest.mark.parametrize("pace", [1.0, 60.0])
def test_live_sound_and_recordings_are_not_warned_about(
    world: World, pace: float, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        while world.now_s < 115.0:
            world.now_s += 0.5 / pace
            world.send(0.5)
            world.read()
    assert not caplog.messages
