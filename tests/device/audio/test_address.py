"""What is taken for an address on the network, and what of it may be seen."""

import pytest

from undertone.audio.address import NetworkAddress, is_address

BROKEN = "an address is like rtsp://"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://camera.local:554/live", "rtsp://camera.local:554/live"),
        ("rtsp://me:secret@camera.local/live", "rtsp://camera.local/live"),
        ("rtsps://me:secret@camera.local/live", "rtsps://camera.local/live"),
        ("rtsp://me:secret@part@camera.local/live", "rtsp://camera.local/live"),
        ("http://radio.local/live?token=secret", "http://radio.local/live"),
        ("http://radio.local/live#secret", "http://radio.local/live"),
        ("rtsp://camera/cam1/user=me_password=secret_channel=1/x", "rtsp://camera/cam1/..."),
        ("HTTPS://Radio.local/;stream.mp3", "https://Radio.local/;stream.mp3"),
        ("http://me:secret@[fe80::1]:80", "http://[fe80::1]:80"),
    ],
)
def test_as_text_an_address_has_no_secret(url: str, shown: str) -> None:
    address = NetworkAddress(url)
    assert str(address) == f"{address}" == shown
    assert "secret" not in repr(address)
    assert address.url.lower() == url.lower()
    assert address.has_secrets == ("secret" in url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("file:///etc/passwd", "name a file by its path, without file://"),
        ("ftp://secret@host/a.mp3", "begins with one of http://, https://, rtsp://"),
        ("http://host/a\nsecret", "no spaces or control characters"),
        ("http://host/a\x1b[31msecret", "no spaces or control characters"),
        ("http://host/\x00secret", "no spaces or control characters"),
        ("http://host/a secret", "write a space as %20"),
        ("rtsp://", BROKEN),
        ("rtsp://me:secret@/live", BROKEN),
        ("rtsp://me:secret@host:99999/live", BROKEN),
        ("rtsp://me:secret@host:0/live", BROKEN),
        ("rtsp://me:secret/x@host/live", BROKEN),
        ("rtsp://me:12/secret@host/live", BROKEN),
        ("rtsp://me:12?secret@host/live", BROKEN),
        ("rtsp://[::1/secret", BROKEN),
        ("http://host/" + 2048 * "secret", "at most 2048 characters"),
    ],
)
def test_what_is_no_address_of_sound_is_refused_without_repeating_it(
    url: str, problem: str
) -> None:
    assert is_address(url)
    with pytest.raises(ValueError, match=problem) as error:
        NetworkAddress(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("path", ["mic", "-", "talk.wav", "a:b.wav", "/a/b", "folder//a", ""])
def test_a_path_is_no_address(path: str) -> None:
    assert not is_address(path)
