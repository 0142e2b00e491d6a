"""Uploads: in memory only, and not more of them than fit."""

import asyncio
import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone.audio.files import AUDIO_SUFFIXES

if TYPE_CHECKING:
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

LARGEST_MB = 128
"""An hour of 16-bit sound at 16 kHz takes 110; longer ones come as FLAC or MP3."""

TOGETHER_MB = 3 * LARGEST_MB
"""What all uploads may take at a time, whoever sent them; one on its way counts twice, since
it is copied when it is complete."""

PATIENCE_S = 60.0
"""How long an upload waits for others that are on their way."""

PATH = "/_stcore/upload_file/"
_MB = 2**20
_M_MMAP_THRESHOLD = -3  # malloc.h
_NAME = "A file's name must end like that of a recording, as speech.wav does."
_ENVELOPE_BYTES = 64 * 1024
"""What a form adds to the file in it."""


def keep_in_memory() -> None:
    """Have Starlette's parser of forms write no upload to the disk, as it does from 1 MB on.

    And have the C library give an upload's memory back when it is gone; by itself it keeps
    pieces of up to 32 MB for later.
    """
    MultiPartParser.spool_max_size = LARGEST_MB * _MB + _ENVELOPE_BYTES
    with suppress(AttributeError):  # not every C library has it
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MB)


def take_recordings_only(uploads: "MemoryUploadedFileManager") -> None:
    """Have ``uploads`` refuse a file that is not called like a recording, with 400.

    The page in a browser offers no other; where one is stored all the same, Streamlit would stop
    the page's script for it, again and again.
    """
    add_file = uploads.add_file

    def add_recording(session_id: str, file: "UploadedFileRec") -> None:
        if "\0" in file.name or not file.name.lower().endswith(tuple(AUDIO_SUFFIXES)):
            raise HTTPException(400, _NAME)
        add_file(session_id, file)

    uploads.add_file = add_recording  # type: ignore[method-assign]


def held_bytes(uploads: "MemoryUploadedFileManager") -> int:
    """What ``uploads`` hold."""
    return sum(stat.byte_length for stats in uploads.get_stats().values() for stat in stats)


class UploadLimit:
    """Has an upload wait before its first byte is read, or refuses it, where it has no room."""

    def __init__(self, app: ASGIApp, held_bytes: Callable[[], int]) -> None:
        """``held_bytes``: what the page holds of uploads that are complete."""
        self._app = app
        self._held_bytes = held_bytes
        self._coming_bytes = 0
        self._one_less = asyncio.Condition()

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
        elif not await self._finds_room(size):
            told = "The page holds all the uploads that it can: try again in a minute."
            await _refuse(told, 503, scope, receive, send)
        else:
            try:
                await self._app(scope, receive, send)
            finally:
                async with self._one_less:
                    self._coming_bytes -= size
                    self._one_less.notify_all()

    async def _finds_room(self, size: int) -> bool:
        """Take the room, if need be when others have come in; False where it stays full."""
        async with self._one_less:
            while self._held_bytes() + 2 * (self._coming_bytes + size) > TOGETHER_MB * _MB:
                if not self._coming_bytes:
                    return False
                try:
                    await asyncio.wait_for(self._one_less.wait(), PATIENCE_S)
                except TimeoutError:
                    return False
            self._coming_bytes += size
        return True


async def _refuse(told: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(told, status)(scope, receive, send)
