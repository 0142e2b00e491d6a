"""The middleware of the page, called as the server calls it, without a socket."""

import asyncio
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from typing import Any

import pytest

pytest.importorskip("starlette", reason="no streamlit: pip install -e '.[web]'")

from undertone.web.auth import COOKIE, LOGIN_PATH, MOST_LOGINS, MOST_TRIES, PERIOD_S, Login
from undertone.web.deadline import BodyDeadline
from undertone.web.request_security import RequestSecurity
from undertone.web.sessions import LeavingVisitors
from undertone.web.uploads import LARGEST_MB, PATH, TOGETHER_MB, UploadLimit, keep_in_memory

PASSWORD = "correct horse"
PATIENCE_S = 60.0


class Inside:
    """The application behind the middleware; counts the requests that reach it."""

    def __init__(self) -> None:
        self.visits = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.visits += 1
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"inside"})


Answer = tuple[int, dict[str, str], str]


def ask(
    app: Any, path: str = "/", method: str = "GET", body: Iterable[bytes] = (), **headers: str
) -> Answer:
    """Status, headers and text of the answer; header names have underscores."""
    return asyncio.run(answer(app, path, method, body, headers))


async def answer(
    app: Any, path: str, method: str, body: Iterable[bytes], headers: dict[str, str]
) -> Answer:
    chunks = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    coming = iter([*chunks, {"type": "http.request", "body": b"", "more_body": False}])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(coming)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope("http", path, method, headers), receive, send)
    given = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
    return sent[0]["status"], given, b"".join(part["body"] for part in sent[1:]).decode()


