"""What tools print: figures as JSON, tables, and the part of a page between two markers."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from undertone_training.report.protocols import column_table
from undertone_training.report.protocols import markdown_table as table

__all__ = ["END", "column_table", "parser_with_output", "print_figures", "rewritten", "table"]

END = "<!-- end of figures -->"


def parser_with_output(description: str | None) -> ArgumentParser:
    """A parser with ``--output``; ``description``: a docstring, of which the first line counts."""
    parser = ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, help="write the figures here as well")
    return parser


def print_figures(figures: Mapping[str, Any], output: Path | None) -> None:
    """Print figures as JSON, and write them to the file that ``--output`` names."""
    text = json.dumps(figures, indent=2) + "\n"
    sys.stdout.write(text)
    if output:
        output.write_text(text)


def rewritten(page: str, begin: str, figures: str) -> str:
    """The page with ``figures`` between ``begin`` and END; ValueError if one of them is missing."""
    before, found, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"the page has no part between {begin} and {END}")
    return f"{before}{begin}\n\n{figures}\n\n{END}{after}"
