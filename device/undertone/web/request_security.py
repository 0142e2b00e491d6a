"""Checks of every request to the server, and security headers of every answer.

Streamlit accepts requests whose ``Origin`` is any port of this machine, and queries a host in the
network for its address to check others; here requests that other pages cause are refused.
"""

from collections.abc import Container
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from undertone.web.refusal import refusal

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Vega compiles its expressions
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""It keeps the browser from loading anything from other hosts, whatever a model card contains."""

HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",  # with no-referrer a form's origin would be "null"
    "X-Content-Type-Options": "nosniff",
}


class RequestSecurity:
    """Refuses requests that another page causes, and those to another host."""

    def __init__(self, app: ASGIApp, hosts: Container[str] | None) -> None:
        """``hosts``: the permitted host names; None permits any.

        The names are known if only this machine can reach the page; the check then prevents another
        site from directing its own name here (DNS rebinding).
        """
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 403 (a WebSocket too)."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if self._is_allowed(Headers(scope=scope)):
            await self._app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await refuse_socket(receive, send)
        else:
            message = (
                "This request comes from another page or names another host: "
                "use the address that `undertone web` prints."
            )
            await refusal(scope, message, 403)(scope, receive, answer)

    def _is_allowed(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host


async def refuse_socket(receive: Receive, send: Send) -> None:
    """Close a WebSocket before it opens; the browser sees status 403."""
    await receive()  # websocket.connect
    await send({"type": "websocket.close", "code": 1008})


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
