"""Alerts to a webhook: a POST of JSON, signed if there is a secret."""

import hashlib
import hmac
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from undertone import __version__
from undertone.publish.alerts import Alert, DeliveryError

SIGNATURE = "X-Undertone-Signature-256"
"""Header of ``sha256=`` and the HMAC-SHA256 of the body, in hexadecimal, by the secret."""

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that takes alerts."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    patience_s: float = _PATIENCE_S
    key: str = "webhook"

    def __post_init__(self) -> None:
        """Raise ValueError for what is no web address."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the webhook must be an address that begins with http:// or https://")

    def __str__(self) -> str:
        """Its host; the rest of an address is often a secret."""
        return f"the webhook at {urlsplit(self.url).hostname}"

    def request(self, alert: Alert) -> urllib.request.Request:
        """What is sent."""
        body = alert.json().encode(errors="replace")
        headers = {"Content-Type": "application/json", "User-Agent": f"undertone/{__version__}"}
        if self.secret:
            digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={digest}"
        return urllib.request.Request(self.url, body, headers)

    def deliver(self, alert: Alert) -> None:
        """Raise DeliveryError unless it is taken (status 200 to 299)."""
        try:
            _opener.open(self.request(alert), timeout=self.patience_s).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise DeliveryError(f"it answers with status {error.code}") from error
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            raise DeliveryError(str(getattr(error, "reason", "") or error)) from error

    def preview(self, alert: Alert) -> str:
        """The request as text."""
        request = self.request(alert)
        # urllib sends the names like this
        headers = "".join(f"{name.title()}: {value}\n" for name, value in request.header_items())
        return f"POST to {urlsplit(self.url).hostname}\n{headers}\n{alert.json()}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would arrive as a GET without its body."""

    def redirect_request(self, *args: Any, **others: Any) -> None:
        """Take it for an error."""


_opener = urllib.request.build_opener(_NoRedirect)
