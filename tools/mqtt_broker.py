"""A real MQTT broker for tests and measurements: Mosquitto with its own settings."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

HOST = "127.0.0.1"
_PATIENCE_S = 60.0


def _program() -> str | None:
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def what_is_missing() -> str | None:
    """Why there can be no broker here, or None."""
    return None if _program() else "mosquitto is not installed (Debian: mosquitto)"


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """The broker; every start forgets all that the last one knew."""

    def __init__(self, folder: Path, *settings: str, anonymous: bool = True) -> None:
        """Write its configuration; ``settings`` are further lines of it, for its one listener."""
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {HOST}", f"allow_anonymous {str(anonymous).lower()}"]
        if os.geteuid() == 0:
            lines.append("user root")  # it may read the test's files
        self._config.write_text("\n".join([*lines, "persistence false", *settings, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Itself, running."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once."""
        self.kill()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"mqtt://{HOST}:{self.port}"

    def start(self) -> None:
        """Run it, and wait until it takes connections."""
        command = [_program() or "mosquitto", "-c", str(self._config)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            with suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"mosquitto did not start with {self._config.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Let it end in good order."""
        if self._process:
            self._process.terminate()
            self._process.wait(_PATIENCE_S)

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait(_PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Received:
    """A message as a subscriber gets it."""

    topic: str
    payload: str
    retained: bool


class Subscriber:
    """Keeps all messages of a broker, in the order in which they came."""

    def __init__(self, port: int, topic: str = "#") -> None:
        """Connect and subscribe, and return when both is done."""
        self.messages: list[Received] = []
        self._changed = threading.Condition()
        ready = threading.Event()
        self._ended = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_disconnect = lambda *_: self._ended.set()
        self.client.connect(HOST, port)
        self.client.subscribe(topic, 0)
        self.client.loop_start()
        assert ready.wait(_PATIENCE_S), "no answer to the subscription"

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        received = Received(message.topic, message.payload.decode(), message.retain)
        with self._changed:
            self.messages.append(received)
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[Sequence[Received]], object]) -> list[Received]:
        """All messages as soon as ``wanted`` is true of them."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: wanted(self.messages), _PATIENCE_S)
            assert arrived, f"only {self.messages[-5:]} of {len(self.messages)} arrived"
            return list(self.messages)

    def wait_until_online(self, topic: str) -> None:
        """Wait until a publisher says that what is below ``topic`` is online, or has said so."""
        self.wait_for(
            lambda got: any((m.topic, m.payload) == (f"{topic}/status", "online") for m in got)
        )

    def end(self) -> list[Received]:
        """All messages of a broker that was killed, once its last one has been read."""
        assert self._ended.wait(_PATIENCE_S), "the broker is still there"
        self.close()
        return self.messages

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


class Gate:
    """A port in front of a broker that is open or shut, so that a subscriber can be there first."""

    def __init__(self, port: int) -> None:
        """Open, in front of the broker on ``port``."""
        self._broker = port
        self._is_open = True
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"mqtt://{HOST}:{self.port}"

    def shut(self) -> None:
        """Break every connection, and take none."""
        self._is_open = False
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def open(self) -> None:
        """Take connections again."""
        self._is_open = True

    def close(self) -> None:
        """End it."""
        self.shut()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    if not self._is_open:
                        raise ConnectionRefusedError
                    far = socket.create_connection((HOST, self._broker))
                except OSError:
                    near.close()
                    continue
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
