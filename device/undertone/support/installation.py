"""How this program was installed, and the commands that change its installation.

They install from where the program came from, never by its name: a package index has another
project under it.
"""

import json
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import undertone

DEBIAN_FOLDER = Path("/usr/lib/undertone")
"""Where the program of the Debian packages is, in the container too."""

_OF_DEBIAN_WEB = ("web", "parquet")


def add_extra(names: str) -> str:
    """How to add the extras ``names``, separated by commas: the end of a sentence, without its
    full stop.
    """
    if Path(undertone.__file__).is_relative_to(DEBIAN_FOLDER):
        package = "undertone-web" if names in _OF_DEBIAN_WEB else "undertone"
        return f"install the Debian package {package}, which `make deb` builds"
    origin = _installed_from()
    if origin and origin.suffix == ".whl":
        return f"run `{pip_install(f'{origin}[{names}]')}`"
    is_known, command = _from_source(f".[{names}]")
    return f"run `{command}`" + ("" if is_known else " in the folder of Undertone's source")


def reinstallation() -> str:
    """The command, or a sentence with it, that installs this program again as it was."""
    is_known, command = _from_source(".", "--force-reinstall")
    return command if is_known else f"in the folder of Undertone's source: `{command}`"


def pip_install(*arguments: str) -> str:
    """The command that changes this program's own environment, and no other."""
    command = shlex.join((sys.executable, "-m", "pip", "install", *arguments))
    own = sys.prefix == sys.base_prefix or os.access(sys.prefix, os.W_OK)
    return command if own else f"sudo {command}"


def _from_source(what: str, *options: str) -> tuple[bool, str]:
    """The command that installs ``what`` in the folder of the source; and whether that is known."""
    options = (*options, "-c", "constraints.txt")
    checkout, origin = Path(undertone.__file__).parents[2], _installed_from()
    if (checkout / "setup.py").exists():  # as `make run` installs it
        return True, f"cd {shlex.quote(str(checkout))} && {pip_install(*options, '-e', what)}"
    if origin and origin.is_dir():
        return True, f"cd {shlex.quote(str(origin))} && {pip_install(*options, what)}"
    return False, pip_install(*options, what)


def _installed_from() -> Path | None:
    """The folder or wheel that pip installed this program from, if it is still there."""
    from importlib import metadata

    with suppress(metadata.PackageNotFoundError, ValueError, OSError):
        record = metadata.distribution("undertone").read_text("direct_url.json")
        url = urlsplit(json.loads(record or "{}").get("url", ""))
        path = Path(unquote(url.path))
        if url.scheme == "file" and path.exists():
            return path
    return None
