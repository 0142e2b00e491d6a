"""Status messages of a service to systemd, by the protocol of sd_notify(3).

It is a datagram to a socket: the manual page prints the code to copy instead of depending on
a library, and what the package index has for it was last touched in 2017.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from undertone.errors import ServiceError

_PATIENCE_S = 1.0  # a system that is too busy to listen must not hold up the listening


@dataclass(frozen=True, slots=True)
class Notifier:
    """The way to the service manager.

    address: path of its datagram socket, with ``@`` in front where it is abstract.
    watchdog_s: how long it waits for a keep-alive before it stops the service; None: forever.
    """

    address: str
    watchdog_s: float | None = None

    def send(self, *assignments: str) -> None:
        """Send ``READY=1`` and the like; ServiceError where they are not taken."""
        # a microphone's or a file's name must not become an assignment of its own
        lines = "\n".join(assignment.replace("\n", " ") for assignment in assignments)
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_PATIENCE_S)
                sender.sendto(lines.encode(errors="replace"), address)
        except OSError as error:
            raise ServiceError(
                f"the service manager takes no message on {self.address}: {error}"
            ) from error


def service_manager(environment: Mapping[str, str]) -> Notifier | None:
    """The service manager that started this process; None where there is none that listens."""
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return None
    meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    limit_us = environment.get("WATCHDOG_USEC", "")
    return Notifier(address, int(limit_us) / 1e6 if meant and limit_us.isdecimal() else None)
