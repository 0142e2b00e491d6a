"""What a mistyped name may have been meant to be."""

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """Ask for the nearest of ``known``, "did you mean 'threads'?"; ``otherwise`` if none is."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise
