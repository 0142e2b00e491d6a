"""A search space: which keys of a recipe ``tune`` may change, and their ranges.

Search spaces are TOML files in ``spaces/``, with one table, ``[space]``; unknown keys, keys that
no recipe has and values that the recipe does not accept are errors that name the key.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from undertone.errors import ConfigError
from undertone.support.strict import Strict
from undertone.support.suggestion import suggestion
from undertone_training.recipe import Recipe, names, read_toml

Value = bool | int | float | str


class Parameter(Strict, frozen=True):
    """The values of one key: from ``low`` to ``high``, both included, or one of ``choices``.

    step: distance between the values, from ``low`` on; None for every number, or every integer.
    log: drawn by its logarithm.
    Raises ValueError for neither or both.
    """

    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        """Check that it is exactly one of the two, and not empty."""
        numbers = (self.low, self.high, self.step)
        if self.choices:
            if self.log or numbers != (None, None, None):
                raise ValueError("choices can't be combined with low, high, step or log")
            return
        if self.low is None or self.high is None:
            raise ValueError("it needs low and high, or choices")
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.step is not None and (self.log or self.step <= 0):
            raise ValueError("step must be above 0, and does not go with log")
        if self.log and self.low <= 0:
            raise ValueError("low must be above 0 for log")

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values such that a recipe that accepts these accepts all."""
        if self.low is None or self.high is None:
            return self.choices
        return (self.low, self.high, *([] if self.step is None else [self.low + self.step]))

    def __str__(self) -> str:
        """Text such as ``0.1 to 0.5``."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        how = " by its logarithm" if self.log else f" by {self.step}" if self.step else ""
        return f"{self.low} to {self.high}{how}"


Space = dict[str, Parameter]
"""By the dotted key of the recipe."""

DEFAULT = "default"
"""The space for recipes and networks that have none."""

_FOLDER = "spaces"


class _File(Strict, frozen=True):
    space: dict[str, Any]


def name_for(recipe: Recipe) -> str:
    """The packaged space of the recipe, or else of its network, or else the general one."""
    return next((name for name in (recipe.name, recipe.network) if name in names(_FOLDER)), DEFAULT)


def load(name_or_path: str | Path, recipe: Recipe) -> Space:
    """Read a search space for ``recipe`` by name, or from a TOML file.

    Raises ConfigError naming what is wrong.
    """
    path, content = read_toml(name_or_path, "search space", _FOLDER)
    try:
        file = msgspec.convert(content, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"The search space {path} is not valid: {error}.") from error
    space = {}
    for key, table in _flat(file.space):
        try:
            space[key] = msgspec.convert(table, Parameter)
            for value in space[key].ends:
                changed(recipe, {key: value})
        except (msgspec.ValidationError, ConfigError) as error:
            reason = str(error).rstrip(".")
            raise ConfigError(f"The search space {path} is not valid: {key}: {reason}.") from error
    if not space:
        raise ConfigError(f"The search space {path} is empty: add a key to search.")
    return space


def changed(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """``recipe`` with other values by dotted key; raises ConfigError if it does not accept one."""
    table = msgspec.to_builtins(recipe)
    keys = [key for key, _ in _leaves(table) if key != "name"]
    for key, value in values.items():
        if key not in keys:
            near = suggestion(key, keys, "`undertone-train recipes compact` prints all.")
            raise ConfigError(f"no recipe has the key {key}: {near}")
        *tables, last = key.split(".")
        inner = table
        for name in tables:
            inner = inner[name]
        inner[last] = value
    try:
        return msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{error}.") from error


def whole(recipe: Recipe, key: str, parameter: Parameter) -> bool:
    """Whether the values of ``key`` between ``low`` and ``high`` are integers."""
    value = dict(_leaves(msgspec.to_builtins(recipe)))[key]
    return not any(isinstance(each, float) for each in (value, *parameter.ends))


def to_toml(recipe: Recipe) -> str:
    """The recipe as a TOML file that ``recipe.load`` reads, with the value of every setting."""
    return tomli_w.dumps(msgspec.to_builtins(recipe))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters by dotted key, quoted (``"a.b" = …``) or nested (``a.b = …``, ``[space.a]``)."""
    for key, value in table.items():
        tables = (
            isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values())
        )
        if tables:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
