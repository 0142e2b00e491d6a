"""Follows the journal, raises alerts, and delivers each to every target, however often it fails."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

import msgspec

from undertone.journal.retention import clock_is_trusted
from undertone.journal.tail import JournalTail, Position
from undertone.publish.alerts import Alert, Alerts, AlertState, DeliveryError
from undertone.publish.rules import AnyRule
from undertone.publish.store import Store

_log = logging.getLogger(__name__)

_POLL_S = 2.0
_BATCH = 500
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 300.0
_MOST_WAITING = 100
"""Older alerts that could not be delivered are given up."""


class Target(Protocol):
    """Where alerts go; ``key`` is its name in the store."""

    @property
    def key(self) -> str: ...  # noqa: D102

    def deliver(self, alert: Alert) -> None: ...  # noqa: D102

    def preview(self, alert: Alert) -> str: ...  # noqa: D102


class Waiting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alert, and the keys of the targets that do not have it yet."""

    alert: Alert
    targets: list[str]


class DeliveryState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is stored: the cursor, the state of the rules at it, and what is not delivered yet."""

    version: Literal[1]
    positions: dict[str, Position]
    alerts: AlertState
    waiting: list[Waiting]


class AlertPublisher:
    """Raises the alerts of ``rules`` and delivers them to ``targets``.

    A target that fails is tried again after 1 s, 2 s and so on up to 5 minutes.  An alert is
    stored before it is delivered, so that none is lost; after a kill the last one may be
    delivered twice, with the same ``id``.
    """

    def __init__(
        self,
        rules: Iterable[AnyRule],
        targets: Sequence[Target],
        journal: Path,
        store: Store[DeliveryState],
        steady_clock: Callable[[], float] = time.monotonic,
        local_time: Callable[[], datetime] = lambda: datetime.now().astimezone(),
        trusted: Callable[[], bool] = clock_is_trusted,
    ) -> None:
        """Raises PublishError if the stored cursor can't be read, JournalError for the journal.

        Without a stored cursor only what is written from now on raises alerts.  ``local_time`` is
        what this machine's clock says, and ``trusted`` whether that is right.
        """
        self._targets = {target.key: target for target in targets}
        self._store = store
        self._clock = steady_clock
        self._local_time = local_time
        self._retry: dict[str, tuple[float, float]] = {}  # when a target is due, and the delay
        stored = store.load()
        self._tail = JournalTail(journal, stored.positions if stored else {}, steady_clock)
        self._trusted = trusted
        self._is_up_to_date = False
        self._waiting = [
            Waiting(waiting.alert, keys)
            for waiting in (stored.waiting if stored else ())
            if (keys := [key for key in waiting.targets if key in self._targets])
        ]
        state = stored.alerts if stored else AlertState()
        if not stored:
            for entry in self._tail.catch_up():
                if entry.event is not None:
                    state.follow(entry.event)
        self._alerts = Alerts(rules, state)
        if not stored:
            self._save()

    def run(self, stop: Event) -> None:
        """Work until ``stop`` is set; raises JournalError if the journal can't be read."""
        while not stop.is_set():
            if not self.step(stop.is_set):
                stop.wait(_POLL_S)

    def step(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Take what is new and deliver what is due; whether there may be more in the journal."""
        raised = self._take()
        is_new = raised is not None
        if raised is None:
            raised = list(self._alerts.tick(self._local_time(), self._clock(), self._age_s()))
        self._waiting += [Waiting(alert, list(self._targets)) for alert in raised]
        if is_new or raised:
            self._give_up_oldest()
            self._save()
        for key in self._targets:
            if self._deliver(key, stopped):
                self._save()
        return is_new

    def _take(self) -> list[Alert] | None:
        """The alerts that the next new lines raise; None if there is no new line."""
        entries = self._tail.read(_BATCH)
        raised: list[Alert] = []
        for entry in entries:
            if entry.event is not None:
                raised += self._alerts.take(entry.event, entry.id)
            self._tail.done(entry)
        return raised if entries else None

    def _deliver(self, key: str, stopped: Callable[[], bool]) -> bool:
        """Deliver what waits for a target, oldest first, until it fails; whether one arrived."""
        due_s, delay_s = self._retry.get(key, (0.0, _FIRST_DELAY_S))
        if self._clock() < due_s:
            return False
        arrived = False
        for waiting in [waiting for waiting in self._waiting if key in waiting.targets]:
            if stopped():
                break
            try:
                self._targets[key].deliver(waiting.alert)
            except DeliveryError as error:
                if key not in self._retry:
                    _log.warning("can't alert %s: %s; it is tried again", self._targets[key], error)
                self._retry[key] = self._clock() + delay_s, min(2 * delay_s, _LONGEST_DELAY_S)
                break
            self._retry.pop(key, None)
            delay_s = _FIRST_DELAY_S
            arrived = True
            left = [target for target in waiting.targets if target != key]
            place = self._waiting.index(waiting)
            self._waiting[place : place + 1] = [Waiting(waiting.alert, left)] if left else []
        return arrived

    def _give_up_oldest(self) -> None:
        if given_up := self._waiting[:-_MOST_WAITING]:
            _log.warning("gave up %d alerts that could not be delivered", len(given_up))
            del self._waiting[: len(given_up)]

    def _age_s(self) -> float:
        """Once, when all that was in the journal is read: for how long nothing had been heard.

        Only a clock that is right can tell; later a steady one does.
        """
        if self._is_up_to_date:
            return 0.0
        self._is_up_to_date = True
        heard = self._alerts.state.heard
        if heard is None or not self._trusted():
            return 0.0
        return max(0.0, (self._local_time() - datetime.fromisoformat(heard)).total_seconds())

    def _save(self) -> None:
        state = DeliveryState(1, self._tail.positions, self._alerts.state, self._waiting)
        self._store.save(state)
