"""What the doctor says of streams, from real servers."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from stream_servers import HOST, Radio
from undertone.audio import stream
from undertone.cli import undertone
from undertone.support.installation import add_extra

pytest.importorskip("av", reason="no PyAV: pip install -e '.[formats]'")

SECRET = "hunter2"
OF_THE_SOUND_CARD = {"portaudio", "microphone", "group audio"}


def sound(rate_hz: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((2 * rate_hz, 2)), rate_hz, format="FLAC")
    return file.getvalue()


@pytest.fixture(autouse=True)
def _nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERTONE_MODEL", str(tmp_path))  # nothing to load
    monkeypatch.setenv("UNDERTONE_JOURNAL", str(tmp_path))


def doctor(*arguments: str) -> Result:
    result = CliRunner().invoke(undertone, ["doctor", *arguments])
    assert SECRET not in result.output
    return result


def findings(*arguments: str) -> list[dict[str, str]]:
    lines = doctor("--format", "json", *arguments).stdout.splitlines()
    return [json.loads(line) for line in lines]


def of_streams(*arguments: str) -> list[tuple[str, str, str | None]]:
    return [
        (each["status"], each["sentence"], each["remedy"])
        for each in findings(*arguments)
        if each["name"] == "stream"
    ]


def test_what_a_stream_sends_is_said_without_its_password() -> None:
    with Radio(sound(48_000), login=f"me:{SECRET}") as radio:
        url = radio.url(login=f"me:{SECRET}@") + f"?token={SECRET}"
        codec = "FLAC (Free Lossless Audio Codec)"
        sentence = f"{radio.url()} sends {codec}, 48 kHz, channels: 2."
        assert of_streams("--source", url) == [("ok", sentence, None)]
        assert sentence in doctor("--source", url).stdout


def test_a_rate_below_the_models_is_a_warning() -> None:
    with Radio(sound(8_000)) as radio:
        ((status, sentence, remedy),) = of_streams("--source", radio.url())
    assert status == "warning"
    assert "8 kHz" in sentence and "need 16 kHz" in sentence
    assert remedy and "AAC or Opus" in remedy


def test_each_stream_that_can_not_be_heard_has_its_reason_and_remedy() -> None:
    with Radio(b"", login=f"me:{SECRET}") as closed, Radio(b"", status=500) as broken:
        with Radio(b"") as absent:
            pass
        wrong = closed.url(login=f"me:{SECRET}-no@")
        urls = [wrong, broken.url(), absent.url(), "rtsp://none.invalid/live"]
        options = [word for url in urls for word in ("--source", url)]
        found = of_streams(*options)
    assert [status for status, *_ in found] == ["problem"] * 4
    assert found[0][1:] == (
        f"{closed.url()} can't be listened to: its server refuses the user or the password.",
        "check both in the address",
    )
    assert found[1][2] == "check the address, the network, and the camera or server"
    assert found[2][1].endswith("nothing answers at that address.")
    assert found[3][1].endswith("there is no machine of that name.")
    assert doctor("--source", wrong).exit_code == 1


def test_without_pyav_the_command_that_adds_it_is_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "find_spec", lambda name: None)
    ((status, sentence, remedy),) = of_streams("--source", f"http://{HOST}/a")
    assert (status, remedy) == ("problem", add_extra("formats"))
    assert "PyAV" in sentence


@pytest.mark.parametrize(
    ("options", "hears_microphone"),
    [
        ([], False),
        (["--source", "mic"], True),
        (["--microphone", "no such microphone"], True),
    ],
)
def test_a_microphone_is_checked_only_if_it_is_listened_to(
    options: list[str], hears_microphone: bool
) -> None:
    with Radio(sound(16_000)) as radio:
        names = {each["name"] for each in findings("--source", radio.url(), *options)}
    assert "stream" in names
    assert bool(names & OF_THE_SOUND_CARD) == hears_microphone


def test_the_source_of_the_settings_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Radio(sound(16_000)) as radio:
        monkeypatch.setenv("UNDERTONE_SOURCE", radio.url(login=f"me:{SECRET}@"))
        ((status, *_),) = of_streams()
        assert status == "ok"
    monkeypatch.setenv("UNDERTONE_SOURCE", "talk.wav")
    assert of_streams() == []


def test_a_file_is_not_for_the_doctor() -> None:
    result = doctor("--source", "talk.wav", "--source", f"http://me:{SECRET}@{HOST}/a")
    assert result.exit_code == 2
    assert "undertone classify" in result.stderr
