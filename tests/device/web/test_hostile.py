"""What may be sent to the page, by one or by many at once; the server lives on, in its memory."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")

import soundfile

from hostile_uploads import NAMES, RUBBISH, sound
from undertone.samples import clips
from undertone.web.uploads import LARGEST_MB, TOGETHER_MB
from web_page import PageServer
from web_visitor import Visitor

MB = 2**20
USERS = 20


@pytest.fixture
def visitor(server: PageServer) -> Iterator[Visitor]:
    inside = Visitor(server.url)
    yield inside
    inside.close()


def shows(texts: list[str], words: str) -> bool:
    return any(words in text for text in texts)


def test_a_recording_of_a_phone_is_read(visitor: Visitor) -> None:
    av = pytest.importorskip("av", reason="no PyAV: pip install -e '.[formats]'")
    samples, rate_hz = soundfile.read(clips()[4], dtype="int16")
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], "s16", "mono")
    frame.sample_rate = rate_hz
    file = io.BytesIO()
    with av.open(file, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate_hz, layout="mono")
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    assert shows(visitor.classify("memo.m4a", file.getvalue()), "angry")


@pytest.mark.parametrize("what", RUBBISH)
def test_rubbish_called_wav_is_one_sentence(visitor: Visitor, what: str) -> None:
    shown = visitor.classify("rubbish.wav", RUBBISH[what]())
    sentence = shown[-1].replace("\\", "")
    assert sentence.startswith("rubbish.wav ")
    assert sentence.endswith(".")
    assert "Traceback" not in sentence
    assert shows(visitor.classify("clip.flac", clips()[4].read_bytes()), "angry")


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_text_and_nothing_else(visitor: Visitor, name: str) -> None:
    from undertone.web.theme import plain

    shown = visitor.classify(name, b"no sound")
    assert plain(name) in shown
    assert any("is not audio" in text for text in shown)


NO_NAMES = ["..", "", " ", "\0", "a\0b.wav", "\n", "/", "program.exe"]


@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
def test_a_file_that_is_not_called_like_a_recording_is_refused(visitor: Visitor, name: str) -> None:
    assert visitor.classify(name, b"no sound") == [
        "refused with 400: A file's name must have the suffix of an audio file, such as speech.wav."
    ]
    assert shows(visitor.classify("clip.flac", clips()[4].read_bytes()), "angry")


def test_a_name_of_two_lines_is_no_form(visitor: Visitor) -> None:
    assert visitor.classify("a\r\nb.wav", b"no sound") == [
        "refused with 400: Invalid multipart data."
    ]


def test_names_in_a_browser_fetch_and_run_nothing(visit: Any, tmp_path: Path) -> None:
    page = visit("/classify")
    named = "![x](http:example.org) <img src=x onerror=alert(1)>.wav"
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.locator("input[type=file]").set_input_files(
        {"name": named, "mimeType": "audio/wav", "buffer": clips()[4].read_bytes()}
    )
    page.get_by_role("heading", name=named).wait_for()
    page.get_by_text("MFCC over time").wait_for()
    assert page.locator("main img[src='x']").count() == 0


def test_a_file_that_is_too_large_is_refused_by_browser_and_server(
    visit: Any, server: PageServer, visitor: Visitor, tmp_path: Path
) -> None:
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(200 * MB)
    page = visit("/classify")
    page.locator("input[type=file]").set_input_files(large)
    page.get_by_text("128.0MB or smaller").first.wait_for()
    assert visitor.put("/_stcore/upload_file/a/b", "large.wav", bytes(129 * MB)) == 413


def test_an_upload_needs_a_session_and_a_token(visitor: Visitor) -> None:
    assert visitor.put("/_stcore/upload_file/a/b", "x.wav", b"x", token=False) == 403
    assert visitor.put("/_stcore/upload_file/a/b", "x.wav", b"x") == 400
    for path in ("/_stcore/upload_file/../../etc/passwd", "/media/../../etc/passwd"):
        assert visitor.put(path, "x.wav", b"x") >= 400


def test_an_hour_is_classified_to_its_end(visitor: Visitor) -> None:
    shown = visitor.classify("hour.flac", sound(3600, "FLAC"))
    assert shows(shown, "no speech found")


def test_twenty_at_once_take_the_memory_of_one_and_leave_nothing_behind(
    server: PageServer,
) -> None:
    before = server.peak_memory_bytes
    clip = clips()[4].read_bytes()
    large = sound(180) + bytes(14 * MB)  # 20 MB, of which the sound is the first part
    shown_last: list[str] = []

    def come(number: int) -> None:
        visitor = Visitor(server.url)
        shown = [visitor.classify("large.wav", large)[-1], visitor.classify("a.flac", clip)[-1]]
        shown_last.extend(shown)
        gone.wait(timeout=300)
        visitor.close()

    gone = threading.Barrier(USERS)
    threads = [threading.Thread(target=come, args=(number,)) for number in range(USERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shown_last) == 2 * USERS
    answers = {text[:16] if text.startswith("refused") else "classified" for text in shown_last}
    assert answers <= {"refused with 503", "classified"}
    assert "classified" in answers
    assert server.peak_memory_bytes - before < (TOGETHER_MB + LARGEST_MB) * MB
