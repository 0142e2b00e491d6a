"""Pages and cards from the Jinja templates in ``templates/``.

Templates that end in ``.html`` escape every value; a missing value is an error.
"""

import base64
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from undertone.emotions import colour
from undertone_training.report.protocols import meaning, percent, percent_interval, percent_spread

_WIDE_PIXELS = 1250
"""A wider picture gets the whole width of the page."""


@dataclass(frozen=True)
class Picture:
    """A picture for a page: its file's name, what it shows in words, the PNG."""

    name: str
    caption: str
    png: bytes

    @property
    def base64(self) -> str:
        """The PNG in the encoding of a data URL."""
        return base64.b64encode(self.png).decode()

    @property
    def wide(self) -> bool:
        """Whether the page gives it the whole width."""
        width = int.from_bytes(self.png[16:20], "big")  # PNG specification, 11.2.2
        return width > _WIDE_PIXELS


def render(name: str, **values: Any) -> str:
    """The template ``name`` with these values; raises jinja2.UndefinedError for a missing one."""
    return _environment().get_template(name).render(values)


def macros(name: str) -> Any:
    """The macros of the template ``name`` as functions that return text."""
    return _environment().get_template(name).module


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "share": lambda share: "–" if share is None else percent(share),
        "thousands": "{:,}".format,
        "colour": colour,
        "interval": percent_interval,
        "spread": lambda spread: percent_spread(**spread),
        "meaning": meaning,
    }
    return environment
