"""Alerts to a webhook: a POST of JSON, signed if there is a secret."""

import base64
import hashlib
import hmac
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from undertone import __version__
from undertone.publish.alerts import Alert, DeliveryError

SIGNATURE = "X-Undertone-Signature-256"
"""Header of ``sha256=`` and the HMAC-SHA256 of the body, in hexadecimal, by the secret."""

_PATIENCE_S = 10.0
_TOO_LATE = "it does not answer in time"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that takes alerts; a user and a password in it are sent by HTTP Basic."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    patience_s: float = _PATIENCE_S
    key: str = "webhook"
    _sending: list[Thread] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        """Raise ValueError for what is no web address."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the webhook must be an address that begins with http:// or https://")
        if not (self.url.isascii() and self.url.isprintable()) or " " in self.url:
            raise ValueError(
                f"the address of the webhook at {parts.hostname} has a space or a letter that must "
                "be written with %, such as %20"
            )
        try:
            is_port = parts.port != 0
        except ValueError:
            is_port = False
        if not is_port:
            raise ValueError(f"the webhook at {parts.hostname} has no port from 1 to 65535")

    def __str__(self) -> str:
        """Its host; the rest of an address is often a secret."""
        return f"the webhook at {urlsplit(self.url).hostname}"

    def request(self, alert: Alert) -> urllib.request.Request:
        """What is sent."""
        parts = urlsplit(self.url)
        body = alert.json().encode(errors="replace")
        headers = {"Content-Type": "application/json", "User-Agent": f"undertone/{__version__}"}
        if self.secret:
            digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={digest}"
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return urllib.request.Request(address, body, headers)

    def deliver(self, alert: Alert) -> None:
        """Raise DeliveryError unless it is taken (status 200 to 299) in time.

        On a thread, since urllib limits only the time between two pieces of an answer.
        """
        if any(thread.is_alive() for thread in self._sending):
            raise DeliveryError("it has not answered yet")
        problem: SimpleQueue[str] = SimpleQueue()
        thread = Thread(target=lambda: problem.put(self._post(alert)), daemon=True)
        self._sending[:] = [thread]
        thread.start()
        try:
            reason = problem.get(timeout=self.patience_s)
        except Empty:
            raise DeliveryError(_TOO_LATE) from None
        if reason:
            raise DeliveryError(reason)

    def _post(self, alert: Alert) -> str:
        """Why it is not taken; "" if it is."""
        try:
            _opener.open(self.request(alert), timeout=self.patience_s).close()
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answers with status {error.code}"
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                return _TOO_LATE
            return getattr(reason, "strerror", None) or str(reason) or type(error).__name__
        return ""

    def preview(self, alert: Alert) -> str:
        """The request as text, without a login."""
        request = self.request(alert)
        request.remove_header("Authorization")
        # urllib sends the names like this
        headers = "".join(f"{name.title()}: {value}\n" for name, value in request.header_items())
        return f"POST to {urlsplit(self.url).hostname}\n{headers}\n{alert.json()}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would arrive as a GET without its body."""

    def redirect_request(self, *args: Any, **others: Any) -> None:
        """Take it for an error."""


_opener = urllib.request.build_opener(_NoRedirect)
