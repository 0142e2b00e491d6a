"""The web server: Streamlit's application behind the request checks, on one address."""

import asyncio
import logging
import math
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from undertone.errors import WebError
from undertone.web.uploads import (
    LARGEST_MB,
    UploadLimit,
    held_bytes,
    keep_in_memory,
    take_recordings_only,
)

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_SETTINGS = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,  # they lead to a search engine
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.level": "error",
    "server.enableAgentApi": False,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": LARGEST_MB,
    "theme.dark.primaryColor": "#64CAFF",
    "theme.light.primaryColor": "#0072B2",  # as on the page of a report
}
"""Settings of Streamlit, which override those in the user's configuration file."""

_SHUTDOWN_S = 2


@dataclass(frozen=True)
class Deadlines:
    """How long the server waits.

    body_s: for the body of a request; longer the more of it has arrived.
    left_s: after a visitor has left, until uploads and everything else of the session are deleted.
    """

    body_s: float = 20.0
    left_s: float = 60.0


@dataclass(frozen=True)
class Address:
    """Where the page is served, and its password."""

    host: str
    port: int
    password: str | None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """For a browser on this machine."""
        host = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address of this machine that no other can reach."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(
    address: Address,
    ready: Callable[[Address], None],
    close: Callable[[], None],
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Serve the page until SIGINT or SIGTERM.

    ready: called with the address once it is bound (port 0 selects a free one); close: called at
    the end.  Raises WebError if the address can't be bound.
    """
    listening = _listen(address)
    port = listening.getsockname()[1]
    bound = Address(address.host, port, address.password)
    ready(bound)
    import uvicorn
    from streamlit.web.bootstrap import load_config_options

    settings = _SETTINGS | {
        "browser.serverAddress": bound.host,
        "server.disconnectedSessionTTL": math.ceil(2 * deadlines.left_s),  # close_left is earlier
        "server.port": port,
    }
    load_config_options(settings)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it logs what visitors send
    config = uvicorn.Config(
        _application(bound, close, deadlines, lambda: server.should_exit),
        proxy_headers=False,  # else any program on this machine could claim any address
        ws="websockets-sansio",
        ws_max_size=2**20,  # a browser sends only the states of its widgets
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listening])
    finally:
        listening.close()


def _application(
    address: Address,
    close: Callable[[], None],
    deadlines: Deadlines,
    is_ending: Callable[[], bool],
) -> Any:
    from starlette.middleware import Middleware
    from streamlit.runtime import get_instance
    from streamlit.starlette import App

    from undertone.web.api import Api
    from undertone.web.app_state import app_state
    from undertone.web.auth import Login
    from undertone.web.deadline import BodyDeadline
    from undertone.web.request_security import RequestSecurity
    from undertone.web.sessions import LeavingVisitors, close_left
    from undertone.web.wording import Wording

    def uploads() -> Any:
        return get_instance().uploaded_file_mgr

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        take_recordings_only(uploads())
        closing = asyncio.ensure_future(
            close_left(get_instance(), uploads(), app_state().visitors, deadlines.left_s)
        )
        yield
        closing.cancel()
        close()

    hosts = LOOPBACK_NAMES | {address.host} if address.is_loopback else None
    middleware = [
        Middleware(RequestSecurity, hosts=hosts),
        Middleware(BodyDeadline, least_s=deadlines.body_s),
    ]
    if address.password is not None:
        middleware.append(Middleware(Login, password=address.password))
    middleware += [
        Middleware(UploadLimit, held_bytes=lambda: held_bytes(uploads())),
        Middleware(Api, state=app_state(), is_ending=is_ending),
        Middleware(Wording),
        Middleware(LeavingVisitors),
    ]
    keep_in_memory()
    return App(Path(__file__).with_name("app.py"), lifespan=lifespan, middleware=middleware)


def _listen(address: Address) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise WebError(
            f"Can't serve the page on {address.host}, port {address.port}: "
            f"{error.strerror or error}; choose another with --port or --host."
        ) from error
