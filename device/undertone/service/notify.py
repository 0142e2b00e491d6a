"""Status messages of a service to systemd, by the protocol of sd_notify(3).

A message is a datagram to a socket: the manual page recommends a few lines of code over a
library, and the package for it was last changed in 2017.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from undertone.errors import ServiceError

_PATIENCE_S = 1.0  # a service manager that is too busy to read must not delay the listening


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends messages to the service manager.

    address: path of its datagram socket, beginning with ``@`` if it is abstract.
    watchdog_s: how long it waits for a keep-alive before it stops the service; None: forever.
    """

    address: str
    watchdog_s: float | None = None

    def send(self, *assignments: str) -> None:
        """Send assignments such as ``READY=1``; raises ServiceError if that fails."""
        # the name of a microphone or a file must not be able to add an assignment
        lines = "\n".join(assignment.replace("\n", " ") for assignment in assignments)
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_PATIENCE_S)
                sender.sendto(lines.encode(errors="replace"), address)
        except OSError as error:
            raise ServiceError(
                f"can't send a message to the service manager on {self.address}: {error}"
            ) from error


def service_manager(environment: Mapping[str, str]) -> Notifier | None:
    """The service manager that started this process; None if there is none, or it needs no news."""
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return None
    meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    limit_us = environment.get("WATCHDOG_USEC", "")
    return Notifier(address, int(limit_us) / 1e6 if meant and limit_us.isdecimal() else None)
