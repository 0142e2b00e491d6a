"""Login for a page that is open to a network: a password, and a cookie for the browser.

A program sends the password with each request instead.
"""

import asyncio
import secrets
import time
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone.web.refusal import is_for_programs, refusal
from undertone.web.request_security import refuse_socket

LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"
COOKIE = "undertone_login"
MOST_TRIES = 10
PERIOD_S = 60.0
"""At most this many wrong passwords in this many seconds from one address."""

MOST_LOGINS = 100
"""Another login ends the oldest."""

_LONGEST_FORM_BYTES = 4096
_WRONG = "Wrong password."
_TOO_MANY = "Too many wrong passwords: try again in a minute."
_NEEDED = "This address needs the password of the page: send it as Authorization: Bearer PASSWORD."
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Undertone"'}
"""Without Basic, which a browser would remember and send whichever page causes the request."""

_STREAMLIT_PATHS = "/_stcore/"
"""Requested by Streamlit's scripts in the browser, which show the text of JSON answers only."""

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
<button>Log in</button></form><p role="alert">{message}</p></main></body></html>
"""


class Login:
    """Passes on requests of logged-in browsers and, to the interface for programs, of programs.

    All others get the login form, or an error as JSON.

    Nothing can be reached without a login: no page, no upload, no WebSocket.
    """

    def __init__(
        self, app: ASGIApp, password: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A login is valid until its logout or until the server ends."""
        self._app = app
        self._password = _digest(password)
        self._clock = clock
        self._tries: deque[tuple[float, str]] = deque()  # time and address, the oldest first
        self._logins: dict[str, set[asyncio.Task[None]]] = {}  # key: its WebSockets; oldest first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request with the cookie of a login."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        key = cookie_parser(Headers(scope=scope).get("cookie", "")).get(COOKIE, "")
        logged_in = key in self._logins
        if scope["type"] == "websocket":
            if logged_in:
                await self._serve_socket(key, scope, receive, send)
            else:
                await refuse_socket(receive, send)
        elif logged_in and (scope["method"], scope["path"]) != ("POST", LOGOUT_PATH):
            await self._app(scope, receive, send)
        elif is_for_programs(scope["path"]):
            await self._serve_program(scope, receive, send)
        else:
            request = Request(scope, receive)
            response = self._log_out(key) if logged_in else await self._log_in(request)
            await response(scope, receive, send)

    async def _serve_socket(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket until it or its login ends."""
        serving = asyncio.ensure_future(self._app(scope, receive, send))
        self._logins[key].add(serving)
        try:
            await serving
        except asyncio.CancelledError:
            if key in self._logins:
                raise
        finally:
            self._logins.get(key, set()).discard(serving)

    async def _serve_program(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that has the password; a wrong one counts as in the form."""
        given, address = _authorization(Headers(scope=scope)), _address(scope)
        if given is None:
            response = refusal(scope, _NEEDED, 401, _CHALLENGE)
        elif self._must_wait(address):
            response = refusal(scope, _TOO_MANY, 429, {"Retry-After": f"{PERIOD_S:.0f}"})
        elif secrets.compare_digest(_digest(given), self._password):
            await self._app(scope, receive, send)
            return
        else:
            self._tries.append((self._clock(), address))
            response = refusal(scope, _WRONG, 401, _CHALLENGE)
        await response(scope, receive, send)

    async def _log_in(self, request: Request) -> Response:
        if request.url.path.startswith(_STREAMLIT_PATHS):
            return JSONResponse("Reload this page and log in.", 401)
        if request.method != "POST" or request.url.path != LOGIN_PATH:
            return _form("", 401)
        address = _address(request.scope)
        if self._must_wait(address):
            return _form(_TOO_MANY, 429)
        self._tries.append((self._clock(), address))  # before the body, which may come much later
        if not secrets.compare_digest(_digest(await _password(request)), self._password):
            return _form(_WRONG, 401)
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

    def _log_out(self, key: str) -> Response:
        self._end(key)
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _end(self, key: str) -> None:
        for serving in self._logins.pop(key):
            serving.cancel()


def _address(scope: Scope) -> str:
    """The address whose tries count together: a /64 for IPv6, within which a visitor can choose."""
    host: str = scope["client"][0]
    address = ip_address(host)
    if not isinstance(address, IPv6Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped or IPv6Network((int(address), 64), strict=False))


def _form(message: str, status: int) -> Response:
    return HTMLResponse(_PAGE.format(action=LOGIN_PATH, message=message), status)


def _digest(password: str) -> bytes:
    """A hash of fixed length, so that a comparison does not depend on the password's length."""
    return sha256(password.encode("utf-8", "surrogateescape")).digest()


def _authorization(headers: Headers) -> str | None:
    """The password in the header ``Authorization``, Bearer or Basic (with any user name)."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    content = value.encode("latin-1")
    match scheme.lower():
        case "bearer":
            pass
        case "basic":
            try:
                content = b64decode(content, validate=True).partition(b":")[2]
            except ValueError:
                return None
        case _:
            return None
    return content.decode("utf-8", "surrogateescape")


async def _password(request: Request) -> str:
    """The password in the form; empty if it is another form or far too long."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LONGEST_FORM_BYTES:
            return ""
    return parse_qs(content.decode(errors="replace")).get("password", [""])[0]
