"""The door of a page that is open to a network: a password, and a cookie for who knows it."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone.web.request_security import refuse_socket

ENTRANCE, EXIT = "/enter", "/leave"
COOKIE = "undertone_door"
MOST_TRIES = 10
PERIOD_S = 60.0
"""At most so many wrong passwords in so many seconds from one address."""

MOST_LOGINS = 100
"""One more ends the oldest."""

_LONGEST_FORM_BYTES = 4096
_BEHIND_THE_PAGE = "/_stcore/"
"""Here Streamlit's part in the browser asks; it shows a text only where it is JSON."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Undertone</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 1rem/1.5 sans-serif }}
main {{ max-width: 20rem; margin: 20vh auto; padding: 0 1rem }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem;
  margin-top: .5rem }}
</style></head><body><main><h1>Undertone</h1>
<form method="post" action="{action}"><label>Password
<input type="password" name="password" autocomplete="current-password" required autofocus></label>
<button>Enter</button></form><p role="alert">{told}</p></main></body></html>
"""


class Login:
    """Lets in who sent the password; everyone else sees the form that asks for it.

    Nothing behind it can be reached without: no page, no upload, no WebSocket.
    """

    def __init__(
        self, app: ASGIApp, password: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A login is good until its logout or until the server ends."""
        self._app = app
        self._password = _digest(password)
        self._clock = clock
        self._tries: deque[tuple[float, str]] = deque()  # time and address, the oldest first
        self._logins: dict[str, set[asyncio.Task[None]]] = {}  # key: its WebSockets; oldest first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes with the cookie of a login."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        key = cookie_parser(Headers(scope=scope).get("cookie", "")).get(COOKIE, "")
        is_in = key in self._logins
        if scope["type"] == "websocket":
            await (self._stay(key, scope, receive, send) if is_in else refuse_socket(receive, send))
        elif is_in and (scope["method"], scope["path"]) != ("POST", EXIT):
            await self._app(scope, receive, send)
        else:
            answer = self._leave(key) if is_in else await self._answer(Request(scope, receive))
            await answer(scope, receive, send)

    async def _stay(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket until its end or that of its login."""
        serving = asyncio.ensure_future(self._app(scope, receive, send))
        self._logins[key].add(serving)
        try:
            await serving
        except asyncio.CancelledError:
            if key in self._logins:
                raise
        finally:
            self._logins.get(key, set()).discard(serving)

    async def _answer(self, request: Request) -> Response:
        if request.url.path.startswith(_BEHIND_THE_PAGE):
            return JSONResponse("Load this page again and give its password.", 401)
        if request.method != "POST" or request.url.path != ENTRANCE:
            return _form("", 401)
        address = _address(request.scope)
        if self._must_wait(address):
            return _form("Too many wrong passwords: try again in a minute.", 429)
        self._tries.append((self._clock(), address))  # before its body, which may come any time
        if not secrets.compare_digest(_digest(await _password(request)), self._password):
            return _form("That is not the password.", 401)
        self._tries = deque(each for each in self._tries if each[1] != address)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, self._new_key(), httponly=True, samesite="strict")
        return response

    def _must_wait(self, address: str) -> bool:
        now_s = self._clock()
        while self._tries and now_s - self._tries[0][0] > PERIOD_S:
            self._tries.popleft()
        return sum(each == address for _, each in self._tries) >= MOST_TRIES

    def _new_key(self) -> str:
        if len(self._logins) == MOST_LOGINS:
            self._end(next(iter(self._logins)))
        key = secrets.token_urlsafe(32)
        self._logins[key] = set()
        return key

    def _leave(self, key: str) -> Response:
        self._end(key)
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _end(self, key: str) -> None:
        for serving in self._logins.pop(key):
            serving.cancel()


def _address(scope: Scope) -> str:
    """Whose tries count together: of IPv6 all of a /64, from which one visitor can choose."""
    host: str = scope["client"][0]
    address = ip_address(host)
    if not isinstance(address, IPv6Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped or IPv6Network((int(address), 64), strict=False))


def _form(told: str, status: int) -> Response:
    return HTMLResponse(_PAGE.format(action=ENTRANCE, told=told), status)


def _digest(password: str) -> bytes:
    """Of one length, so that a comparison tells nothing of it."""
    return sha256(password.encode("utf-8", "surrogateescape")).digest()


async def _password(request: Request) -> str:
    """What the form sent; empty where it is no such form or far too long."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LONGEST_FORM_BYTES:
            return ""
    return parse_qs(content.decode(errors="replace")).get("password", [""])[0]
