"""Markdown for the tools that write pages: tables, and the part of a page between two markers."""

from collections.abc import Iterable, Sequence

END = "<!-- end of figures -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table, with its first ``left`` columns aligned left and the others right."""
    lines = [head, [*["---"] * left, *["---:"] * (len(head) - left)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rewritten(page: str, begin: str, figures: str) -> str:
    """The page with ``figures`` between ``begin`` and END; ValueError if one of them is missing."""
    before, found, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"the page has no part between {begin} and {END}")
    return f"{before}{begin}\n\n{figures}\n\n{END}{after}"
