"""A connection to an MQTT broker by paho-mqtt: one attempt, and then one message at a time."""

import secrets
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from undertone.publish.homeassistant import BIRTH_PAYLOAD, BIRTH_TOPIC
from undertone.publish.messages import OFFLINE, ONLINE, Message, availability

_KEEP_ALIVE_S = 30
_PATIENCE_S = 10.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class DisconnectedError(Exception):
    """There is no connection to the broker; the message says why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is and how it is reached.

    tls: encrypted; the broker must then have a certificate for its name, signed by the authority
        in ``ca_file`` (None: one of the system's authorities).
    """

    host: str
    port: int
    tls: bool = False
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def tls_context(self) -> ssl.SSLContext | None:
        """How to encrypt; None without TLS.  Raises OSError if ``ca_file`` can't be read."""
        return ssl.create_default_context(cafile=self.ca_file) if self.tls else None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_url(url: str) -> Broker:
    """The broker at ``mqtt://host[:port]`` or ``mqtts://``; raises ValueError with a sentence."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(
            f"{url!r} is not a broker; write mqtt://host or, with TLS, mqtts://host:port"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "an address can't contain a user or a password, which others could read: set "
            "UNDERTONE_MQTT_USER and UNDERTONE_MQTT_PASSWORD, or use a file of secrets"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{url!r} has more than a host and a port; use mqtt_topic for the topic")
    try:
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError(f"{url!r} has no port from 1 to 65535")
    return Broker(parts.hostname, port, tls=parts.scheme == "mqtts")


class Connection:
    """A connection that lasts until it fails; a reconnect creates a new one.

    So no message waits inside a client unknown to the cursor.
    """

    def __init__(
        self, broker: Broker, topic: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Connect, and say that what is below ``topic`` is online.

        Raises DisconnectedError if that fails.
        """
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.born = True
        """Whether Home Assistant may lack the discovery; whoever sends it clears this."""
        self._awaited: int | None = None
        self._answer: str | None = None
        self._clock = clock
        self._topic = topic
        self._client = Client(
            CallbackAPIVersion.VERSION2, f"undertone-{secrets.token_hex(6)}", clean_session=True
        )
        self._client.connect_timeout = _PATIENCE_S
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        if broker.user is not None:
            self._client.username_pw_set(broker.user, broker.password)
        last = availability(topic, OFFLINE)
        self._client.will_set(last.topic, last.payload, qos=1, retain=last.retained)
        try:
            if context := broker.tls_context():
                self._client.tls_set_context(context)
            self._client.connect(broker.host, broker.port, _KEEP_ALIVE_S)
        except OSError as error:
            raise DisconnectedError(_reason(error, broker)) from error
        deadline_s = clock() + _PATIENCE_S
        while self._answer is None and clock() < deadline_s:
            self._loop(deadline_s - clock())
        if self._answer != "":
            self._client.disconnect()
            raise DisconnectedError(self._answer or "it does not answer; is it an MQTT broker?")
        self._client.subscribe(BIRTH_TOPIC)
        self.send(availability(topic, ONLINE))

    def send(self, message: Message) -> int:
        """Send a message without waiting; return its number.  Raises DisconnectedError."""
        sent = self._client.publish(
            message.topic, message.payload.encode(errors="replace"), 1, message.retained
        )
        if sent.rc:
            raise DisconnectedError("the connection was lost")
        return sent.mid

    def deliver(self, message: Message, given_up: Callable[[], bool]) -> None:
        """Send a message and wait until the broker has acknowledged it.

        Raises DisconnectedError without that, or if ``given_up`` becomes true.
        """
        self._awaited = self.send(message)
        while self._awaited is not None:
            if given_up():
                raise DisconnectedError("the broker does not acknowledge anything")
            self._loop(1.0)

    def wait(self, limit_s: float) -> None:
        """Take what the broker sends, for at most ``limit_s``; raises DisconnectedError."""
        self._loop(limit_s)

    def close(self) -> None:
        """Say that what was published is offline, and disconnect; never raises."""
        deadline_s = self._clock() + 2.0
        with suppress(DisconnectedError):
            self.deliver(availability(self._topic, OFFLINE), lambda: self._clock() > deadline_s)
        self._client.disconnect()

    def _loop(self, limit_s: float) -> None:
        # a refusal by the broker is an answer, and it closes the connection
        if self._client.loop(max(0.0, limit_s)) and not self._answer:
            raise DisconnectedError("the connection was lost")

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        self._answer = _refusal(str(reason)) if reason.is_failure else ""

    def _on_publish(self, client: Any, data: Any, number: int, reason: Any, more: Any) -> None:
        if number == self._awaited:
            self._awaited = None

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        self.born |= message.payload == BIRTH_PAYLOAD


def _refusal(reason: str) -> str:
    if reason in ("Not authorized", "Bad user name or password"):
        return (
            "it refuses the user or the password: check UNDERTONE_MQTT_USER and "
            "UNDERTONE_MQTT_PASSWORD, or the file of secrets"
        )
    return f"it refuses the connection ({reason})"


def _reason(error: OSError, broker: Broker) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted ({error.verify_message.rstrip('.')}): use the "
                "name in the certificate, or name its authority with mqtt_ca_file"
            )
        case ssl.SSLError():
            return f"TLS fails ({error.reason}): is {broker.port} the port for TLS?"
        case socket.gaierror():
            return f"there is no host {broker.host}"
        case TimeoutError():
            return "it does not answer"
        case FileNotFoundError() | PermissionError() if broker.ca_file:
            return f"can't read {broker.ca_file}: {error.strerror}"
        case _:
            return error.strerror or str(error)
