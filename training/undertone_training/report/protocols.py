"""What a reader must know to weigh a figure: what its protocol means, what people reach."""

LISTENERS_ACCURACY = 0.62
"""Mean accuracy of human listeners on RAVDESS speech (Livingstone & Russo 2018)."""

_MEANINGS = {
    "speaker-independent": "every tested speaker was unheard in training",
    "published-folds": "every tested speaker was unheard in training; the published folds of "
    "Luna-Jiménez et al.",
    "speaker-dependent": "inflated: the tested speakers were heard in training too",
    "cross-corpus": "tested on another corpus than the one trained on",
    "live": "played through the whole device path, with pauses and noise",
    "noise": "sounds in which nobody speaks, through the whole device path",
}


def meaning(protocol: str) -> str:
    """What a protocol, or a variant that begins with its name, means; "" for an unknown one."""
    if "validation" in protocol:
        return "validation speakers: temperature, threshold and epoch may have been fitted on them"
    return next((text for name, text in _MEANINGS.items() if protocol.startswith(name)), "")


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.1f} %"


def percent_spread(mean: float, deviation: float | None) -> str:
    """Mean and deviation over seeds as people read them; one seed has no deviation."""
    return percent(mean) if deviation is None else f"{100 * mean:.1f} ± {100 * deviation:.1f} %"


def percent_interval(interval: tuple[float, float] | None) -> str:
    """A 95 % interval as people read it, or that there is none."""
    if interval is None:
        return "no interval: one speaker"
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f} %"
