"""Sound from files, good ones and every bad kind that a user may have."""

import logging
import os
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.files import find_audio_files, read_blocks
from undertone.audio.realtime import Recording
from undertone.errors import AudioSourceError


def noise(seconds: float = 1.0, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> Samples:
    shape = (round(rate_hz * seconds), channels) if channels > 1 else round(rate_hz * seconds)
    return (np.random.default_rng(7).standard_normal(shape) * 3000).astype(np.int16)


def write(path: Path, samples: Samples, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    soundfile.write(path, samples, rate_hz)
    return path


def joined(blocks: list[Block]) -> Samples:
    return np.concatenate([block.samples for block in blocks])


def sound_of(path: Path) -> Samples:
    return joined(list(read_blocks(path)))


def test_a_16_khz_mono_file_comes_out_bit_for_bit_and_timed(tmp_path: Path) -> None:
    samples = noise(1.05)
    blocks = list(read_blocks(write(tmp_path / "a.wav", samples)))
    assert np.array_equal(joined(blocks), samples)
    assert blocks[0].time_s == 0.0
    for before, after in pairwise(blocks):
        assert after.time_s == pytest.approx(before.time_s + before.duration_s)
        assert before.duration_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_24"),
        ("a.wav", "FLOAT"),
        ("a.wav", "DOUBLE"),
        ("a.flac", "PCM_16"),
        ("a.aiff", "PCM_16"),
        ("a.au", "PCM_16"),
        ("a.caf", "PCM_24"),
        ("a.w64", "PCM_16"),
    ],
)
def test_every_lossless_format_gives_the_same_samples(
    tmp_path: Path, name: str, subtype: str
) -> None:
    samples = noise()
    soundfile.write(tmp_path / name, samples / 32768, SAMPLE_RATE_HZ, subtype)
    assert np.array_equal(sound_of(tmp_path / name), samples)


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3"])
def test_compressed_files_keep_their_length(tmp_path: Path, name: str) -> None:
    assert len(sound_of(write(tmp_path / name, noise()))) == pytest.approx(16_000, abs=1_500)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000])
