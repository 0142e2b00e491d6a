"""The rules of the alerts, as the settings file states them in its tables ``[[alert]]``."""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, time
from typing import Any

import msgspec

from undertone.emotions import EMOTIONS
from undertone.errors import ConfigError
from undertone.events import UNCERTAIN
from undertone.support.duration import duration_s
from undertone.support.strict import Strict
from undertone.support.suggestion import suggestion


class Rule(Strict, frozen=True, kw_only=True):
    """What every rule has.

    cooldown: for so long after an alert the rule raises no other one.
    quiet: hours of the day without alerts, such as ``22:00-07:00``; what still holds when they
        end raises its alert then.
    """

    name: str
    cooldown: str = "30m"
    quiet: str = ""

    def __post_init__(self) -> None:
        if not (self.name.strip() and self.name.isprintable() and len(self.name) <= 100):
            raise ValueError("name must be a short text")
        _seconds("cooldown", self.cooldown)
        _hours(self.quiet)

    def is_quiet(self, moment: datetime) -> bool:
        """Whether ``moment``, in local time, is within the quiet hours."""
        if not self.quiet:
            return False
        begin, end = _hours(self.quiet)
        now = moment.time()
        return begin <= now < end if begin <= end else now >= begin or now < end


class EmotionRule(Rule, frozen=True, kw_only=True, tag_field="when", tag="emotion"):
    """``emotion`` was the verdict ``times`` times ``within`` a while, at ``confidence`` or more."""

    emotion: str
    times: int = 1
    within: str = "10m"
    confidence: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.emotion not in (*EMOTIONS, UNCERTAIN):
            near = suggestion(self.emotion, EMOTIONS, f"emotions are {', '.join(EMOTIONS)}")
            raise ValueError(f"{self.emotion!r} is not an emotion; {near}")
        if not 1 <= self.times <= 1000:
            raise ValueError("times must be from 1 to 1000")
        if not 0 <= self.confidence <= 1:  # false for NaN
            raise ValueError("confidence must be from 0 to 1")
        _seconds("within", self.within)


class NothingHeardRule(Rule, frozen=True, kw_only=True, tag_field="when", tag="nothing heard"):
    """There was no segment of speech for as long as ``after``."""

    after: str = "12h"

    def __post_init__(self) -> None:
        super().__post_init__()
        _seconds("after", self.after)


class MicrophoneLostRule(Rule, frozen=True, kw_only=True, tag_field="when", tag="microphone lost"):
    """A microphone no longer delivers sound."""


AnyRule = EmotionRule | NothingHeardRule | MicrophoneLostRule
_KINDS: dict[str, type[AnyRule]] = {
    "emotion": EmotionRule,
    "nothing heard": NothingHeardRule,
    "microphone lost": MicrophoneLostRule,
}


def parse_rules(tables: Iterable[Any], origin: object) -> list[AnyRule]:
    """The rules in the tables ``[[alert]]`` of ``origin``; ConfigError names what is wrong."""
    rules: list[AnyRule] = []
    for number, table in enumerate(tables, 1):
        try:
            rule = _parse(table)
            if any(rule.name == other.name for other in rules):
                raise ValueError(f"another alert is called {rule.name!r}, too")
        except ValueError as error:  # msgspec's are ValueErrors
            raise ConfigError(f"{origin}: alert {number}: {error}") from error
        rules.append(rule)
    return rules


def _parse(table: Any) -> AnyRule:
    if not isinstance(table, dict):
        raise ValueError("it must be a table, which begins with [[alert]]")
    kind = table.get("when")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"when must be {', '.join(map(repr, _KINDS))}, not {kind!r}")
    known = [field.name for field in msgspec.structs.fields(_KINDS[kind])]
    for key in table.keys() - {"when", *known}:
        near = suggestion(key, known, f"its keys are {', '.join(known)}")
        raise ValueError(f"there is no {key!r}; {near}")
    try:
        return msgspec.convert(table, _KINDS[kind])
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("Object ", "it is ").replace("`", "'")) from error


def _seconds(name: str, text: str) -> None:
    try:
        if not 0 <= duration_s(text) < 1e9:
            raise ValueError(f"{text!r} is too long")
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _hours(text: str) -> tuple[time, time]:
    if not text:
        return time(), time()
    match = re.fullmatch(r"(\d\d:\d\d) ?[-–] ?(\d\d:\d\d)", text, re.ASCII)
    with suppress(ValueError):
        if match:
            return time.fromisoformat(match[1]), time.fromisoformat(match[2])
    raise ValueError(f"quiet: {text!r} are not hours; write them like 22:00-07:00")
