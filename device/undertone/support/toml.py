"""Reads a small TOML file written by a person."""

import tomllib
from pathlib import Path
from typing import Any

from undertone.errors import ConfigError
from undertone.support.regular_file import open_regular

_LARGEST_FILE_BYTES = 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a small TOML file.

    Raises FileNotFoundError if there is none, and ConfigError, which names the line, if it can't
    be read or is not TOML.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
        if len(content) > _LARGEST_FILE_BYTES:
            raise ConfigError(f"{path} is far too large for a settings file")
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
