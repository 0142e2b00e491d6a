"""Durations and times as people write them: ``30m``, ``2h``, ``2026-11-20``."""

import re
from contextlib import suppress
from datetime import datetime, timedelta

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def duration_s(text: str) -> float:
    """Seconds in ``text``; raises ValueError if it is not a number with a unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text, re.ASCII)
    if not match:
        raise ValueError(f"{text!r} is not a duration; write 30s, 10m, 2h or 7d")
    return float(match[1]) * _UNITS_S[match[2]]


def time_in(text: str, *, includes_date: bool = False) -> datetime:
    """The time in ``text``: an age such as ``2h``, or a date or time, local without an offset.

    includes_date: a date without a time is the end of that day.  Raises ValueError.
    """
    try:
        with suppress(ValueError):
            return datetime.now().astimezone() - timedelta(seconds=duration_s(text))
        time = datetime.fromisoformat(text)
        if includes_date and re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", text, re.ASCII):
            time += timedelta(days=1)
        return time.astimezone()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time; write 30m, 2h, 7d, 2026-11-20 or 2026-11-20T08:15"
        ) from None
