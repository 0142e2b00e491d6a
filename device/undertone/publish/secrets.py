"""What no settings file, command line or log may show: from the environment, or a private file."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from undertone.errors import ConfigError
from undertone.support.strict import Strict
from undertone.support.suggestion import suggestion
from undertone.support.toml import read_toml


class Secrets(Strict, frozen=True):
    """Logins, and addresses that let everyone who knows them send or read.

    apprise_urls: separated by spaces or line breaks, as Apprise itself takes them.
    """

    mqtt_user: str | None = None
    mqtt_password: str | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
    apprise_urls: str = ""


def read_secrets(environment: MutableMapping[str, str], path: Path | None) -> Secrets:
    """The secrets in ``UNDERTONE_MQTT_PASSWORD`` and so on, else those of the TOML file ``path``.

    Removes them from ``environment``, since no child process needs them.  Raises ConfigError if
    the file can't be read, if others may read it, or if it has another key.
    """
    known = [field.name for field in msgspec.structs.fields(Secrets)]
    values: dict[str, Any] = {}
    if path is not None:
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"{path} is accessible to others: run chmod 600 {path}.")
            values = read_toml(path)
        except OSError as error:
            raise ConfigError(f"Can't read the secrets in {path}: {error.strerror}.") from error
        for key, value in values.items():
            if key not in known:
                near = suggestion(key, known, f"its keys are {', '.join(known)}")
                raise ConfigError(f"{path}: there is no secret {key!r}; {near}")
            if not isinstance(value, str):
                raise ConfigError(f"{path}: {key} must be text in quotes")
    for name in known:
        if value := environment.pop(f"UNDERTONE_{name.upper()}", ""):
            values[name] = value
    return Secrets(**values)
