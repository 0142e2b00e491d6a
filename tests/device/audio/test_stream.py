"""Sound from the network, from real servers: HTTP, HTTPS, and RTSP by GStreamer."""

import io
import logging
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stream_servers import HOST, Radio, RtspServer, what_rtsp_is_missing
from undertone.audio import child_process, stream
from undertone.audio.address import NetworkAddress
from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.files import read_blocks
from undertone.audio.microphone import Microphone
from undertone.audio.stream import NetworkInput, StreamFormat
from undertone.audio.watchdog import WatchdogConfig
from undertone.errors import AudioSourceError, RuntimeMissingError
from undertone.events import CaughtUp, Gap, Idle, SourceBack, SourceLost
from undertone.samples import clips
from undertone.support.installation import add_extra

av = pytest.importorskip("av", reason="no PyAV: pip install -e '.[formats]'")

LIMIT_S = 60.0
FORMATS = {
    "adts": ("aac", 44_100, "stereo"),
    "mp3": ("libmp3lame", 44_100, "stereo"),
    "ogg": ("libopus", 48_000, "mono"),
    "wav": ("pcm_s16le", 8_000, "mono"),
    "flac": ("flac", 16_000, "mono"),
    "mpegts": ("aac", 48_000, "mono"),
    "webm": ("libopus", 48_000, "stereo"),
}
SOON = WatchdogConfig(no_samples_s=2.0, first_delay_s=0.01, longest_delay_s=0.1)
"""Reopens at once, but never gives up a busy server too soon."""

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n"
OF_HLS = "application/vnd.apple.mpegurl"

CLIP = np.concatenate([block.samples for block in read_blocks(clips()[4])])


def encoded(
    form: str, sound: Samples | None = CLIP, *, video: bool = False, rate_hz: int | None = None
) -> bytes:
    """A file with mono ``sound`` at 16 kHz, after a second of black pictures."""
    codec, usual_hz, layout = FORMATS[form]
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        pictures = container.add_stream("mpeg2video", rate=25) if video else None
        voice = None
        if sound is not None:
            voice = container.add_stream(codec, rate=rate_hz or usual_hz, layout=layout)
        if pictures:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            for _ in range(25):
                picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode())
        if voice and sound is not None:
            frame = av.AudioFrame.from_ndarray(sound[np.newaxis], "s16", "mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            for packet in (*voice.encode(frame), *voice.encode()):
                container.mux(packet)
    return file.getvalue()


def live(sound: Samples) -> Radio:
    """A radio that sends ``sound`` a little faster than real time."""
    data = encoded("ogg", sound)
    return Radio(data, bytes_per_s=1.2 * len(data) / len(sound) * SAMPLE_RATE_HZ, hangs=True)


def decoded(url: str) -> Samples:
    """All that the decoder reads there, as fast as it comes."""
    process = stream._start_decoder(NetworkAddress(url).url)
    assert process.stdout
    process.stdout.readline()
    sound = process.stdout.read()
    child_process.end(process)
    return np.frombuffer(sound, np.int16)


def similarity(sound: Samples, expected: Samples) -> float:
    """The largest correlation, wherever ``expected`` begins in ``sound``."""
    one, other = sound.astype(float), expected.astype(float)
    size = 2 ** (len(one) + len(other)).bit_length()
    spectra = np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size))
    best = np.fft.irfft(spectra).max()
    return float(best / (np.linalg.norm(one) * np.linalg.norm(other)))


def opened(url: str, **others: WatchdogConfig) -> Microphone:
    source = NetworkInput(NetworkAddress(url))
    return Microphone(source=source, poll_s=0.02, **({"watchdog": SOON} | others))


Item = Block | Gap | SourceLost | SourceBack


def heard(microphone: Microphone) -> Iterator[Item]:
    """What it yields but for CaughtUp and Idle; a wait in vain fails the test."""
    end_s = time.monotonic() + LIMIT_S
    for item in microphone:
        assert time.monotonic() < end_s, "nothing came"
        if not isinstance(item, CaughtUp | Idle):
            yield item


