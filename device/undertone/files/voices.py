"""A voice from recordings of it."""

import os
from collections.abc import Iterable
from pathlib import Path

from undertone.recognition.voice import Voice, together


class KnownVoice:
    """What several recordings tell of one voice, together or without one of them."""

    def __init__(self, recordings: Iterable[tuple[Path, Voice]]) -> None:
        """``recordings``: at least one, each with what is known of the voice from it alone."""
        self._alone = {_identity(path): voice for path, voice in recordings}
        self._all = together(list(self._alone.values()))

    def alone(self, path: Path) -> Voice | None:
        """What the recording ``path`` alone tells; None if it is none of them."""
        return self._alone.get(_identity(path))

    def without(self, path: Path) -> Voice | None:
        """What all recordings but ``path`` tell; None if there is no other."""
        own = _identity(path)
        if own not in self._alone:
            return self._all
        return together([voice for other, voice in self._alone.items() if other != own])


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for all paths of one file."""
    try:
        found = os.stat(path)  # noqa: PTH116  also for an impossible name
    except (OSError, ValueError):  # reading it says what is wrong
        return path
    return found.st_dev, found.st_ino
