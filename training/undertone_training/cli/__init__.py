"""``undertone-train``: the command line, which imports a command only when it is called."""

import sys

import click

from undertone import __version__
from undertone.cli import run
from undertone.cli.lazy import LazyGroup
from undertone.errors import RuntimeMissingError
from undertone.support.installation import add_extra

COMMANDS = {
    "fetch": "Download the official RAVDESS archives.",
    "prepare": "Find the corpora, compute and cache their features.",
    "overview": "Draw what the corpora contain.",
    "recipes": "List the recipes, or print one.",
    "fit": "Train a recipe on the splits of a protocol.",
    "quantize": "Make full-int8 models of trained runs.",
    "evaluate": "Test runs on clips they were not trained on.",
    "measure": "Measure what runs cost: latency, memory, size.",
    "tune": "Search for a better recipe.",
    "compare": "Show the figures of runs side by side.",
    "promote": "Make a tested run a bundle for the device.",
    "make": "Make a bundle of corpora: all of these steps in one.",
    "fit-detector": "Train the speech detector of every bundle.",
    "measure-gate": "Measure what the speech gate misses and mistakes.",
}
"""Each command, in ``undertone_training.cli.<name>``, and its line in the help."""

_EPILOG = """\b
Example, from nothing to a model and its figures (`export UNDERTONE_DATA=corpora` first):
  undertone-train fetch ravdess
  undertone-train prepare
  undertone-train fit                      # four folds by actor: how well it does on a new speaker
  undertone-train fit --protocol final     # the weights that ship
  undertone-train quantize runs/compact
  undertone-train evaluate runs/compact
  undertone-train promote runs/compact/final/seed0 --evidence runs/compact --name my-model
"""


class _Group(LazyGroup):
    """The commands, each of which may need libraries of the training extra."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; reports a missing library of the training extra as such."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing in ("", "undertone", "undertone_training"):
                raise
            raise RuntimeMissingError(
                f"{missing} is not installed: {add_extra('training')}."
            ) from error


@click.group(
    cls=_Group,
    table=COMMANDS,
    package=__name__,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="undertone-train")
def undertone_train() -> None:
    """Turn recordings of acted emotions into a small int8 model for the device."""


def main() -> None:
    """The console script."""
    sys.exit(run(undertone_train, "undertone-train"))
