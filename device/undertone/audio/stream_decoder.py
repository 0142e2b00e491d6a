"""The program that reads sound from the network, in a process of its own.

``python -m undertone.audio.stream_decoder`` reads a request, one line of JSON, from stdin, so that
no list of processes shows the address: ``url``, ``rate_hz``, ``open_s`` and ``read_s``.  When there
is sound, it writes one line of JSON to stdout, the ``codec``, ``rate_hz`` and ``channels`` of the
stream, then mono int16 at the ``rate_hz`` of the request until the stream ends; why it ended,
without the address, to stderr.  Neither a decoder that crashes nor a server that hangs can harm the
process that started it.  It imports no NumPy: 20 MB less.
"""

import json
import logging
import os
import resource
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PROTOCOLS = {
    "rtsp": "tcp",
    "rtsps": "tcp,tls",
    "http": "http,https,tls,tcp,httpproxy,crypto",
    "https": "http,https,tls,tcp,httpproxy,crypto",
}
"""What FFmpeg may open on the way: never a file, whatever a redirection or a playlist names."""

_DEMUXERS = {
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "http": "aac,aiff,asf,au,flac,flv,hls,matroska,mov,mp3,mpegts,ogg,wav",
}

_LARGEST_FRAME = 2**20
"""Samples, as for files."""

_MEMORY_BYTES = 256 * 2**20
"""Beyond what the libraries take; the sound of a camera takes a few MB."""

_CHECKS_CERTIFICATES = 62
"""The version of libavformat, in PyAV 16, from which on it does so for rtsps://."""

_NO_SOUND = "it has no sound; switch the camera's microphone on, or name another stream"


class _StreamError(Exception):
    """The stream can't be read, or not any more; the message is what the user gets."""


def main() -> None:
    """Read the request and write the sound; never raises because of what a server sends."""
    request = json.loads(sys.stdin.readline())
    logging.getLogger().addHandler(logging.NullHandler())
    import av

    av.logging.set_level(av.logging.ERROR)  # so that errors say which step failed
    _limit_resources()
    started_s = time.monotonic()
    try:
        for sound in _read(av, request):
            _write(sound)
        reason = "its server ended the stream"
    except _StreamError as error:
        reason = str(error)
    except BrokenPipeError:  # nobody listens any more
        return
    except (av.FFmpegError, ValueError, MemoryError) as error:  # some of FFmpeg's are Python's
        waited = time.monotonic() - started_s >= request["open_s"]
        reason = "its server does not answer" if waited else _reason(av, error)
    os.write(2, reason.encode())


def _read(av: Any, request: dict[str, Any]) -> Iterator[bytes]:
    url = request["url"]
    scheme = url.partition(":")[0]
    if scheme == "rtsps" and av.library_versions["libavformat"][0] < _CHECKS_CERTIFICATES:
        raise _StreamError("rtsps:// needs PyAV 16, which checks certificates; update av with pip")
    options = {
        "protocol_whitelist": _PROTOCOLS[scheme],
        "format_whitelist": _DEMUXERS.get(scheme, _DEMUXERS["http"]),
        "analyzeduration": "1000000",  # microseconds of a stream to look at; it may be slow
    }
    if scheme.startswith("rtsp"):
        options |= {"rtsp_transport": "tcp", "allowed_media_types": "audio"}
    if scheme != "rtsp":  # http may lead to https
        options |= {"tls_verify": "1"}
        if trusted := ssl.get_default_verify_paths().cafile:
            options["ca_file"] = trusted
    limits = (request["open_s"], request["read_s"])
    with av.open(url, metadata_errors="replace", options=options, timeout=limits) as container:
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            raise _StreamError(_NO_SOUND)
        stream.codec_context.thread_count = 1
        yield from _decode(av, container, stream, request["rate_hz"])


def _decode(av: Any, container: Any, stream: Any, rate_hz: int) -> Iterator[bytes]:
    """A line that says what the stream is, and the sound at ``rate_hz``.

    A change of the stream's own rate or channels is followed.
    """
    layout: object = None
    converter: Any = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:  # one that was damaged on the way
            continue
        for frame in frames:
            if frame.samples > _LARGEST_FRAME:
                raise _StreamError("its sound can't be decoded")
            if layout is None:
                found = {
                    "codec": stream.codec_context.codec.long_name,
                    "rate_hz": frame.sample_rate,
                    "channels": frame.layout.nb_channels,
                }
                yield json.dumps(found).encode() + b"\n"
            if layout != (frame.format.name, frame.layout.name, frame.sample_rate):
                layout = (frame.format.name, frame.layout.name, frame.sample_rate)
                converter = av.AudioResampler("s16", "mono", rate_hz)
            frame.pts = None  # which of a live stream may jump
            for converted in converter.resample(frame):
                yield bytes(converted.planes[0])[: 2 * converted.samples]


def _reason(av: Any, error: Exception) -> str:
    """What failed, and what to do about it."""
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return "its server refuses the user or the password; check both in the address"
        case av.error.HTTPNotFoundError():
            return "its server has no such stream; check the path in the address"
        case av.error.HTTPClientError() if "454" in str(error):  # none of its streams was chosen
            return _NO_SOUND
        case av.error.HTTPClientError() | av.error.HTTPServerError():
            return f"its server answers with an error ({error.strerror})"
        case av.error.ConnectionRefusedError():
            return "nothing answers at that address; check it, and that its server runs"
    step = str(error)
    if isinstance(error, av.error.InvalidDataError) or "prematurely" in step or "m3u8" in step:
        return (
            "what it sends is no sound that can be decoded; name the stream itself, not a page or "
            "a list of stations"
        )
    if "not on whitelist" in step:
        return "it leads to something that is not on the network"
    if "resolve" in step:
        return "there is no machine of that name; check the address and the network"
    if "certificate" in step.lower():
        return (
            "its certificate is not trusted, or for another name; the variable SSL_CERT_FILE can "
            "name a file with those to trust"
        )
    if isinstance(error, MemoryError):
        return "its sound needs too much memory"
    return f"it can't be read ({getattr(error, 'strerror', None) or type(error).__name__})"


def _write(sound: bytes) -> None:
    while sound:
        sound = sound[os.write(1, sound) :]


def _limit_resources() -> None:
    """No file can be written from now on, and no more memory taken than sound needs."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + _MEMORY_BYTES
    limits = (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)
    for what, limit in limits:
        hard = resource.getrlimit(what)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    main()
