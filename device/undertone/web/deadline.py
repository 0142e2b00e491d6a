"""A deadline for the body of a request, which reserves memory until it is complete."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from undertone.web.refusal import refusal

LEAST_BYTES_S = 128 * 1024
"""A megabit a second."""


class _TooSlowError(Exception):
    """The body of the request did not arrive in time."""


class BodyDeadline:
    """Refuses a request whose body arrives too slowly with 408, which frees its memory."""

    def __init__(self, app: ASGIApp, least_s: float) -> None:
        """A body may take ``least_s`` seconds, and another second for each :data:`LEAST_BYTES_S`.

        They count from when ``app`` first reads it.
        """
        self._app = app
        self._least_s = least_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request, with its body as long as that arrives in time.

        A client that disconnects in the middle causes no answer and no message.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline_s = 0.0
        is_complete = is_answered = False

        async def receive_in_time() -> Message:
            nonlocal deadline_s, is_complete
            if is_complete:
                return await receive()
            deadline_s = deadline_s or asyncio.get_running_loop().time() + self._least_s
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                raise _TooSlowError from None
            deadline_s += len(message.get("body", b"")) / LEAST_BYTES_S
            is_complete = not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        try:
            with suppress(ClientDisconnect):
                await self._app(scope, receive_in_time, answer)
        except _TooSlowError:
            if not is_answered:
                message = "The request arrived too slowly: send it again over a faster network."
                response = refusal(scope, message, 408, {"connection": "close"})
                await response(scope, receive, send)
