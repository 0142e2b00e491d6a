"""``undertone``: the command line, which imports a command only when it is called."""

import errno
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
    "listen": "Hear emotions: live on the screen and into the journal.",
    "classify": "Say which emotion is heard in files or folders.",
    "devices": "List the microphones and what they can do.",
    "journal": "Show, sum up or export what was heard.",
    "web": "Show a page: files, the listening, the journal, the models.",
    "bench": "Measure size, latency and memory of a model here.",
    "config": "Print every setting and where it came from.",
    "doctor": "Find what is missing on this machine and how to fix it.",
    "service": "Listen from the start of the machine on (systemd).",
    "samples": "Print the paths of the packaged clips.",
}
"""Each command, in ``undertone.cli.<name>``, and its line in the help."""

_EPILOG = """\b
Examples:
  undertone listen
  undertone classify --format json recordings/
  undertone journal summary --since 24h

Options come from flags, then UNDERTONE_* variables, then a TOML file; see `undertone config`.
"""


class _Group(LazyGroup):
    """The commands, each with the settings of the TOML file as its defaults."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command and give it the file's settings."""
        name, command, rest = super().resolve_command(ctx, args)
        # resilient: a shell completes the line, and wrong settings are told when it is run
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
                f"There is no {path}: make it, or unset {paths.CONFIG_ENVVAR}, which names it."
            ) from None
        return {}


def _spread(command: click.Command, settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` for ``command`` and, where it is a group, for each command in it."""
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
    """Hear how something is said: emotions from a microphone or files, on this machine alone."""


def run(group: click.Command, name: str, args: Sequence[str] | None = None) -> int:
    """Run a command line to its exit status; errors become one sentence on stderr."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a file's name may hold what it can't print
    try:
        status = group.main(args, prog_name=name, standalone_mode=False)
        if sys.stdout:  # None where the caller has closed it
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
        _forget_output()  # the reader has left (`| head`)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _forget_output()
        click.echo(f"{name}: The disk is full: make room and run the same command again.", err=True)
        return 1
    return status if isinstance(status, int) else 0


def _forget_output() -> None:
    """What is still buffered must not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The console script."""
    # Before NumPy is imported: its matrices here are small, and a second thread of OpenBLAS
    # makes an MFCC several times slower where the other core is busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(undertone, "undertone"))