def scope(
    kind: str, path: str, method: str, headers: dict[str, str], address: str = "192.0.2.1"
) -> dict[str, Any]:
    named = {"host": "localhost:8501", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": b"",
        "client": (address, 50_000),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def socket_opens(app: Any, **headers: str) -> bool:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    before = app_inside(app).visits
    asyncio.run(app(scope("websocket", "/_stcore/stream", "GET", headers), receive, send))
    opened = app_inside(app).visits > before
    assert opened or [message["type"] for message in sent] == ["websocket.close"]
    return opened


def app_inside(app: Any) -> Inside:
    inside: Inside = app._app
    return inside


HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1", "[::1]:8501", "LOCALHOST"])
def test_this_machine_is_welcome_by_each_of_its_names(host: str) -> None:
    assert ask(RequestSecurity(Inside(), HERE), host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[", "a@b"]
)
def test_a_name_of_the_network_does_not_lead_here(host: str) -> None:
    checks = RequestSecurity(Inside(), HERE)
    assert ask(checks, host=host)[0] == 403
    assert not socket_opens(checks, host=host)
    assert ask(RequestSecurity(Inside(), None), host=host)[0] == 200  # opened to it, any name may


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://evil.example", "null", "http://127.0.0.1:8501"]
)
def test_another_page_may_not_call_not_even_one_of_this_machine(origin: str) -> None:
    checks = RequestSecurity(Inside(), HERE)
    assert ask(checks, origin=origin)[0] == 403
    assert not socket_opens(checks, origin=origin)
    assert socket_opens(checks, origin="http://localhost:8501")


def test_every_answer_keeps_the_browser_from_other_hosts() -> None:
    for host in ("localhost", "evil.example"):
        _, headers, _ = ask(RequestSecurity(Inside(), HERE), host=host)
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def log_in(login: Login, password: str) -> Answer:
    return ask(login, LOGIN_PATH, "POST", [f"password={password}".encode()])


def test_nothing_is_reached_without_the_password() -> None:
    login = Login(Inside(), PASSWORD)
    for path in ("/", "/_stcore/health", "/_stcore/upload_file/a/b", "/static/x.js", LOGIN_PATH):
        status, _, text = ask(login, path)
        assert (status, "inside" in text) == (401, False)
    assert not socket_opens(login)
    assert app_inside(login).visits == 0


def test_the_password_opens_for_the_browser_that_sent_it() -> None:
    login = Login(Inside(), PASSWORD)
    status, headers, _ = log_in(login, "correct+horse")
    assert (status, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    key = cookie.partition(";")[0]
    assert PASSWORD not in cookie
    assert ask(login, cookie=f"a=b; {key}")[2] == "inside"
    assert socket_opens(login, cookie=key)
    assert ask(Login(Inside(), PASSWORD), cookie=key)[0] == 401  # of another start


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=", f"{COOKIE}=None", f"{COOKIE}=é", "x" * 9000])
def test_a_made_up_cookie_opens_nothing(cookie: str) -> None:
    assert ask(Login(Inside(), PASSWORD), cookie=cookie)[0] == 401


@pytest.mark.parametrize("body", [b"", b"password=wrong", b"\xff\xfe", b"password", b"x=1&y=2"])
def test_a_wrong_form_is_refused(body: bytes) -> None:
    assert ask(Login(Inside(), PASSWORD), LOGIN_PATH, "POST", [body])[0] == 401


def test_a_form_without_end_is_not_read_to_the_end() -> None:
    read = 0

    def endless() -> Iterable[bytes]:
        nonlocal read
        for read in range(1000):  # noqa: B007
            yield b"x" * 1000

    login = Login(Inside(), PASSWORD)
    coming = iter(endless())

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(coming), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        pass

    asyncio.run(login(scope("http", LOGIN_PATH, "POST", {}), receive, send))
    assert read < 10


def test_guessing_is_slowed_down_and_forgotten_after_a_while() -> None:
    now_s = 0.0
    login = Login(Inside(), PASSWORD, clock=lambda: now_s)
    for _ in range(MOST_TRIES):
        assert log_in(login, "guess")[0] == 401
    assert log_in(login, "guess")[0] == 429
    assert log_in(login, "correct+horse")[0] == 429
    now_s = PERIOD_S + 1
    assert log_in(login, "correct+horse")[0] == 303


async def tries_from(login: Login, *addresses: str) -> list[int]:
    """The answers to a wrong password from each of these addresses."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"password=guess", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    for address in addresses:
        await login(scope("http", LOGIN_PATH, "POST", {}, address), receive, send)
    return [status for status in statuses if status]


def test_a_network_of_ipv6_is_one_visitor_and_its_names_of_ipv4_are_many() -> None:
    login = Login(Inside(), PASSWORD)
    network = [f"2001:db8::{number:x}" for number in range(MOST_TRIES + 1)]
    named = [f"::ffff:192.0.2.{number}" for number in range(MOST_TRIES + 1)]
    statuses = asyncio.run(tries_from(login, *network, *named, "2001:db8:0:1::1", "fe80::1%eth0"))
    assert statuses == [401] * MOST_TRIES + [429] + [401] * (MOST_TRIES + 3)


def test_one_login_too_many_ends_the_oldest() -> None:
    login = Login(Inside(), PASSWORD)
    cookies = [log_in(login, "correct+horse")[1]["set-cookie"] for _ in range(MOST_LOGINS + 1)]
    keys = [cookie.partition(";")[0] for cookie in cookies]
    assert [ask(login, cookie=key)[0] for key in keys] == [401] + [200] * MOST_LOGINS


MB = 2**20


def upload(limit: UploadLimit, **headers: str) -> int:
    return ask(limit, PATH + "session/file", "PUT", **headers)[0]


def test_an_upload_that_is_too_large_or_of_unknown_length_is_refused_unread() -> None:
    limit = UploadLimit(Inside(), lambda: 0)
    assert upload(limit, content_length=str(LARGEST_MB * MB)) == 200
    assert upload(limit, content_length=str(LARGEST_MB * MB + MB)) == 413
    assert upload(limit, content_length=str(200 * MB)) == 413
    for length in ("", "-1", "1e3", "9" * 5000, "²"):
        assert upload(limit, content_length=length) == 411
    assert upload(limit) == 411
    assert ask(limit, PATH + "s/f", "DELETE")[0] == 200
    assert ask(limit, "/", "GET")[0] == 200


def test_uploads_together_take_no_more_than_their_share() -> None:
    held = TOGETHER_MB * MB - 20 * MB
    limit = UploadLimit(Inside(), lambda: held)
    assert upload(limit, content_length=str(9 * MB)) == 200
    assert upload(limit, content_length=str(9 * MB)) == 200  # the first one's room is free again
    assert upload(limit, content_length=str(11 * MB)) == 503


def test_an_upload_waits_for_one_that_is_on_its_way() -> None:
    size = {"content-length": str(LARGEST_MB * MB)}
    log: list[str] = []

    async def together() -> list[int]:
        first_may_end = asyncio.Event()

        async def inside(scope: Any, receive: Any, send: Any) -> None:
            log.append("begins")
            await first_may_end.wait()
            log.append("ends")
            await Inside()(scope, receive, send)

        limit = UploadLimit(inside, lambda: 0)
        tasks = [
            asyncio.ensure_future(answer(limit, PATH + "s/f", "PUT", [], size)) for _ in range(3)
        ]
        while not log:
            await asyncio.sleep(0)
        first_may_end.set()
        return [status for status, _, _ in await asyncio.gather(*tasks)]

    assert asyncio.run(asyncio.wait_for(together(), PATIENCE_S)) == [200] * 3
    assert log == ["begins", "ends"] * 3


def test_a_body_that_comes_steadily_may_take_long() -> None:
    parts = iter([bytes(MB), bytes(MB), b""])

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            await asyncio.sleep(0.002)  # longer than the first part might have taken
        await Inside()(scope, receive, send)

    async def receive() -> dict[str, Any]:
        part = next(parts)
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    slow = BodyDeadline(inside, least_s=0.001)
    asyncio.run(slow(scope("http", "/", "PUT", {}), receive, send))
    assert statuses == [200, 0]


def test_a_form_of_many_megabytes_is_parsed_without_a_file(monkeypatch: Any) -> None:
    from starlette.formparsers import MultiPartParser
    from starlette.requests import Request

    monkeypatch.setattr(MultiPartParser, "spool_max_size", MultiPartParser.spool_max_size)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **k: pytest.fail("a file"))
    keep_in_memory()
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    parts = iter([head, *[bytes(MB)] * 20, b"\r\n--x--\r\n"])

    async def receive() -> dict[str, Any]:
        part = next(parts, b"")
        return {"type": "http.request", "body": part, "more_body": bool(part)}

    async def parse() -> int:
        form = await Request(
            scope("http", "/", "PUT", {"content-type": "multipart/form-data; boundary=x"}), receive
        ).form()
        upload: Any = form["file"]
        return len(await upload.read())

    assert asyncio.run(parse()) == 20 * MB


@pytest.mark.parametrize("has_left", [True, False])
def test_a_visitor_who_leaves_while_something_is_sent_causes_no_error(has_left: bool) -> None:
    async def inside(scope: Any, receive: Any, send: Any) -> None:
        with suppress(OSError):
            await send({"type": "websocket.send", "bytes": b"x"})
        raise RuntimeError("WebSocket is not connected.")  # as Streamlit's next reading does

    async def send(message: Any) -> None:
        if has_left:
            raise ConnectionError

    app: Any = LeavingVisitors(inside)
    running = app(scope("websocket", "/", "GET", {}), None, send)
    with nullcontext() if has_left else pytest.raises(RuntimeError):
        asyncio.run(running)
