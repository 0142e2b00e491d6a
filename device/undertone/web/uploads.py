"""Uploads: kept in memory only, and limited in size."""

import asyncio
import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone.audio.files import FILE_SUFFIXES
from undertone.web.refusal import API, refusal

if TYPE_CHECKING:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

LARGEST_MB = 128
"""An hour of 16-bit sound at 16 kHz takes 110 MB; longer recordings fit as FLAC or MP3."""

TOGETHER_MB = 3 * LARGEST_MB
"""The memory of all uploads at a time, whoever sent them; one that is arriving counts twice, since
it is copied when it is complete."""

WAIT_S = 60.0
"""How long an upload waits for others that are arriving."""

PATH = "/_stcore/upload_file/"
"""Where the page uploads, with PUT."""

CLASSIFY_PATH = f"{API}/classify"
"""Where programs upload, with POST."""

_MB = 2**20
_M_MMAP_THRESHOLD = -3  # malloc.h
_NAME = "A file's name must have the suffix of an audio file, such as speech.wav."
_ENVELOPE_BYTES = 64 * 1024
"""What a form adds to the size of the file in it, at most."""


def keep_in_memory() -> None:
    """Keep Starlette's form parser from writing uploads of more than 1 MB to the disk.

    Also have the C library return an upload's memory when it is deleted; by default it keeps
    pieces of up to 32 MB.
    """
    MultiPartParser.spool_max_size = LARGEST_MB * _MB + _ENVELOPE_BYTES
    with suppress(AttributeError):  # not every C library has it
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MB)


def take_recordings_only(uploads: "MemoryUploadedFileManager") -> None:
    """Have ``uploads`` refuse a file without the suffix of an audio file, with 400.

    The page in a browser offers no others; if one were stored all the same, Streamlit would stop
    the page's script for it in every run.
    """
    add_file = uploads.add_file

    def add_recording(session_id: str, file: "UploadedFileRec") -> None:
        if "\0" in file.name or not file.name.lower().endswith(tuple(FILE_SUFFIXES)):
            raise HTTPException(400, _NAME)
        add_file(session_id, file)

    uploads.add_file = add_recording  # type: ignore[method-assign]


def held_bytes(uploads: "MemoryUploadedFileManager") -> int:
    """The size of all ``uploads``."""
    return sum(stat.byte_length for stats in uploads.get_stats().values() for stat in stats)


class UploadLimit:
    """Delays an upload before its first byte is read, or refuses it, when memory is short."""

    def __init__(self, app: ASGIApp, held_bytes: Callable[[], int]) -> None:
        self._app = app
        self._held_bytes = held_bytes
        self._arriving_bytes = 0
        self._one_less = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on everything except uploads that are too large, alone or together."""
        if not _is_upload(scope):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        size = int(length) if length.isdecimal() and len(length) < 20 else None
        if size is None:
            await _refuse("An upload needs a Content-Length.", 411, scope, receive, send)
        elif size > LARGEST_MB * _MB + _ENVELOPE_BYTES:
            message = f"A file may have at most {LARGEST_MB} MB."
            await _refuse(message, 413, scope, receive, send)
        elif not await self._reserve(size):
            message = "The server has no memory for more uploads now: try again in a minute."
            await _refuse(message, 503, scope, receive, send)
        else:
            try:
                await self._app(scope, receive, send)
            finally:
                async with self._one_less:
                    self._arriving_bytes -= size
                    self._one_less.notify_all()

    async def _reserve(self, size: int) -> bool:
        """Reserve memory, if necessary after others have arrived; False if none becomes free."""
        async with self._one_less:
            while self._held_bytes() + 2 * (self._arriving_bytes + size) > TOGETHER_MB * _MB:
                if not self._arriving_bytes:
                    return False
                try:
                    await asyncio.wait_for(self._one_less.wait(), WAIT_S)
                except TimeoutError:
                    return False
            self._arriving_bytes += size
        return True


def _is_upload(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    method, path = scope["method"], scope["path"]
    return (method == "PUT" and path.startswith(PATH)) or (method, path) == ("POST", CLASSIFY_PATH)


async def _refuse(message: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    await refusal(scope, message, status)(scope, receive, send)
