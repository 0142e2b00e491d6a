"""Visitors who are slow, and visitors who leave: what they took is there again for others."""

import socket
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")

from undertone.web.uploads import LARGEST_MB, TOGETHER_MB
from web_page import PageServer
from web_visitor import Visitor

MB = 2**20
PATIENCE_S = 60.0

IMPATIENT = """
import functools, sys
from undertone import cli
from undertone.web import server
deadlines = server.Deadlines(body_s=0.5, left_s=1.0)
server.serve = functools.partial(server.serve, deadlines=deadlines)
sys.exit(cli.main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    journal = tmp_path_factory.mktemp("slow") / "journal"
    with PageServer("--journal", journal, program=("-c", IMPATIENT)) as running:
        yield running
        assert running.stop() == (0, "")


@pytest.fixture
def visitor(server: PageServer) -> Iterator[Visitor]:
    inside = Visitor(server.url)
    yield inside
    inside.close()


def test_two_hundred_uploads_leave_no_memory_taken_when_their_visitor_has_left(
    server: PageServer,
) -> None:
    Visitor(server.url).close()
    before = server.memory_bytes
    visitor = Visitor(server.url)
    for number in range(200):
        assert visitor.put(visitor.upload_path(str(number)), "x.wav", bytes(100_000)) == 204
    assert server.memory_bytes > before + 15 * MB
    visitor.close()
    deadline_s = time.monotonic() + PATIENCE_S
    while server.memory_bytes > before + 5 * MB:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def begin_upload(server: PageServer, visitor: Visitor, length: int) -> socket.socket:
    """An upload for which the server waits, and of which nothing comes."""
    headers = visitor.upload_headers() | {
        "Host": f"localhost:{server.port}",
        "Content-Length": str(length),
        "Expect": "100-continue",
    }
    lines = [f"PUT {visitor.upload_path('slow')} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    upload = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
    upload.sendall("\r\n".join([*lines, "", ""]).encode())
    assert upload.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    return upload


def test_who_uploads_too_slowly_makes_room_for_others(server: PageServer, visitor: Visitor) -> None:
    sizes_mb = (LARGEST_MB, TOGETHER_MB // 2 - LARGEST_MB - 1)
    slow = [begin_upload(server, visitor, size * MB) for size in sizes_mb]
    assert visitor.put(visitor.upload_path("large"), "large.wav", bytes(20 * MB)) == 204
    for upload in slow:
        assert upload.makefile("rb").readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        upload.close()


def test_an_upload_that_is_given_up_is_no_traceback(server: PageServer, visitor: Visitor) -> None:
    begin_upload(server, visitor, 20 * MB).close()
    assert visitor.put(visitor.upload_path("next"), "next.wav", bytes(1000)) == 204