def test_any_rate_becomes_16_khz_with_the_same_duration(tmp_path: Path, rate_hz: int) -> None:
    blocks = list(read_blocks(write(tmp_path / "a.wav", noise(0.7, rate_hz), rate_hz)))
    assert sum(block.duration_s for block in blocks) == pytest.approx(0.7, abs=1e-3)
    assert blocks[-1].time_s + blocks[-1].duration_s == pytest.approx(0.7, abs=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = noise(channels=2)
    expected = np.rint(stereo.mean(axis=1))
    assert sound_of(write(tmp_path / "a.wav", stereo)) == pytest.approx(expected, abs=1)
    opposed = np.column_stack([stereo[:, 0], -stereo[:, 0]])
    assert not sound_of(write(tmp_path / "b.wav", opposed)).any()


def test_floats_beyond_full_scale_are_clipped(tmp_path: Path) -> None:
    path = tmp_path / "hot.wav"
    soundfile.write(path, np.array([1.5, -1.5, 0.5]), SAMPLE_RATE_HZ, subtype="FLOAT")
    assert sound_of(path).tolist() == [32767, -32768, 16384]


def test_silence_and_clipping_are_sound_like_any_other(tmp_path: Path) -> None:
    for value in (0, 32767):
        samples = np.full(8_000, value, np.int16)
        assert np.array_equal(sound_of(write(tmp_path / "a.wav", samples)), samples)


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_a_clip_shorter_than_one_frame_is_read(tmp_path: Path, count: int, rate_hz: int) -> None:
    samples = np.ones(count, np.int16)
    length = len(sound_of(write(tmp_path / "a.wav", samples, rate_hz)))
    assert length == pytest.approx(count * SAMPLE_RATE_HZ / rate_hz, abs=1)


def test_an_hour_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.flac"
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, "PCM_16") as file:
        minute = np.zeros(60 * SAMPLE_RATE_HZ, np.int16)
        for _ in range(60):
            file.write(minute)
    tracemalloc.start()
    try:
        heard_s = sum(block.duration_s for block in read_blocks(path, block_s=1.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert heard_s == pytest.approx(3600)
    assert peak < 5e6  # the hour itself is 115 MB


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.aiff"])
def test_a_file_cut_off_is_read_to_its_end_and_reported(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / name, noise(3.0))
    whole = sound_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        sound = sound_of(path)
    assert 0 < len(sound) < len(whole)
    assert np.array_equal(sound[:8_000], whole[:8_000])
    if name != "a.ogg":  # whose header promises no length
        assert f"{path} is truncated" in caplog.text


def test_a_good_file_is_read_without_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.w64"):
        sound_of(write(tmp_path / name, noise()))
    assert not caplog.text


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "PCM_16"])
def test_a_rate_of_bytes_that_is_rounded_otherwise_is_no_damage(
    tmp_path: Path, subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "phone.wav"
    soundfile.write(path, noise(), SAMPLE_RATE_HZ, subtype)
    header = bytearray(path.read_bytes())
    told, expected = struct.unpack_from("<I", header, 28)[0], len(sound_of(path))
    for other in (told - told % 1000, 0):  # as encoders other than libsndfile write it
        struct.pack_into("<I", header, 28, other)
        path.write_bytes(header)
        assert len(sound_of(path)) == expected
    assert not caplog.text
    path.write_bytes(header[: len(header) // 2])
    sound_of(path)
    assert "is truncated or damaged" in caplog.text


def make_missing(path: Path) -> None:
    """A file that never was, or is gone when its turn comes."""


def make_empty(path: Path) -> None:
    path.touch()


def make_header_only(path: Path) -> None:
    write(path, noise(0.0))


def make_cut_in_header(path: Path) -> None:
    write(path, noise())
    path.write_bytes(path.read_bytes()[:30])


def make_text(path: Path) -> None:
    path.write_text("This is a shopping list.\n" * 50)


def make_nan(path: Path) -> None:
    samples = noise().astype(np.float32) / 32768
    samples[9_000] = np.nan
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="FLOAT")


def make_infinite(path: Path) -> None:
    soundfile.write(path, np.full(10, np.inf), SAMPLE_RATE_HZ, subtype="FLOAT")


def make_wild_rate(path: Path) -> None:
    write(path, noise(), 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_missing, "does not exist"),
        (make_empty, "is empty"),
        (make_header_only, "contains no sound"),
        (make_cut_in_header, "is not audio"),
        (make_text, "is not audio"),
        (make_nan, "not numbers"),
        (make_infinite, "not numbers"),
        (make_wild_rate, "sample rate of 1 Hz"),
        (Path.mkdir, "contains no readable audio file"),
    ],
)
def test_a_bad_file_gives_one_sentence_that_names_it(
    tmp_path: Path, make: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "bad.wav"
    make(path)
    with pytest.raises(AudioSourceError) as caught:
        list(read_blocks(path))
    sentence = str(caught.value)
    assert str(path) in sentence
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@given(st.binary(max_size=400), st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3"]))
def test_no_bytes_at_all_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.wav"
    path.write_bytes(magic + content)
    try:
        assert all(block.samples.dtype == np.int16 for block in read_blocks(path))
    except AudioSourceError as error:
        assert str(path) in str(error)


@pytest.fixture
def forbidden_file(tmp_path: Path) -> Iterator[Path]:
    path = write(tmp_path / "a.wav", noise())
    path.chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may read everything
    yield path
    os.seteuid(user)


def test_a_file_without_permission_says_so(forbidden_file: Path) -> None:
    with pytest.raises(AudioSourceError, match="chmod"):
        list(read_blocks(forbidden_file))


def test_folders_are_walked_in_order_and_named_files_always_taken(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/1.FLAC", "a/x/y.ogg", "a/notes.txt", "b/._1.wav", "b/m.mat"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    named = tmp_path / "a" / "notes.txt"
    found, others = find_audio_files([named, tmp_path])
    assert found == [
        named,
        tmp_path / "a/x/y.ogg",
        tmp_path / "b/1.FLAC",
        tmp_path / "b/2.wav",
    ]
    assert others == {".txt": 1, ".mat": 1}


def test_a_path_without_audio_stays_in_the_list_to_be_reported(tmp_path: Path) -> None:
    found, _ = find_audio_files([tmp_path, str(tmp_path / "gone.wav")])
    assert found == [tmp_path, tmp_path / "gone.wav"]


def test_a_file_that_vanishes_after_listing_is_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise())
    (listed,), _ = find_audio_files([tmp_path])
    path.unlink()
    with pytest.raises(AudioSourceError, match="does not exist"):
        list(read_blocks(listed))


def test_a_file_in_real_time_waits_by_a_clock_that_nobody_sets(tmp_path: Path) -> None:
    now_s = 0.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        slept.append(seconds)

    blocks = read_blocks(write(tmp_path / "a.wav", noise(1.0)))
    given = list(Recording(blocks, 1e9, sleep, lambda: now_s))
    assert sum(slept) == pytest.approx(0.9)
    assert [block.time_s - 1e9 for block in given] == pytest.approx([n / 10 for n in range(10)])
