"""Sends alerts with Apprise, in a child process: its services would keep 20 MB of memory."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from undertone.errors import RuntimeMissingError
from undertone.publish.alerts import Alert, DeliveryError
from undertone.support.installation import add_extra

_PATIENCE_S = 60.0

_CHILD = """
import json, logging, sys
import apprise
logging.disable()
asked = json.load(sys.stdin)
to = apprise.Apprise()
known = to.add(asked["url"])
sent = known and ("body" not in asked or to.notify(title=asked["title"], body=asked["body"]))
sys.exit(0 if sent else 4 if known else 3)
"""
"""Gets the address on its standard input: every user can read a command line."""

_REFUSED, _UNKNOWN = 4, 3


@dataclass(frozen=True, slots=True)
class AppriseTarget:
    """An address that Apprise knows, such as ``ntfy://topic``."""

    url: str = field(repr=False)
    command: Sequence[str] = (sys.executable, "-c", _CHILD)

    def __post_init__(self) -> None:
        """Raise RuntimeMissingError without Apprise, and ValueError for an unknown address."""
        if find_spec("apprise") is None:
            raise RuntimeMissingError(
                "apprise, which sends alerts to apprise_urls, is not installed: "
                f"{add_extra('apprise')}."
            )
        if self._run({"url": self.url}) == _UNKNOWN:
            raise ValueError(f"Apprise knows no address that begins with {self._scheme}://")

    def __str__(self) -> str:
        """Its kind; the rest of an address is often a secret."""
        return f"{self._scheme}:// by Apprise"

    @property
    def key(self) -> str:
        """A name that does not reveal the address."""
        return f"apprise-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}"

    def deliver(self, alert: Alert) -> None:
        """Raise DeliveryError unless Apprise has sent it."""
        if self._run({"url": self.url, "title": alert.title, "body": alert.message}):
            raise DeliveryError("Apprise could not send it")

    def preview(self, alert: Alert) -> str:
        """What is sent, as text."""
        return f"to {self}\ntitle: {alert.title}\nbody: {alert.message}"

    @property
    def _scheme(self) -> str:
        return self.url.partition(":")[0]

    def _run(self, asked: dict[str, str]) -> int:
        try:
            return subprocess.run(
                self.command,
                input=json.dumps(asked),
                text=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_PATIENCE_S,
            ).returncode
        except (OSError, subprocess.TimeoutExpired):
            return _REFUSED
