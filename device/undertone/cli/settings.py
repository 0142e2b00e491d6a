"""The TOML file of settings: read, checked, and handed to click as its default map."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from undertone.errors import ConfigError
from undertone.support.regular_file import open_regular

_LARGEST_FILE_BYTES = 2**20


def load_default_map(path: Path, known: Mapping[str, click.Option]) -> dict[str, Any]:
    """The settings in the file at ``path``, each checked against the option of its name.

    Raises FileNotFoundError where there is none, and ConfigError, which names the key or the
    line, where it can't be read, is not TOML, or holds a key or a value that no option takes.
    """
    settings = read_toml(path)
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"{path}: there is no setting {key!r}{_suggestion(key, known)}")
        _check(path, key, value, known[key])
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a small TOML file.

    Raises FileNotFoundError where there is none, and ConfigError, which names the line, where it
    can't be read or is not TOML.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
        if len(content) > _LARGEST_FILE_BYTES:
            raise ConfigError(f"{path} is far too large for a file of settings")
        return tomllib.loads(content.decode())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"Can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}, is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is not valid TOML: it is nested too deeply") from error


def _suggestion(key: str, known: Mapping[str, click.Option]) -> str:
    near = difflib.get_close_matches(key.replace("-", "_").lower(), known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return "; `undertone config` lists all"


def _check(path: Path, key: str, value: object, option: click.Option) -> None:
    if isinstance(option.type, click.types.IntParamType):
        wanted, fits = "a whole number", isinstance(value, int)
    elif isinstance(option.type, click.types.FloatParamType):
        wanted, fits = "a number", isinstance(value, int | float)
    else:
        wanted, fits = "text in quotes", isinstance(value, str)
    if not fits or isinstance(value, bool):
        raise ConfigError(f"{path}: {key} must be {wanted}, not {_shown(value)}")
    try:
        option.type.convert(value, option, None)
    except click.BadParameter as error:
        raise ConfigError(f"{path}: {key}: {error.message}") from error


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else repr(value)
