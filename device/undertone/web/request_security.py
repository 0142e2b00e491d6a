"""What every request to the page must fulfil, and what every answer tells the browser.

Streamlit takes a request whose ``Origin`` is any port of this machine for its own, and asks a
host of the network for its address where it is another's; here only the page itself may call.
"""

from collections.abc import Container
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
"""The browser itself refuses to fetch anything from elsewhere, whatever a name or a card holds."""

HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",  # without any, a form would come from "null"
    "X-Content-Type-Options": "nosniff",
}


class RequestSecurity:
    """Lets only requests through that are made for this host and by the page itself."""

    def __init__(self, app: ASGIApp, hosts: Container[str] | None) -> None:
        """``hosts``: the names that the page may be asked for; None: whatever it is called.

        On this machine alone the names are known, so that no page of the network can have its
        own name lead here (DNS rebinding).
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

        if self._is_welcome(Headers(scope=scope)):
            await self._app(scope, receive, answer)
        elif scope["type"] == "websocket":
            await refuse_socket(receive, send)
        else:
            await PlainTextResponse("This page may be called by itself only.", 403)(
                scope, receive, answer
            )

    def _is_welcome(self, headers: Headers) -> bool:
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host


async def refuse_socket(receive: Receive, send: Send) -> None:
    """Close a WebSocket before it is open; the browser sees status 403."""
    await receive()  # websocket.connect
    await send({"type": "websocket.close", "code": 1008})


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
