"""Formats that libsndfile does not read, in files that FFmpeg's encoders have just written."""

import logging
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from undertone import cli
from undertone.audio.block import SAMPLE_RATE_HZ, Samples
from undertone.audio.ffmpeg import FFMPEG_SUFFIXES
from undertone.audio.files import find_audio_files, length_s, read_blocks
from undertone.errors import AudioSourceError
from undertone.samples import clips
from undertone.support.installation import add_extra

av = pytest.importorskip("av", reason="no PyAV: pip install -e '.[formats]'")

ENCODED = {
    "a.m4a": ("ipod", "aac", 44_100, "mono"),
    "a.aac": ("adts", "aac", 48_000, "stereo"),
    "a.mp4": ("mp4", "aac", 48_000, "5.1"),
    "a.mov": ("mov", "alac", 44_100, "stereo"),
    "a.webm": ("webm", "libopus", 48_000, "mono"),
    "a.mka": ("matroska", "libmp3lame", 16_000, "mono"),
    "a.3gp": ("3gp", "libopencore_amrnb", 8_000, "mono"),
    "a.amr": ("amr", "libopencore_amrnb", 8_000, "mono"),
    "a.wma": ("asf", "wmav2", 44_100, "stereo"),
}
CLIP = clips()[4]


def clip() -> Samples:
    return np.concatenate([block.samples for block in read_blocks(CLIP)])


def sound_of(path: Path) -> Samples:
    return np.concatenate([block.samples for block in read_blocks(path)])


def write(path: Path, sound: Samples | None, *, video: bool = False, **options: str) -> Path:
    """Encode mono ``sound`` at 16 kHz as the name says, after a black picture or two."""
    form, codec, rate_hz, layout = ENCODED[f"a{path.suffix}"]
    with av.open(str(path), "w", format=form, options=options) as container:
        pictures = container.add_stream("mpeg4", rate=10) if video else None
        if pictures:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        stream = None
        if sound is not None:
            stream = container.add_stream(codec, rate=rate_hz, layout=layout)
            if codec == "wmav2":  # has no default
                stream.bit_rate = 64_000
        if pictures:
            for _ in range(2):
                picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode())
        if stream and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[np.newaxis], "s16", "mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            for packet in (*stream.encode(frame), *stream.encode()):
                container.mux(packet)
    return path


@pytest.mark.parametrize("name", ENCODED)
def test_every_format_has_the_sound_that_was_encoded(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / name, clip())
    expected, sound = clip().astype(float), sound_of(path).astype(float)
    assert len(sound) == pytest.approx(len(expected), abs=0.15 * SAMPLE_RATE_HZ)
    assert length_s(path) == pytest.approx(len(sound) / SAMPLE_RATE_HZ)
    # where it fits best: encoders add a delay
    size = 2**18
    spectra = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(expected, size))
    best = np.fft.irfft(spectra).max()
    least = 0.7 if "amr" in ENCODED[name][1] else 0.95
    assert best / (np.linalg.norm(sound) * np.linalg.norm(expected)) > least
    assert not caplog.text


def test_the_sound_of_a_video_under_a_wrong_name_is_classified(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", clip(), video=True).rename(tmp_path / "talk.wav")
    result = CliRunner().invoke(cli.undertone, ["classify", str(path), "--format", "json"])
    assert result.exit_code == 0, result.output
    assert '"label"' in result.stdout


def test_a_file_is_listened_to(tmp_path: Path) -> None:
    path, journal = write(tmp_path / "a.m4a", clip()), tmp_path / "journal"
    arguments = ["listen", "--source", str(path), "--fast", "--journal", str(journal)]
    result = CliRunner().invoke(cli.undertone, arguments)
    assert result.exit_code == 0, result.output
    (file,) = journal.glob("*.jsonl")
    assert '"event": "segment"' in file.read_text()


def test_folders_are_searched_for_every_format(tmp_path: Path) -> None:
    paths = [tmp_path / f"a{suffix}" for suffix in sorted(FFMPEG_SUFFIXES)]
    for path in paths:
        path.touch()
    assert find_audio_files([tmp_path]) == (paths, Counter())


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", None, video=True)
    with pytest.raises(AudioSourceError, match=r"a\.mp4 has no audio stream .* name a file"):
        list(read_blocks(path))


@pytest.mark.parametrize("name", ["a.aac", "a.webm", "a.mka", "a.amr", "fast.m4a"])
def test_a_file_cut_off_is_read_to_its_end_and_reported(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"movflags": "faststart"} if name == "fast.m4a" else {}
    path = write(tmp_path / name, clip(), **options)
    whole = sound_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with caplog.at_level(logging.WARNING):
        sound = sound_of(path)
    assert len(whole) / 3 < len(sound) < len(whole)
    assert np.array_equal(sound[:8_000], whole[:8_000])
    assert f"{path} is truncated" in caplog.text


def test_an_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a", clip())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioSourceError, match=r"is not audio that can be read .* copy it again"):
        list(read_blocks(path))


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    other = write(tmp_path / "a.aac", clip())
    path = tmp_path / "list.m4a"
    path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{other}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(AudioSourceError, match="is not audio"):
        list(read_blocks(path))


def test_no_damage_raises_anything_else(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ENCODED:
        path = write(tmp_path / name, clip()[:16_000])
        good = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(20):
            damaged = good.copy()
            where = generator.integers(0, len(good) // generator.choice([1, 20]), 5)
            damaged[where] = generator.integers(0, 256, 5)
            path.write_bytes(damaged.tobytes())
            try:
                assert all(block.samples.dtype == np.int16 for block in read_blocks(path))
            except AudioSourceError as error:
                assert str(path) in str(error)


def test_a_long_file_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mka", np.zeros(600 * SAMPLE_RATE_HZ, np.int16))
    tracemalloc.start()
    try:
        heard_s = sum(block.duration_s for block in read_blocks(path, block_s=1.0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert heard_s == pytest.approx(600)
    assert peak < 3e6  # all of it is 19 MB


def test_without_pyav_the_error_names_the_command_that_adds_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a", clip())
    program = (
        "import sys; sys.modules['av'] = None; from undertone.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "classify", str(tmp_path), str(CLIP)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert f"or AMR, {add_extra('formats')}.\n" in done.stderr
    assert CLIP.name in done.stdout  # the other file is classified
    assert "Traceback" not in done.stderr
