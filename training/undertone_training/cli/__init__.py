"""``undertone-train``: the command line, which imports a command only when it is called."""

import difflib
import importlib
import sys

import click

from undertone import __version__
from undertone.cli import run
from undertone.errors import RuntimeMissingError

COMMANDS = {
    "fetch": "Download the official RAVDESS archives.",
    "prepare": "Find the corpora, compute and cache their features.",
    "recipes": "List the recipes, or print one.",
    "fit": "Train a recipe on the splits of a protocol.",
    "quantize": "Make full-int8 models of trained runs.",
    "evaluate": "Test runs on the clips that they never saw.",
    "compare": "Set the figures of runs side by side.",
    "promote": "Make a tested run a bundle for the device.",
}
"""Each command, in ``undertone_training.cli.<name>``, and its line in the help."""

_EPILOG = """\b
Example, from nothing to a model:
  undertone-train fetch ravdess --to corpora
  undertone-train prepare --data corpora
  undertone-train fit --data corpora --protocol final
  undertone-train quantize runs/compact/final --data corpora
  undertone-train evaluate runs/compact/final --data corpora
  undertone-train promote runs/compact/final/seed0
"""


class _LazyGroup(click.Group):
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
        """Find the command; suggest one for a misspelt name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`undertone-train --help` lists all."
            ctx.fail(f"There is no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a library of the training extra that is missing is told as such."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing in ("", "undertone", "undertone_training"):
                raise
            raise RuntimeMissingError(
                f"{missing} is not installed: run pip install 'undertone[training]'."
            ) from error


@click.group(
    cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="undertone-train")
def undertone_train() -> None:
    """Turn recordings of acted emotions into a small int8 model for the device."""


def main() -> None:
    """The console script."""
    sys.exit(run(undertone_train, "undertone-train"))
