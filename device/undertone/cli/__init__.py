"""``undertone``: the command line, which imports a command only when it runs."""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import click

from undertone import __version__, paths
from undertone.cli.lazy import LazyGroup
from undertone.errors import ConfigError, UndertoneError
from undertone.support.printable import printable

COMMANDS = {
    "listen": "Listen to a microphone: live emotions and the journal.",
    "classify": "Classify the emotion in audio files.",
    "devices": "List the microphones and their sample rates.",
    "voice": "Show or forget what is known of the voice that it hears.",
    "journal": "Show, summarise, plot, export or delete past events.",
    "publish": "Send the journal to an MQTT broker, and alerts to people.",
    "web": "Serve a web page for files, live sound and the journal.",
    "bench": "Measure the size, latency and memory of models.",
    "config": "Print every setting and where it comes from.",
    "doctor": "Find what is missing on this machine and how to fix it.",
    "service": "Manage listening as a systemd service.",
    "samples": "Print the paths of the packaged clips.",
}
"""Each command, in ``undertone.cli.<name>``, and its line in the help."""

_EPILOG = """\b
Examples:
  undertone listen
  undertone classify --format json recordings/
  undertone journal summary --since 24h

Settings come from flags, UNDERTONE_* variables, or a TOML file, in this order; `undertone config`
prints them.
"""


class _Group(LazyGroup):
    """The commands, each with the settings of the TOML file as its defaults."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command and give it the file's settings."""
        name, command, rest = super().resolve_command(ctx, args)
        # resilient: a shell completes the line; wrong settings are reported when it is run
        if name and command and not ctx.resilient_parsing and not {"-h", "--help"} & set(args):
            ctx.default_map = {name: _spread(command, _file_settings())}
        return name, command, rest


def _file_settings() -> dict[str, Any]:
    from undertone.cli.options import known_settings
    from undertone.cli.settings import load_default_map

    path = paths.config_path()
    try:
        return load_default_map(path, known_settings())
    except FileNotFoundError:
        if os.environ.get(paths.CONFIG_ENVVAR):
            raise ConfigError(
                f"There is no {path}: create it, or unset {paths.CONFIG_ENVVAR}, which names it."
            ) from None
        return {}


def _spread(command: click.Command, settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` for ``command`` and, if it is a group, for each command in it."""
    inner = command.commands if isinstance(command, click.Group) else {}
    return settings | {name: _spread(below, settings) for name, below in inner.items()}


@click.group(
    cls=_Group,
    table=COMMANDS,
    package=__name__,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="undertone")
def undertone() -> None:
    """Recognise emotions in speech from a microphone or files, entirely on this machine."""


def run(group: click.Command, name: str, args: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status; an error is one sentence on stderr."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a file name may not be encodable
    logging.basicConfig(format=f"{name}: %(message)s")  # warnings begin as errors do
    try:
        status = group.main(args, prog_name=name, standalone_mode=False)
        if sys.stdout:  # None if the caller has closed it
            sys.stdout.flush()
    except UndertoneError as error:
        click.echo(f"{name}: {printable(str(error))}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        _discard_output()  # the reader has exited (`| head`)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _discard_output()
        click.echo(f"{name}: The disk is full: make room and run the same command again.", err=True)
        return 1
    return status if isinstance(status, int) else 0


def _discard_output() -> None:
    """Send what is still buffered nowhere, so that flushing it at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The console script."""
    # Before NumPy is imported: its matrices here are small, and a second thread of OpenBLAS
    # makes an MFCC several times slower when the other core is busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(undertone, "undertone"))
