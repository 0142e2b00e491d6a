"""The door of a page that is open to a network: a password, and a cookie for who knows it."""

import secrets
import time
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone.web.request_security import refuse_socket

ENTRANCE = "/enter"
COOKIE = "undertone_door"
MOST_TRIES = 10
PERIOD_S = 60.0
"""At most so many wrong passwords in so many seconds, of all who try together."""

_LONGEST_FORM_BYTES = 4096

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
    """Lets in who sent the password once; everyone else sees the form that asks for it.

    Nothing behind it can be reached without: no page, no upload, no WebSocket.
    """

    def __init__(
        self, app: ASGIApp, password: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """The cookie is good until the server ends."""
        self._app = app
        self._password = _digest(password)
        self._key = secrets.token_urlsafe(32)
        self._clock = clock
        self._wrong: deque[float] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes with the cookie."""
        if scope["type"] == "lifespan" or self._has_key(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await refuse_socket(receive, send)
        else:
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        given = cookie_parser(Headers(scope=scope).get("cookie", "")).get(COOKIE, "")
        return secrets.compare_digest(given.encode(), self._key.encode())

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST" or request.url.path != ENTRANCE:
            return _form("", 401)
        if self._must_wait():
            return _form("Too many wrong passwords: try again in a minute.", 429)
        if not secrets.compare_digest(_digest(await _password(request)), self._password):
            self._wrong.append(self._clock())
            return _form("That is not the password.", 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, self._key, httponly=True, samesite="strict")
        return response

    def _must_wait(self) -> bool:
        now_s = self._clock()
        while self._wrong and now_s - self._wrong[0] > PERIOD_S:
            self._wrong.popleft()
        return len(self._wrong) >= MOST_TRIES


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
