"""Suggests what a mistyped name may have meant."""

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """A question such as "did you mean 'threads'?", or ``otherwise`` if no name is similar."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise
