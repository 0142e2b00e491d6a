"""``undertone``: the command line, which imports a command only when it is called."""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from undertone import __version__, paths
from undertone.errors import ConfigError, UndertoneError

COMMANDS = {
    "listen": "Hear emotions: live on the screen and into the journal.",
    "classify": "Say which emotion is heard in files or folders.",
    "devices": "List the microphones and what they can do.",
    "journal": "Show, sum up or export what was heard.",
    "bench": "Measure size, latency and memory of a model here.",
    "config": "Print every setting and where it came from.",
    "doctor": "Find what is missing on this machine and how to mend it.",
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


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None for a name that is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command and give it the file's settings; suggest one for a misspelt name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`undertone --help` lists all."
            ctx.fail(f"There is no command {name!r}; {hint}")
        resolved = super().resolve_command(ctx, args)
        command = resolved[1]
        if command and not {"-h", "--help"} & set(args):
            ctx.default_map = {name: _spread(command, _file_settings())}
        return resolved


def _file_settings() -> dict[str, Any]:
    from undertone.cli.options import known_settings
    from undertone.settings import load_default_map

    path = paths.config_path()
    try:
        return load_default_map(path, known_settings())
    except FileNotFoundError:
        if os.environ.get(paths.CONFIG_ENVVAR):
            raise ConfigError(f"there is no {path}, which {paths.CONFIG_ENVVAR} names") from None
        return {}


def _spread(command: click.Command, settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` for ``command`` and, where it is a group, for each command in it."""
    inner = command.commands if isinstance(command, click.Group) else {}
    return settings | {name: _spread(below, settings) for name, below in inner.items()}


@click.group(
    cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="undertone")
def undertone() -> None:
    """Hear how something is said: emotions from a microphone or files, on this machine alone."""


def run(group: click.Command, name: str, args: Sequence[str] | None = None) -> int:
    """Run a command line to its exit status; errors become one sentence on stderr."""
    try:
        status = group.main(args, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except UndertoneError as error:
        click.echo(f"{name}: {error}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader has left (`| head`): what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def main() -> None:
    """The console script."""
    # Before NumPy is imported: its matrices here are small, and a second thread of OpenBLAS
    # makes an MFCC several times slower where the other core is busy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(run(undertone, "undertone"))
