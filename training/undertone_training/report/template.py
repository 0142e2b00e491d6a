"""Pages and cards from the Jinja templates in ``templates/``.

Templates that end in ``.html`` escape every value; a missing value is an error.
"""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from undertone_training.report.protocols import meaning, percent, percent_interval, percent_spread


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
        "interval": percent_interval,
        "spread": lambda spread: percent_spread(**spread),
        "meaning": meaning,
    }
    return environment
