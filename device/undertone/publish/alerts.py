"""From events of the journal, and from the time that passes, to alerts."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from undertone.events import Event, SegmentEnded
from undertone.publish.messages import to_json
from undertone.publish.rules import AnyRule, EmotionRule, MicrophoneLostRule, NothingHeardRule
from undertone.publish.sources import LOST, Sources
from undertone.support.duration import duration_s


class DeliveryError(Exception):
    """An alert that was not taken; the message says why."""


class Alert(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people get.

    id: no other alert has it.  time: RFC 3339, when the rule was fulfilled.
    """

    id: str
    alert: str
    message: str
    time: str
    source: str | None = None

    @property
    def title(self) -> str:
        """A heading for it."""
        return f"Undertone: {self.alert}"

    def json(self) -> str:
        """As one object, which a webhook gets."""
        return to_json(msgspec.structs.asdict(self))


class RuleState(msgspec.Struct, forbid_unknown_fields=True):
    """What is remembered of a rule.

    times_s: when its emotion was heard (POSIX seconds); alerted_s: when the last alert was raised.
    told: the sources that are lost, or "" for silence, for which an alert was raised.
    """

    times_s: list[float] = []
    alerted_s: float | None = None
    told: list[str] = []


class AlertState(msgspec.Struct, forbid_unknown_fields=True):
    """What is remembered: rules by name, the sources, and the time of the last segment."""

    rules: dict[str, RuleState] = {}
    sources: Sources = Sources()
    heard: str | None = None

    def follow(self, event: Event) -> None:
        """Take an event of the journal into account that raises no alert."""
        self.sources = self.sources.after(event)
        if isinstance(event, SegmentEnded):
            self.heard = event.time.isoformat(timespec="milliseconds")


class Alerts:
    """Raises the alerts of ``rules``; ``state`` changes, and is to be stored."""

    def __init__(self, rules: Iterable[AnyRule], state: AlertState) -> None:
        """State of rules that do not exist any more is dropped."""
        self._rules = list(rules)
        self.state = state
        state.rules = {rule.name: state.rules.get(rule.name, RuleState()) for rule in self._rules}
        self._silent_since_s: float | None = None  # by the steady clock

    def take(self, event: Event, id_: str) -> Iterator[Alert]:
        """The alerts that an event of the journal raises at once."""
        self.state.follow(event)
        for rule in self._rules:
            if isinstance(rule, MicrophoneLostRule):
                self._forget(rule, self._lost())
        if not isinstance(event, SegmentEnded):
            return
        self._silent_since_s = None
        for rule in self._rules:
            if isinstance(rule, EmotionRule):
                yield from self._emotion(rule, event, id_)

    def tick(self, now: datetime, steady_s: float, age_s: float = 0.0) -> Iterator[Alert]:
        """The alerts that are due although nothing happens.

        now: the local time; steady_s: a clock that nobody sets.  age_s: how long nothing had been
        heard when this was called first, or first after a segment.
        """
        if self._silent_since_s is None:
            self._silent_since_s = steady_s - age_s
        silent_s = steady_s - self._silent_since_s
        for rule in self._rules:
            if isinstance(rule, NothingHeardRule):
                silent = silent_s >= duration_s(rule.after)
                yield from self._what_holds(
                    rule, {"": f"nothing heard for {rule.after}"} if silent else {}, now
                )
            elif isinstance(rule, MicrophoneLostRule):
                yield from self._what_holds(rule, self._lost(), now)

    def _lost(self) -> dict[str, str]:
        """Each source that is lost, and the message about it."""
        sources = self.state.sources.by_name
        return {
            name: f"microphone lost: {name}"
            for name, source in sources.items()
            if source.state == LOST
        }

    def _forget(self, rule: AnyRule, holds: dict[str, str]) -> None:
        """What no longer holds raises an alert when it holds again."""
        state = self.state.rules[rule.name]
        state.told = [key for key in state.told if key in holds]

    def _what_holds(self, rule: AnyRule, holds: dict[str, str], now: datetime) -> Iterator[Alert]:
        state = self.state.rules[rule.name]
        self._forget(rule, holds)
        for key in holds:
            if key not in state.told and self._may_alert(rule, now):
                state.told.append(key)
                state.alerted_s = now.timestamp()
                time = now.isoformat(timespec="milliseconds")
                yield Alert(f"{rule.name}@{time}", rule.name, holds[key], time, key or None)

    def _emotion(self, rule: EmotionRule, segment: SegmentEnded, id_: str) -> Iterator[Alert]:
        confidence = segment.scores[segment.label]
        if segment.verdict != rule.emotion or confidence < rule.confidence:
            return
        state = self.state.rules[rule.name]
        now = segment.time
        now_s = now.timestamp()
        # what lies ahead was written before the clock was set back
        recent = [
            time_s for time_s in state.times_s if 0 <= now_s - time_s <= duration_s(rule.within)
        ]
        state.times_s = [*recent, now_s][-rule.times :]
        if len(state.times_s) == rule.times and self._may_alert(rule, now):
            state.times_s = []
            state.alerted_s = now_s
            time, source = now.isoformat(timespec="milliseconds"), self.state.sources.of(segment)
            yield Alert(f"{rule.name}@{id_}", rule.name, _said(rule), time, source)

    def _may_alert(self, rule: AnyRule, now: datetime) -> bool:
        alerted_s = self.state.rules[rule.name].alerted_s
        if alerted_s is not None and 0 <= now.timestamp() - alerted_s < duration_s(rule.cooldown):
            return False
        return not rule.is_quiet(now)


def example(rule: AnyRule, now: datetime) -> Alert:
    """An alert as ``rule`` would raise it now."""
    if isinstance(rule, EmotionRule):
        message, source = _said(rule), "USB"
    elif isinstance(rule, NothingHeardRule):
        message, source = f"nothing heard for {rule.after}", None
    else:
        message, source = "microphone lost: USB", "USB"
    time = now.isoformat(timespec="milliseconds")
    return Alert(f"{rule.name}@{time}", rule.name, message, time, source)


def _said(rule: EmotionRule) -> str:
    often = "" if rule.times == 1 else f" {rule.times} times in {rule.within}"
    return f"{rule.emotion}{often}"
