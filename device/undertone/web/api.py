"""The interface for programs: classify a file, read the journal, monitor (docs/web.md)."""

import asyncio
import re
import time
from collections.abc import Callable
from itertools import islice
from threading import Event as Flag
from typing import TypeVar

import msgspec
from starlette.datastructures import QueryParams, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from undertone.errors import JournalError
from undertone.files.results import to_line
from undertone.journal.format import to_line as event_line
from undertone.journal.reader import JournalReader
from undertone.support.duration import time_in
from undertone.web.app_state import AppState
from undertone.web.health import check_health
from undertone.web.metrics import MEDIA_TYPE, Metrics
from undertone.web.refusal import API, METRICS_PATH, is_for_programs, json_response, refusal
from undertone.web.upload_classifier import ClassifiedUpload, classify_upload
from undertone.web.uploads import CLASSIFY_PATH, WAIT_S

MOST_EVENTS = 10_000
_DEFAULT_EVENTS = 1000
_DEFAULT_NAME = "recording"

_NO_FILE = "Send one file, as the body of the request or as the only field of a form."
_BUSY = "Another file is being classified: try again in a minute."
_ENDING = "The server is being stopped: try again when it runs."
_UNKNOWN = (
    f"There is nothing at this address: use {CLASSIFY_PATH}, {API}/journal, {API}/health or "
    f"{METRICS_PATH}."
)

_Result = TypeVar("_Result")


class _BusyError(Exception):
    """The classifier did not become free in time."""


class _AbandonedError(Exception):
    """Nobody waits for the result any more, or the server is being stopped."""


class Api:
    """Answers requests of programs; passes on everything else."""

    def __init__(self, app: ASGIApp, state: AppState, is_ending: Callable[[], bool]) -> None:
        """``state``: what programs share with visitors.

        is_ending: whether the server is being stopped.
        """
        self._app = app
        self._state = state
        self._is_ending = is_ending
        self._metrics = Metrics(state)
        self._classifying = asyncio.Lock()
        self._reading = asyncio.Lock()
        routes = [
            Route(CLASSIFY_PATH, self._classify, methods=["POST"]),
            Route(f"{API}/journal", self._journal),
            Route(f"{API}/health", self._health),
            Route(METRICS_PATH, self._openmetrics),
        ]
        router = Router(routes, redirect_slashes=False)
        handlers = {HTTPException: _refuse, JournalError: _journal_error}
        self._programs = ExceptionMiddleware(router, handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the interface, an error as JSON."""
        if scope["type"] == "http" and is_for_programs(scope["path"]):
            await self._programs(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _classify(self, request: Request) -> Response:
        """The result of one file, as ``undertone classify --format json`` prints it."""
        name, data = await _file_in(request)
        if not data:
            raise HTTPException(400, _NO_FILE)
        deadline_s = time.monotonic() + WAIT_S
        try:
            async with asyncio.timeout(WAIT_S):
                await self._classifying.acquire()
        except TimeoutError:
            raise HTTPException(503, _BUSY) from None
        try:
            upload = await self._classified(request, name, data, deadline_s)
        except _BusyError:
            raise HTTPException(503, _BUSY) from None
        finally:
            self._classifying.release()
        if upload.result.error is not None:
            raise HTTPException(413 if upload.is_too_long else 415, upload.result.error)
        return Response(to_line(upload.result) + "\n", media_type="application/json")

    async def _classified(
        self, request: Request, name: str, data: bytes, deadline_s: float
    ) -> ClassifiedUpload:
        """Classify in a thread, which ends early if the client leaves or the server is stopped."""
        has_left = Flag()

        def watch(*_: object) -> None:
            if has_left.is_set() or self._is_ending():
                raise _AbandonedError

        def classify() -> ClassifiedUpload:
            state = self._state
            if not state.working.acquire(timeout=max(0.0, deadline_s - time.monotonic())):
                raise _BusyError
            try:
                model, threshold = state.models.default, state.settings.threshold
                return classify_upload(name, data, model, threshold, watch)
            finally:
                state.working.release()

        leaving = asyncio.ensure_future(_leave(request))
        work = asyncio.ensure_future(asyncio.to_thread(classify))
        try:
            await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_left.set()
            leaving.cancel()
        try:
            return await work
        except _AbandonedError:
            if self._is_ending():
                raise HTTPException(503, _ENDING) from None
            raise ClientDisconnect from None

    async def _journal(self, request: Request) -> Response:
        """Events, one a line as in the files, oldest first: since a time, or else the newest."""
        query = _parameters(request, "since", "limit")
        limit = _limit(query.get("limit", str(_DEFAULT_EVENTS)))
        since_s = _since_s(query["since"]) if "since" in query else None

        def lines() -> str:
            reader = JournalReader(self._state.settings.journal, since_s=since_s)
            events = reader.last(limit) if since_s is None else islice(reader, limit)
            return "".join(f"{event_line(event)}\n" for event in events)

        return Response(await self._read(lines), media_type="application/x-ndjson")

    async def _health(self, request: Request) -> Response:
        health = await self._read(lambda: check_health(self._state))
        return json_response(msgspec.to_builtins(health))

    async def _openmetrics(self, request: Request) -> Response:
        return Response(await self._read(self._metrics.text), media_type=MEDIA_TYPE)

    async def _read(self, read: Callable[[], _Result]) -> _Result:
        """What ``read`` returns, in a thread, one at a time."""
        async with self._reading:
            return await asyncio.to_thread(read)


def _parameters(request: Request, *known: str) -> QueryParams:
    """The parameters in the address; any that is not ``known`` is refused."""
    parameters = request.query_params
    if unknown := parameters.keys() - set(known):
        raise HTTPException(400, f"{min(unknown)!r} is unknown: use {' and '.join(known)}.")
    return parameters


async def _file_in(request: Request) -> tuple[str, bytes]:
    """The name and the content of the file that was sent."""
    parameters = _parameters(request, "name")
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return parameters.get("name") or _DEFAULT_NAME, await request.body()
    try:
        async with request.form(max_files=1, max_fields=0) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    return value.filename or _DEFAULT_NAME, await value.read()
    except HTTPException:  # its message is about Starlette's limits
        pass
    raise HTTPException(400, _NO_FILE)


async def _leave(request: Request) -> None:
    """Return when the client has disconnected; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _limit(text: str) -> int:
    if re.fullmatch("[0-9]{1,6}", text) and 1 <= int(text) <= MOST_EVENTS:
        return int(text)
    raise HTTPException(400, f"limit is a number from 1 to {MOST_EVENTS}, not {text!r}.")


def _since_s(text: str) -> float:
    try:
        return time_in(text).timestamp()
    except ValueError as error:
        raise HTTPException(400, f"since: {error}, with %2B for a plus sign.") from None


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail
    match error.status_code:
        case 404:
            message = _UNKNOWN
        case 405:
            message = f"This address takes {(error.headers or {}).get('Allow')} only."
    return refusal(request.scope, message, error.status_code, error.headers)


def _journal_error(request: Request, error: Exception) -> Response:
    return refusal(request.scope, str(error), 503)
