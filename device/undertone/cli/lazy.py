"""A command group that imports a command only when it runs, so that ``--help`` is instant."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def __init__(self, *args: Any, table: Mapping[str, str], package: str, **others: Any) -> None:
        """``table``: each command and its line in the help.

        The command ``name`` is the attribute ``command`` of the module ``package.name``, where an
        underscore stands for a hyphen.
        """
        super().__init__(*args, **others)
        self.commands = {name: click.Command(name, short_help=line) for name, line in table.items()}
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None for an unknown name."""
        if cmd_name not in self.commands:
            return None
        module = f"{self._package}.{cmd_name.replace('-', '_')}"
        command: click.Command = importlib.import_module(module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            lines = [(name, known.short_help or "") for name, known in self.commands.items()]
            formatter.write_dl(lines)
