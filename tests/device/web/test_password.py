"""The page's password, tested as an attacker would: over real sockets, however slowly."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote_plus

import pytest

pytest.importorskip("streamlit", reason="no streamlit: pip install -e '.[web]'")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from undertone.web.auth import LOGIN_PATH, LOGOUT_PATH, MOST_TRIES
from web_page import PageServer

PASSWORD = "correct horse"
OWNER, STRANGER, OTHER_STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    env = {"UNDERTONE_WEB_PASSWORD": PASSWORD}
    with PageServer("--journal", tmp_path_factory.mktemp("journal"), env=env) as running:
        yield running
        assert running.stop() == (0, "")


def ask(
    server: PageServer, method: str, path: str, body: str = "", address: str = OWNER, **headers: str
) -> tuple[int, str]:
    """Status and cookie of the answer to one request."""
    status, _, got = server.ask(method, path, body, address, headers, PATIENCE_S)
    return status, got.get("set-cookie", "").partition(";")[0]


def log_in(
    server: PageServer, password: str = PASSWORD, address: str = OWNER, **headers: str
) -> str:
    """The cookie, or the status if there is none."""
    status, cookie = ask(
        server, "POST", LOGIN_PATH, f"password={quote_plus(password)}", address, **headers
    )
    return cookie or str(status)


def guess_all_at_once(server: PageServer, passwords: list[str], address: str) -> list[int]:
    """The answers to guesses of which all headers are there before the first body comes."""
    bodies = [f"password={quote_plus(password)}".encode() for password in passwords]
    with ExitStack() as stack:
        tries = []
        for body in bodies:
            one = stack.enter_context(
                socket.create_connection(
                    ("127.0.0.1", server.port), PATIENCE_S, source_address=(address, 0)
                )
            )
            one.sendall(
                f"POST {LOGIN_PATH} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
            )
            tries.append(one)
        answers = [one.makefile("rb") for one in tries]
        first = [answer.readline() for answer in answers]  # the server has looked at each
        for number, body in enumerate(bodies):
            if b" 100 " in first[number]:
                tries[number].sendall(body)
                answers[number].readline()
                first[number] = answers[number].readline()
        return [int(line.split()[1]) for line in first]


def test_guesses_whose_bodies_come_later_are_counted_as_well(server: PageServer) -> None:
    answers = guess_all_at_once(server, [*["a guess"] * 50, PASSWORD], STRANGER)
    assert sorted(answers) == [401] * MOST_TRIES + [429] * (51 - MOST_TRIES)


def test_guesses_of_others_do_not_lock_the_owner_out(server: PageServer) -> None:
    answers = [log_in(server, "a guess", OTHER_STRANGER) for _ in range(MOST_TRIES + 1)]
    assert answers == ["401"] * MOST_TRIES + ["429"]
    assert log_in(server, address=OTHER_STRANGER, X_Forwarded_For="192.0.2.7") == "429"
    cookie = log_in(server)
    assert ask(server, "GET", "/", Cookie=cookie)[0] == 200


def stream(server: PageServer, cookie: str) -> ClientConnection:
    """A page's connection to the server."""
    return connect(
        f"ws://localhost:{server.port}/_stcore/stream",
        origin=Origin(server.url),
        additional_headers={"Cookie": cookie},
    )


def test_who_logs_out_is_out_and_nobody_else(server: PageServer) -> None:
    mine, phones = log_in(server), log_in(server)
    assert mine != phones
    with stream(server, mine) as left_open, stream(server, phones) as other:
        assert ask(server, "POST", LOGOUT_PATH, Cookie=mine)[0] == 303
        with pytest.raises(ConnectionClosed):
            left_open.recv(timeout=PATIENCE_S)
        assert other.ping().wait(PATIENCE_S)
    assert ask(server, "GET", "/", Cookie=mine)[0] == 401
    with pytest.raises(InvalidStatus):
        stream(server, mine)
    assert ask(server, "GET", "/", Cookie=phones)[0] == 200
