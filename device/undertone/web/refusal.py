"""Answers to requests that are refused: one sentence each, for a program as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

API, METRICS_PATH = "/api", "/metrics"


def is_for_programs(path: str) -> bool:
    """Whether ``path`` belongs to the interface for programs, not to the page."""
    return path in (API, METRICS_PATH) or path.startswith(f"{API}/")


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """``value`` as one line of JSON, in ASCII."""
    return Response(json.dumps(value) + "\n", status, headers, "application/json")


def refusal(
    scope: Scope, message: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer to the request in ``scope``; ``message`` is one sentence."""
    if is_for_programs(scope["path"]):
        return json_response({"error": message}, status, headers)
    return PlainTextResponse(message, status, headers)