def until(items: Iterator[Item], kind: type[Item]) -> list[Item]:
    """The items to the first of this kind."""
    taken = []
    for item in items:
        taken.append(item)
        if isinstance(item, kind):
            return taken
    pytest.fail("it ended")


def decoders() -> dict[int, str]:
    """The command lines of this process's decoders, by their process ids."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().replace("\0", " ")
            status = (folder / "status").read_text()
        except OSError:  # it has ended
            continue
        if "stream_decoder" in command and f"PPid:\t{os.getpid()}\n" in status:
            found[int(folder.name)] = command
    return found


# what is decoded


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_sound_that_was_sent(form: str) -> None:
    with Radio(encoded(form)) as radio:
        sound = decoded(radio.url())
    assert len(sound) == pytest.approx(len(CLIP), abs=0.1 * SAMPLE_RATE_HZ)
    assert similarity(sound, CLIP) > 0.95


@pytest.mark.parametrize("form", ["adts", "mp3"])
def test_a_change_of_the_rate_on_the_way_is_followed(form: str) -> None:
    quiet = (CLIP // 2).astype(np.int16)
    both = encoded(form) + encoded(form, quiet, rate_hz=16_000)
    with Radio(both) as radio:
        sound = decoded(radio.url())
    assert len(sound) == pytest.approx(2 * len(CLIP), abs=0.2 * SAMPLE_RATE_HZ)
    for half in (sound[: len(CLIP)], sound[-len(CLIP) :]):
        assert similarity(half, CLIP) > 0.9


def test_damage_on_the_way_costs_a_moment_and_not_the_connection() -> None:
    data = bytearray(encoded("adts"))
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    with Radio(bytes(data)) as radio:
        sound = decoded(radio.url())
    assert len(sound) > 0.8 * len(CLIP)


def test_a_playlist_is_followed_to_addresses_but_not_to_files(tmp_path: Path) -> None:
    file = tmp_path / "sound.ts"
    file.write_bytes(encoded("mpegts"))
    with Radio(file.read_bytes(), kind="video/mp2t") as radio:
        with Radio(HLS.format(radio.url(path="sound.ts")).encode(), kind=OF_HLS) as station:
            assert similarity(decoded(station.url()), CLIP) > 0.95
        with Radio(HLS.format(file.as_uri()).encode(), kind=OF_HLS) as station:
            assert len(decoded(station.url())) == 0


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("mp3", ("MP3 (MPEG audio layer 3)", 44_100, 2)),
        ("wav", ("PCM signed 16-bit little-endian", 8_000, 1)),
    ],
)
def test_what_is_sent_is_known_once_it_is_open(form: str, expected: tuple[str, int, int]) -> None:
    with Radio(encoded(form)) as radio:
        sound = NetworkInput(NetworkAddress(radio.url())).open(lambda *_: None)
        sound.close()
    assert sound.form == StreamFormat(*expected)


def test_the_sound_of_a_video_is_taken() -> None:
    with Radio(encoded("mpegts", video=True)) as radio:
        assert similarity(decoded(radio.url()), CLIP) > 0.95


# what can't be listened to


def refused(url: str) -> str:
    """Why this can't be opened: the same sentence as everywhere, without secrets."""
    address = NetworkAddress(url)
    with pytest.raises(AudioSourceError) as error:
        NetworkInput(address).open(lambda *_: None)
    message = str(error.value)
    assert message.startswith(f"{address} can't be listened to: ")
    assert message.endswith(".") and "secret" not in message
    assert decoders() == {}
    return message


@pytest.mark.parametrize(
    ("radio", "problem"),
    [
        (Radio(b"", login="me:secret"), "refuses the user or the password"),
        (Radio(b"", status=403), "refuses the user or the password"),
        (Radio(b"", status=404), "has no such stream"),
        (Radio(b"", status=500), "answers with an error (Server returned 5XX"),
        (Radio(b"<html>" + b"text " * 2000), "no sound that can be decoded"),
        (Radio(b""), "no sound that can be decoded"),
        (Radio(b"http://127.0.0.1:9/a.mp3\n"), "not a page or a list of stations"),
        (Radio(b"", status=302, location=f"file://{clips()[4]}"), "not on the network"),
    ],
)
def test_what_a_server_does_instead_of_sending_sound_is_said(radio: Radio, problem: str) -> None:
    with radio:
        for login in ("", "me:secret-wrong@"):
            assert problem in refused(radio.url(login=login))


