"""Real servers of sound for tests: HTTP in this process, and RTSP by GStreamer in another."""

import base64
import socket
import subprocess
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

HOST = "127.0.0.1"
_PIECE_S = 0.05
_PYTHON = "/usr/bin/python3"
"""Debian's, for which python3-gst-1.0 is."""

_NEEDED = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer
"""
_RTSP = (
    _NEEDED
    + """
import sys
Gst.init(None)
pipeline, port, user, password, certificate, key = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(pipeline)
factory.set_shared(True)
if user:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    if certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(certificate, key))
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("access", "construct"):
        permissions.add_permission_for_role(user, "media.factory." + permission, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
)


def what_rtsp_is_missing() -> str | None:
    """Why there can be no RTSP server here, or None."""
    with suppress(OSError):
        if not subprocess.run([_PYTHON, "-c", _NEEDED], capture_output=True).returncode:
            return None
    return "no RTSP server (Debian: python3-gst-1.0 gir1.2-gst-rtsp-server-1.0)"


class RtspServer:
    """GStreamer's, with one stream at ``/live`` and, with ``user``, digest authentication.

    With a certificate and its key, files in PEM, it speaks only TLS; that needs a user.
    """

    def __init__(
        self,
        pipeline: str,
        user: str = "",
        password: str = "",
        certificate: str = "",
        key: str = "",
    ) -> None:
        """``pipeline``: elements named pay0, pay1 and so on end it."""
        self._pipeline = pipeline
        self._options = (user, password, certificate, key)
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Itself, running."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once."""
        self.kill()

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it answers."""
        command = [_PYTHON, "-c", _RTSP, f"( {self._pipeline} )", str(self.port), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.communicate()


class Radio:
    """An HTTP server that sends the same bytes to everyone, whatever the path is.

    bytes_per_s: how fast; 0 is as fast as it goes.
    hangs: whether it keeps the connection open when it has sent all, instead of ending it.
    login: ``user:password``, without which it answers 401.
    status: what it answers; location: where it leads to, for a status of 3xx.
    kind: the content type.
    """

    def __init__(
        self,
        sound: bytes,
        *,
        bytes_per_s: float = 0.0,
        hangs: bool = False,
        login: str = "",
        status: int = 200,
        location: str = "",
        kind: str = "application/octet-stream",
    ) -> None:
        """Not running yet."""
        self.sound = sound
        self.bytes_per_s = bytes_per_s
        self.hangs = hangs
        self.port = 0
        self._login = base64.b64encode(login.encode()).decode()
        self._status = status
        self._location = location
        self._kind = kind
        self._server: ThreadingHTTPServer | None = None
        self._stopped = threading.Event()
        self._connections: list[socket.socket] = []

    def url(self, scheme: str = "http", login: str = "", path: str = "live") -> str:
        """Its address."""
        return f"{scheme}://{login}{HOST}:{self.port}/{path}"

    def __enter__(self) -> Self:
        """Itself, running."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once."""
        self.kill()

    def start(self) -> None:
        """Start it, on the same port as before."""
        radio = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                radio._connections.append(self.connection)
                with suppress(OSError):
                    radio._answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer((HOST, self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self) -> None:
        """End it and every connection at once."""
        if not self._server:
            return
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        if self._login and request.headers["Authorization"] != f"Basic {self._login}":
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="radio"')
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(self._status)
        request.send_header("Content-Type", self._kind)
        if self._location:
            request.send_header("Location", self._location)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        self._send(request)
        if self.hangs:
            self._stopped.wait()
        request.wfile.write(b"0\r\n\r\n")

    def _send(self, request: BaseHTTPRequestHandler) -> None:
        size = round(self.bytes_per_s * _PIECE_S) or 4096
        begin_s = time.monotonic()
        for number, start in enumerate(range(0, len(self.sound), size)):
            if self.bytes_per_s:
                self._stopped.wait(begin_s + number * _PIECE_S - time.monotonic())
            if self._stopped.is_set():
                return
            piece = self.sound[start : start + size]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
