"""``undertone web``: the web page."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from undertone.cli import options
from undertone.cli.output import notice
from undertone.errors import RuntimeMissingError
from undertone.support.installation import add_extra

if TYPE_CHECKING:
    from undertone.journal.limits import JournalLimits
    from undertone.recognition.interpreter import RuntimeName
    from undertone.web.server import Address


@click.command(
    epilog="""\b
Examples:
  undertone web
  undertone web --port 8080 --journal /var/lib/undertone/journal
  undertone web --host 0.0.0.0 --web-password-file ~/.undertone-password

\b
From another computer SSH is safest, and needs no password for the page:
  ssh -N -L 8501:localhost:8501 pi@raspberrypi
and open http://localhost:8501 there.
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
    """Serve a web page to classify files, listen live, and view the journal and the models.

    Only this machine can open it by default.  With another --host a password is required, from the
    environment variable UNDERTONE_WEB_PASSWORD or a file.  Ctrl-C ends it.
    """
    try:
        from undertone.web.app_state import create_app_state
        from undertone.web.models import Settings, open_models
        from undertone.web.password import read_password
        from undertone.web.server import Address, serve
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(
            f"{error.name}, which the page needs, is not installed: {add_extra('web')}."
        ) from None
    password = read_password(os.environ, web_password_file, web_host)
    settings = Settings(
        model, threshold, runtime, threads, microphone, channel, gain_db, journal, limits
    )
    state = create_app_state(settings, open_models(settings), password is not None)
    with suppress(KeyboardInterrupt):
        serve(Address(web_host, web_port, password), _ready, state.listener.stop)


def _ready(address: "Address") -> None:
    notice(f"the page is on {address.url}; Ctrl-C ends it")
    if not address.is_loopback:
        notice(
            "WARNING: other machines in the network can reach the page, and nothing is encrypted: "
            "the password and everything shown can be intercepted; SSH prevents that (docs/web.md)"
        )
