"""Durations as people write them: ``30m``, ``2h``, ``7d``."""

import re

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def duration_s(text: str) -> float:
    """Seconds in ``text``; raises ValueError if it is not a number with a unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text, re.ASCII)
    if not match:
        raise ValueError(f"{text!r} is not a duration; write 30s, 10m, 2h or 7d")
    return float(match[1]) * _UNITS_S[match[2]]
