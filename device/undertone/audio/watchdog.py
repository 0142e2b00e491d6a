"""Watches a microphone: when it is lost, when to reopen it, when it is back.

A state machine without threads or a clock: the owner reports what happens and the time (any
steady clock, in seconds), and does what the watchdog returns.

    LISTENING --no samples, stream dead, another source--> LOST   ``Lost``
    LISTENING --frozen sound-->                            SILENT ``Lost``
    LOST      --samples-->                              LISTENING ``Back``
    SILENT    --sound-->                                LISTENING ``Back``
    LOST, SILENT --delay over-->                         the same ``Reopen``

While the source is lost its stream stays open until it is next reopened: some losses (a
stopped sound server, a muted microphone) end by themselves, and a microphone that delivers
digital silence between words loses nothing.  Reopening is tried forever, each time after twice
the delay.
"""

from dataclasses import dataclass
from enum import Enum, auto

_LONGEST_LOOK_S = 0.5
"""The most that the time between two ticks counts."""


@dataclass(frozen=True)
class WatchdogConfig:
    """Limits in seconds.

    no_samples_s: how long a stream may deliver nothing, as it does if its sound server stopped.
    frozen_s: how long all samples may have the same value, or the same samples may repeat; a
        real converter always has noise.
    first_delay_s, longest_delay_s: before reopening; the delay doubles each time.
    """

    no_samples_s: float = 2.0
    frozen_s: float = 30.0
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0


class State(Enum):
    """What the source delivers: sound, no samples, or samples without sound."""

    LISTENING = auto()
    LOST = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Lost:
    """The source has just been lost; ``reason`` is for the user."""

    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """The source has just come back."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """The owner should close the stream, reopen the source and continue."""


class Watchdog:
    """Starts in the state LISTENING at ``now_s``, when the source has just been opened."""

    def __init__(self, now_s: float, config: WatchdogConfig | None = None) -> None:
        """``now_s`` and all later times are from the same steady clock."""
        self.config = config or WatchdogConfig()
        self.state = State.LISTENING
        self._reported_s = now_s  # time of the last report
        self._without_s = 0.0  # time without samples during which the owner was running
        self._frozen_s = 0.0  # length of frozen sound up to now
        self._reopen_s = now_s  # when to reopen next, while not LISTENING
        self._delay_s = self.config.first_delay_s

    def samples(self, now_s: float, duration_s: float, frozen: bool) -> Lost | Back | None:
        """``duration_s`` of samples arrived.

        frozen: whether they all have one value, or repeat the previous ones.
        """
        self._reported_s = now_s
        self._without_s = 0.0
        self._frozen_s = self._frozen_s + duration_s if frozen else 0.0
        if self.state is State.LISTENING:
            if self._frozen_s < self.config.frozen_s:
                return None
            reason = f"digital silence, or a frozen sound, for {self.config.frozen_s:.0f} s"
            return self._lose(now_s, State.SILENT, reason)
        if frozen and self.state is State.SILENT:
            return None
        self.state = State.LISTENING
        self._frozen_s = 0.0
        self._delay_s = self.config.first_delay_s
        return Back()

    def replaced(self, now_s: float, by: str) -> Lost:
        """The sound is now another source's; its samples must not be reported from now on."""
        return self._lose(now_s, State.LOST, f"the sound server gave {by} instead")

    def tick(self, now_s: float, active: bool) -> Lost | Reopen | None:
        """Time has passed without samples or without sound; call it a few times a second.

        active: whether the stream reports that it is running.
        """
        # sound captured while the owner itself was stopped or busy is yet to arrive
        self._without_s += min(now_s - self._reported_s, _LONGEST_LOOK_S)
        self._reported_s = now_s
        if self.state is not State.LISTENING:
            if now_s < self._reopen_s:
                return None
            self._delay_s = min(2 * self._delay_s, self.config.longest_delay_s)
            self._reopen_s = now_s + self._delay_s
            return Reopen()
        if not active:
            return self._lose(now_s, State.LOST, "its stream ended")
        if self._without_s >= self.config.no_samples_s:
            reason = f"no samples for {self.config.no_samples_s:.0f} s"
            return self._lose(now_s, State.LOST, reason)
        return None

    def _lose(self, now_s: float, state: State, reason: str) -> Lost:
        self.state = state
        self._reopen_s = now_s + self._delay_s
        return Lost(reason)
