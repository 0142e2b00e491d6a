"""How figures are written, and what a reader must know: what a protocol means, how people do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")

LISTENERS_ACCURACY = 0.62
"""Mean accuracy of human listeners on RAVDESS speech (Livingstone & Russo 2018)."""

_MEANINGS = {
    "speaker-independent": "no tested speaker is in the training data",
    "published-folds": "no tested speaker is in the training data; the published folds of "
    "Luna-Jiménez et al.",
    "speaker-dependent": "inflated: the tested speakers are in the training data, too",
    "cross-corpus": "tested on a corpus that is not in the training data",
    "leave-one-corpus-out": "tested on a corpus that is not in the training data",
    "live": "played through the whole device path, with pauses and noise",
    "noise": "sounds without speech, played through the whole device path",
}


def meaning(protocol: str) -> str:
    """What a protocol, or a variant whose name begins with it, means; "" for an unknown one."""
    if "validation" in protocol:
        return "validation speakers: temperature, threshold and epoch may have been fitted on them"
    return next((text for name, text in _MEANINGS.items() if protocol.startswith(name)), "")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table, with its first ``left`` columns aligned left and the others right."""
    lines = [head, [*["---"] * left, *["---:"] * (len(head) - left)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def column_table(
    items: Iterable[Item], columns: Mapping[str, Callable[[Item], str]], left: int = 1
) -> str:
    """A Markdown table with a row for each item; ``columns``: what each shows, by its heading."""
    rows = ([cell(item) for cell in columns.values()] for item in items)
    return markdown_table(list(columns), rows, left)


def percent(share: float) -> str:
    """A share, from 0 to 1, in percent."""
    return f"{100 * share:.1f} %"


def percent_spread(mean: float, deviation: float | None) -> str:
    """Mean and standard deviation over seeds, in percent; a single seed has no deviation."""
    return percent(mean) if deviation is None else f"{100 * mean:.1f} ± {100 * deviation:.1f} %"


def percent_interval(interval: tuple[float, float] | None) -> str:
    """A 95 % interval in percent, or why there is none."""
    if interval is None:
        return "no interval: one speaker"
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f} %"