def test_a_stream_without_sound_says_so() -> None:
    with Radio(encoded("mpegts", None, video=True)) as radio:
        assert "it has no sound; switch the camera's microphone on" in refused(radio.url())


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_is_absent_is_reported(scheme: str) -> None:
    with Radio(b"") as radio:
        pass
    assert "nothing answers at that address" in refused(radio.url(scheme))


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_name_of_no_machine_is_reported(scheme: str) -> None:
    assert "there is no machine of that name" in refused(f"{scheme}://me:secret@none.invalid/a")


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_sends_nothing_is_given_up(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "OPEN_S", 0.5)
    with socket.create_server((HOST, 0)) as server:
        url = f"{scheme}://me:secret@{HOST}:{server.getsockname()[1]}/"
        assert "its server does not answer" in refused(url)


@pytest.mark.parametrize(
    ("program", "problem"),
    [(["sleep", "60"], "does not answer"), (["false"], "the decoder failed (exit status 1)")],
)
def test_a_decoder_that_hangs_or_fails_is_ended(
    program: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(url: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    monkeypatch.setattr(stream, "_start_decoder", start)
    monkeypatch.setattr(stream, "_START_S", 0.2)
    monkeypatch.setattr(stream, "OPEN_S", 0.2)
    assert problem in refused("http://host/live")


def test_without_pyav_the_command_that_adds_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "find_spec", lambda name: None)
    with pytest.raises(RuntimeMissingError, match=re.escape(add_extra("formats"))):
        NetworkInput(NetworkAddress("http://host/a")).open(lambda *_: None)


# TLS


Certify = Callable[[str], tuple[str, str]]


@pytest.fixture
def certify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certify:
    """Makes a certificate for a name, and its key; the certificate is trusted."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")

    def make(name: str) -> tuple[str, str]:
        certificate, key = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        to = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={name}"]
        files = ["-keyout", key, "-out", certificate]
        subprocess.run([*new, *to, *files], check=True, capture_output=True)
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        return certificate, key

    return make


@pytest.fixture
def secure(certify: Certify) -> Iterator[Callable[[str], Radio]]:
    """Gives a radio with TLS whose own certificate is for a name, and which is trusted."""
    radios = []

    def make(name: str) -> Radio:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certify(name))
        radio = Radio(encoded("flac"))
        radio.start()
        assert radio._server
        radio._server.socket = context.wrap_socket(radio._server.socket, server_side=True)
        radios.append(radio)
        return radio

    yield make
    for radio in radios:
        radio.kill()


def test_a_certificate_that_is_trusted_proves_the_server(secure: Callable[[str], Radio]) -> None:
    assert len(decoded(secure(f"IP:{HOST}").url("https"))) > 0.9 * len(CLIP)


def test_a_certificate_for_another_name_is_refused(secure: Callable[[str], Radio]) -> None:
    assert "its certificate is not trusted" in refused(secure("DNS:other.local").url("https"))


def test_a_certificate_that_nobody_trusts_is_refused(
    secure: Callable[[str], Radio], monkeypatch: pytest.MonkeyPatch
) -> None:
    radio = secure(f"IP:{HOST}")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "SSL_CERT_FILE" in refused(radio.url("https"))


# listening


def test_sound_that_comes_all_at_once_is_heard_in_real_time() -> None:
    with Radio(encoded("wav", np.tile(CLIP, 20))) as radio:
        begin_s, begin = time.time(), time.monotonic()
        with opened(radio.url()) as microphone:
            blocks = []
            for item in heard(microphone):
                assert isinstance(item, Block)
                blocks.append(item)
                if sum(block.duration_s for block in blocks) >= 3.0:
                    break
            sound_s = sum(block.duration_s for block in blocks)
            passed_s = time.monotonic() - begin
            microphone.close()
    assert passed_s > (sound_s - 0.2) / stream.PACE
    for one, other in pairwise(blocks):
        assert other.time_s == pytest.approx(one.time_s + one.duration_s, abs=0.05)
    assert begin_s - 0.5 < blocks[0].time_s < blocks[-1].time_s < time.time()
    whole = np.concatenate([block.samples for block in blocks])
    assert similarity(whole, np.tile(CLIP, 20)[: len(whole)]) > 0.9
    assert decoders() == {}


def test_the_password_is_sent_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    short = encoded("ogg", CLIP[:SAMPLE_RATE_HZ])
    with Radio(short, login="m@e:secret/%", hangs=True) as radio:
        url = radio.url(login="m%40e:secret%2F%25@") + "?token=secret"
        with caplog.at_level(logging.DEBUG), opened(url) as microphone:
            assert microphone.name == radio.url()
            (command,) = decoders().values()
            lost = until(heard(microphone), SourceLost)[-1]
    assert isinstance(lost, SourceLost) and lost.source == radio.url()
    assert "secret" not in command + repr(lost) + caplog.text


def crash(radio: Radio) -> None:
    (decoder,) = decoders()
    os.kill(decoder, signal.SIGSEGV)


def restart(radio: Radio) -> None:
    radio.kill()
    radio.start()


@pytest.mark.parametrize("harm", [restart, crash])
def test_a_stream_that_ends_is_lost_and_then_back(harm: Callable[[Radio], None]) -> None:
    with live(np.tile(CLIP, 20)) as radio:
        begin_s = time.time()
        with opened(radio.url()) as microphone:
            items = heard(microphone)
            until(items, Block)
            harm(radio)
            before = until(items, SourceLost)
            (back,) = until(items, SourceBack)
            after = until(items, Block)
            microphone.close()
    lost = before[-1]
    assert isinstance(lost, SourceLost) and isinstance(back, SourceBack)
    assert (lost.source, lost.reason) == (radio.url(), "its stream ended")
    assert back.source == radio.url()
    assert 0 < back.missed_s < time.time() - begin_s
    assert isinstance(after[-1], Block)
    assert lost.time.timestamp() <= after[-1].time_s + 0.5 < time.time() + 0.5


def test_a_stream_that_stops_coming_is_lost() -> None:
    with (
        Radio(encoded("ogg", CLIP[:SAMPLE_RATE_HZ]), hangs=True) as radio,
        opened(radio.url(), watchdog=WatchdogConfig(no_samples_s=0.5)) as microphone,
    ):
        taken = until(heard(microphone), SourceLost)
    assert isinstance(taken[-1], SourceLost) and taken[-1].reason.startswith("no samples for")
    sound = sum(len(item.samples) for item in taken if isinstance(item, Block))
    assert sound == pytest.approx(SAMPLE_RATE_HZ, abs=0.2 * SAMPLE_RATE_HZ)


def test_why_a_lost_stream_can_not_be_reopened_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Radio(encoded("wav", np.tile(CLIP, 20))) as radio:
        source = NetworkInput(NetworkAddress(radio.url()))
        source.open(lambda *_: None).close()
        radio.kill()
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                with pytest.raises(AudioSourceError):
                    source.open(lambda *_: None)
    (message,) = caplog.messages
    assert message.startswith(f"{radio.url()} can't be reached: nothing answers")


def test_closing_ends_a_decoder_that_waits_for_a_server_in_vain() -> None:
    with Radio(encoded("wav", CLIP[:SAMPLE_RATE_HZ])) as radio, opened(radio.url()) as microphone:
        radio.sound, radio.hangs = b"", True
        first = decoders().keys()  # none if it has played its second already
        items = iter(microphone)
        while not decoders().keys() - first:
            next(items)
        microphone.close()
        assert not [item for item in items if isinstance(item, Block)]
        end_s = time.monotonic() + LIMIT_S
        while decoders():  # it was killed, and ends soon
            assert time.monotonic() < end_s


# RTSP


@pytest.fixture
def camera() -> Iterator[Callable[..., RtspServer]]:
    """Gives RTSP servers that are running."""
    if missing := what_rtsp_is_missing():
        pytest.skip(missing)
    servers = []

    def make(pipeline: str, *login: str) -> RtspServer:
        servers.append(RtspServer(pipeline, *login))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


PICTURES = "videotestsrc is-live=true ! video/x-raw,width=64,height=48 ! vp8enc ! rtpvp8pay"
TONE = "audiotestsrc is-live=true freq=500 ! audioconvert ! audio/x-raw,rate={} ! {}"
LAW = TONE.format(8000, "alawenc ! rtppcmapay")
AAC = TONE.format(44100, "voaacenc ! rtpmp4gpay")


def tone_hz(blocks: list[Block]) -> float:
    sound = np.concatenate([block.samples for block in blocks]).astype(float)
    return float(np.abs(np.fft.rfft(sound)).argmax() * SAMPLE_RATE_HZ / len(sound))


@pytest.mark.parametrize("sound", [LAW, AAC])
def test_the_sound_of_a_camera_is_heard(camera: Callable[..., RtspServer], sound: str) -> None:
    server = camera(f"{PICTURES} name=pay0 {sound} name=pay1", "me", "p@ss/w%rd")
    url = f"rtsp://me:p%40ss%2Fw%25rd@{HOST}:{server.port}/live"
    with opened(url) as microphone:
        items = heard(microphone)
        blocks = [item for _, item in zip(range(10), items, strict=False)]
        microphone.close()
    assert all(isinstance(item, Block) for item in blocks)
    assert tone_hz(blocks) == pytest.approx(500, abs=5)


def test_a_camera_refuses_a_wrong_password(camera: Callable[..., RtspServer]) -> None:
    server = camera(f"{LAW} name=pay0", "me", "right")
    url = f"rtsp://me:secret@{HOST}:{server.port}/live"
    assert "refuses the user or the password" in refused(url)
    assert "has no such stream" in refused(f"rtsp://me:right@{HOST}:{server.port}/other")


@pytest.mark.parametrize(
    ("name", "trusted", "problem"),
    [
        (f"IP:{HOST}", True, ""),
        ("DNS:other.local", True, "its certificate is not trusted, or for another name"),
        (f"IP:{HOST}", False, "its certificate is not trusted, or for another name"),
    ],
)
def test_a_camera_with_tls_proves_itself_by_its_certificate(
    camera: Callable[..., RtspServer],
    certify: Certify,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trusted: bool,
    problem: str,
) -> None:
    server = camera(f"{LAW} name=pay0", "me", "secret", *certify(name))
    if not trusted:
        monkeypatch.delenv("SSL_CERT_FILE")
    url = f"rtsps://me:secret@{HOST}:{server.port}/live"
    if problem:
        assert problem in refused(url)
        return
    with opened(url) as microphone:
        blocks = [item for _, item in zip(range(10), heard(microphone), strict=False)]
        microphone.close()
    assert tone_hz([item for item in blocks if isinstance(item, Block)]) == pytest.approx(
        500, abs=5
    )


def test_a_camera_without_a_microphone_says_so(camera: Callable[..., RtspServer]) -> None:
    server = camera(f"{PICTURES} name=pay0")
    assert "it has no sound" in refused(f"rtsp://{HOST}:{server.port}/live")


def test_a_camera_that_restarts_is_lost_and_then_back(camera: Callable[..., RtspServer]) -> None:
    server = camera(f"{LAW} name=pay0")
    with opened(f"rtsp://{HOST}:{server.port}/live") as microphone:
        items = heard(microphone)
        until(items, Block)
        server.kill()
        until(items, SourceLost)
        server.start()
        (back,) = until(items, SourceBack)
        until(items, Block)
        microphone.close()
    assert isinstance(back, SourceBack) and back.missed_s > 0
