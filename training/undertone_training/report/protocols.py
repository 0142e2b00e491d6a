"""What a reader must know about a figure: what its protocol means, and how well people do."""

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
