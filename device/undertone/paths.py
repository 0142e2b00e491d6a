"""Where Undertone keeps its files, and its default model; creates and reads nothing."""

import os
from pathlib import Path

import platformdirs

DEFAULT_BUNDLE = "ravdess8-compact"
"""The packaged model that is used unless another is chosen."""

CONFIG_ENVVAR = "UNDERTONE_CONFIG"


def state_dir() -> Path:
    """``$UNDERTONE_STATE``, or else the user's state folder (XDG)."""
    chosen = os.environ.get("UNDERTONE_STATE")
    return Path(chosen) if chosen else platformdirs.user_state_path("undertone")


def journal_dir() -> Path:
    """The journal's folder, unless another is chosen."""
    return state_dir() / "journal"


def config_path() -> Path:
    """``$UNDERTONE_CONFIG``, else ``config.toml`` in the user's configuration folder (XDG)."""
    chosen = os.environ.get(CONFIG_ENVVAR)
    return Path(chosen) if chosen else platformdirs.user_config_path("undertone") / "config.toml"
