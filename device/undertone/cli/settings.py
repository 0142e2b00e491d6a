"""The TOML file of settings: read, checked, and passed to click as its default map."""

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any

import click

from undertone.errors import ConfigError
from undertone.support.suggestion import suggestion
from undertone.support.toml import read_toml

ALERT = "alert"
"""The only key that is not a setting: an array of tables, the rules of `undertone publish`."""


def load_alerts(path: Path) -> list[Any]:
    """The tables ``[[alert]]`` in the file at ``path``, unchecked; none if there is no file."""
    try:
        tables = read_toml(path).get(ALERT, [])
    except FileNotFoundError:
        return []
    if not isinstance(tables, list):
        raise ConfigError(f"{path}: write [[alert]] above each alert, not {ALERT} = or [alert]")
    return tables


def load_default_map(path: Path, known: Mapping[str, click.Option]) -> dict[str, Any]:
    """The settings in the file at ``path``, each checked against the option of its name.

    Raises FileNotFoundError if there is none, and ConfigError, which names the key or the line, if
    it can't be read, is not TOML, or has a key or a value that no option accepts.
    """
    settings = {key: value for key, value in read_toml(path).items() if key != ALERT}
    for key, value in settings.items():
        if key not in known:
            usual = key.replace("-", "_").lower()
            near = suggestion(usual, known, "`undertone config` lists all")
            raise ConfigError(f"{path}: there is no setting {key!r}; {near}")
        _check(path, key, value, known[key])
    return settings


def _check(path: Path, key: str, value: object, option: click.Option) -> None:
    kind: type | UnionType
    if isinstance(option.type, click.types.IntParamType):
        wanted, kind = "a whole number", int
    elif isinstance(option.type, click.types.FloatParamType):
        wanted, kind = "a number", int | float
    else:
        wanted, kind = "text in quotes", str
    if option.multiple:
        wanted += ", or a list of that"
    # an empty list is checked as if it were a value, which it is not
    values = value if option.multiple and isinstance(value, list) and value else [value]
    for each in values:
        if not isinstance(each, kind) or isinstance(each, bool):
            raise ConfigError(f"{path}: {key} must be {wanted}, not {_shown(value)}")
        try:
            option.type.convert(each, option, None)
        except click.BadParameter as error:
            raise ConfigError(f"{path}: {key}: {error.message}") from error


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else repr(value)
