"""``undertone web``: the page, in a browser."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.errors import ConfigError, RuntimeMissingError

if TYPE_CHECKING:
    from undertone.journal.writer import JournalLimits
    from undertone.recognition.interpreter import RuntimeName
    from undertone.web.server import Address

PASSWORD_ENVVAR = "UNDERTONE_WEB_PASSWORD"
SHORTEST_PASSWORD = 8


@click.command(
    epilog="""\b
Examples:
  undertone web
  undertone web --port 8080 --journal /var/lib/undertone/journal
  undertone web --host 0.0.0.0 --web-password-file ~/.undertone-password

From another computer it is safest through SSH, and needs no password:
  ssh -N -L 8501:localhost:8501 pi@raspberrypi    then open http://localhost:8501
"""
)
@options.web_host
@options.web_port
@options.web_password_file
@options.model
@options.threshold
@options.runtime
@options.threads
@options.microphone
@options.channel
@options.gain_db
@options.journal_writing
def command(
    web_host: str,
    web_port: int,
    web_password_file: Path | None,
    model: str,
    threshold: float | None,
    runtime: "RuntimeName",
    threads: int,
    microphone: str | None,
    channel: int | None,
    gain_db: float,
    journal: Path,
    limits: "JournalLimits",
) -> None:
    """Serve a page to try files, watch the listening, look through the journal and the models.

    On this machine alone, unless --host says otherwise: then who opens it must give a password,
    from the environment variable UNDERTONE_WEB_PASSWORD or a file.  Ctrl-C ends it.
    """
    try:
        from undertone.web.app_state import furnish
        from undertone.web.models import Settings, open_models
        from undertone.web.server import Address, is_loopback, serve
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(
            f"{error.name}, which the page needs, is not installed: "
            "run pip install 'undertone[web]'."
        ) from None
    password = _password(web_password_file)
    if password is None and not is_loopback(web_host):
        raise ConfigError(
            f"On {web_host} others could open the page: set {PASSWORD_ENVVAR}, or name a file with "
            "--web-password-file; or leave --host out and come through SSH."
        )
    settings = Settings(
        model, threshold, runtime, threads, microphone, channel, gain_db, journal, limits
    )
    house = furnish(settings, open_models(settings), password is not None)
    with suppress(KeyboardInterrupt):
        serve(Address(web_host, web_port, password), _ready, house.ears.stop)


def _ready(address: "Address") -> None:
    click.echo(f"undertone: the page is on {address.url}; Ctrl-C ends it", err=True)
    if not address.is_loopback:
        click.echo(
            "undertone: WARNING: others in the network can reach it, and nothing is encrypted: who "
            "can listen in can read the password and all that is shown; SSH would protect it "
            "(docs/web.md)",
            err=True,
        )


def _password(path: Path | None) -> str | None:
    password = os.environ.pop(PASSWORD_ENVVAR, None)  # no child process needs it
    told = PASSWORD_ENVVAR
    if password is None and path is not None:
        password, told = _content(path), str(path)
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise ConfigError(
            f"The password in {told} is too short: take {SHORTEST_PASSWORD} characters or more."
        )
    return password


def _content(path: Path) -> str:
    """The first line of a file that nobody else may read."""
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(
                    f"{path} holds a password that others may read: run chmod 600 {path}."
                )
            return file.readline(1000).rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"Can't read the password in {path}: {reason}.") from error
