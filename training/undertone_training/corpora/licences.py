"""What weights that learnt from some corpora are under; each corpus states its own licence."""

from collections.abc import Iterable

from undertone_training.corpora.scan import CORPORA

OWN = "own recordings"
"""In the place of a licence, for corpora of one's own (``own``)."""


def licence_of(corpus: str) -> str | None:
    """What weights that learnt from ``corpus`` are under; None if they may not be passed on."""
    return CORPORA[corpus].licence if corpus in CORPORA else OWN


def unlicensed(corpora: Iterable[str]) -> list[str]:
    """Those of ``corpora`` from which no weights may be passed on."""
    return [corpus for corpus in corpora if licence_of(corpus) is None]


def licence_of_weights(corpora: Iterable[str]) -> str:
    """The licences of weights that learnt from all of ``corpora``."""
    found = {licence_of(corpus) or f"none ({corpus})" for corpus in corpora}
    return "; ".join(sorted(found))
