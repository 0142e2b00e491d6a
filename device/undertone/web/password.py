"""The password of the page: from an environment variable or a file, and when it is required."""

import os
import stat
from collections.abc import MutableMapping
from pathlib import Path

from undertone.errors import ConfigError
from undertone.web.server import is_loopback

ENVVAR = "UNDERTONE_WEB_PASSWORD"
SHORTEST = 8


def read_password(
    environment: MutableMapping[str, str], path: Path | None, host: str
) -> str | None:
    """The password for a page on ``host``: that of ``ENVVAR``, else the first line of ``path``.

    Removes ``ENVVAR`` from ``environment``, since no child process needs it.  Raises ConfigError
    if it is too short, if the file can't be read or others may read it, and if there is none
    although other machines can reach ``host``.
    """
    password, origin = environment.pop(ENVVAR, None), ENVVAR
    if password is None and path is not None:
        password, origin = _first_line(path), str(path)
    if password is None and not is_loopback(host):
        raise ConfigError(
            f"Others could open the page on {host}: set {ENVVAR}, or name a file with "
            "--web-password-file; or omit --host and connect through SSH."
        )
    if password is not None and len(password) < SHORTEST:
        raise ConfigError(
            f"The password in {origin} is too short: use at least {SHORTEST} characters."
        )
    return password


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(
                    f"The password file {path} is accessible to others: run chmod 600 {path}."
                )
            return file.readline(1000).rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"Can't read the password in {path}: {reason}.") from error
