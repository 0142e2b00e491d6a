"""Uploads: in memory only, and not more of them than fit."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_MB = 128
"""An hour of 16-bit sound at 16 kHz takes 110; longer ones come as FLAC or MP3."""

TOGETHER_MB = 2 * LARGEST_MB
"""All that are held at a time, for all who look at the page."""

PATH = "/_stcore/upload_file/"
_MB = 2**20
_ENVELOPE_BYTES = 64 * 1024
"""What a form adds to the file in it."""


def keep_in_memory() -> None:
    """Have Starlette's parser of forms write no upload to the disk, as it does from 1 MB on."""
    MultiPartParser.spool_max_size = LARGEST_MB * _MB + _ENVELOPE_BYTES


class UploadLimit:
    """Refuses an upload before its first byte is read where it has no room."""

    def __init__(self, app: ASGIApp, held_bytes: Callable[[], int]) -> None:
        """``held_bytes``: what the page holds of uploads that are complete."""
        self._app = app
        self._held_bytes = held_bytes
        self._coming_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on everything but uploads that are too large, alone or together."""
        is_upload = scope["type"] == "http" and scope["path"].startswith(PATH)
        if not is_upload or scope["method"] != "PUT":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        size = int(length) if length.isdecimal() and len(length) < 20 else None
        if size is None:
            await _refuse("An upload must say how long it is.", 411, scope, receive, send)
        elif size > LARGEST_MB * _MB + _ENVELOPE_BYTES:
            told = f"A file may have {LARGEST_MB} MB at most."
            await _refuse(told, 413, scope, receive, send)
        elif self._held_bytes() + self._coming_bytes + size > TOGETHER_MB * _MB:
            told = "The page holds all the uploads that it can: try again in a minute."
            await _refuse(told, 503, scope, receive, send)
        else:
            self._coming_bytes += size
            try:
                await self._app(scope, receive, send)
            finally:
                self._coming_bytes -= size


async def _refuse(told: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(told, status)(scope, receive, send)
