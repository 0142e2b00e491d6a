"""Closes the sessions of visitors who have left, and frees their memory."""

import asyncio
import ctypes
import gc
import time
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from undertone.web.uploads import held_bytes


class LeavingVisitors:
    """Ends a WebSocket without an error if its visitor left while something was being sent.

    Streamlit then reads from the closed WebSocket, and reports the error as one of its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on everything."""
        has_left = False

        async def sending(message: Message) -> None:
            nonlocal has_left
            try:
                await send(message)
            except OSError:
                has_left = True
                raise

        try:
            await self._app(scope, receive, sending)
        except (RuntimeError, TypeError):
            if not (has_left and scope["type"] == "websocket"):
                raise


async def close_left(
    runtime: Runtime, uploads: MemoryUploadedFileManager, known: set[str], left_s: float
) -> None:
    """Close every session whose visitor has been away for ``left_s`` seconds; never returns.

    Streamlit itself does so only when another visitor leaves, so the uploads of the last one would
    stay.

    uploads: those of ``runtime``.  known: identifiers of sessions; removed as they are closed.
    """
    away: dict[str, float] = {}
    held = 0
    while True:
        await asyncio.sleep(left_s / 4)
        now_s, before = time.monotonic(), held
        away = {
            session: away.get(session, now_s)
            for session in known | set(uploads.file_storage)
            if not runtime.is_active_session(session)
        }
        left = [session for session, since_s in away.items() if now_s - since_s >= left_s]
        for session in left:
            runtime.close_session(session)
            uploads.remove_session_files(session)  # those that arrived after the visitor had left
            known.discard(session)
        held = held_bytes(uploads)
        if left or held < before:
            _release_memory()


def _release_memory() -> None:
    """Return free memory to the system; the C library itself keeps pieces below its threshold."""
    gc.collect()  # a session and its contents refer to each other
    with suppress(AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
