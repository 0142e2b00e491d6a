"""Watches over a microphone: when it is lost, when to open it again, when it is back.

A state machine without threads and without a clock: the owner tells it what happens and what
time it is (any steady clock, in seconds), and does what it answers.

    LISTENING --no samples, stream dead, another source--> LOST   ``Lost``
    LISTENING --frozen sound-->                            SILENT ``Lost``
    LOST      --samples-->                              LISTENING ``Back``
    SILENT    --sound-->                                LISTENING ``Back``
    LOST, SILENT --delay over-->                         the same ``Reopen``

While the source is lost its stream stays open until the next reopening: some losses (a
stopped sound server, a muted microphone) mend themselves, and a microphone that gives digital
silence between words loses nothing.  Reopening goes on for ever, each time after twice the
delay.
"""

from dataclasses import dataclass
from enum import Enum, auto

_LONGEST_LOOK_S = 0.5
"""Of the time between two ticks, so much counts at most."""


@dataclass(frozen=True)
class WatchdogConfig:
    """Limits in seconds.

    no_samples_s: a sound server that was stopped looks like a stream that gives nothing.
    frozen_s: so long may every sample have the same value, or may the same samples come
        again and again; a real converter always has noise.
    first_delay_s, longest_delay_s: of reopening; doubled in between.
    """

    no_samples_s: float = 2.0
    frozen_s: float = 30.0
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0


class State(Enum):
    """What the source gives: sound, no samples, or samples that hold no sound."""

    LISTENING = auto()
    LOST = auto()
    SILENT = auto()


@dataclass(frozen=True, slots=True)
class Lost:
    """The source has just been lost; ``reason`` is told to the user."""

    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """The source has just come back."""


@dataclass(frozen=True, slots=True)
class Reopen:
    """The owner should close the stream, open the source again and go on."""


class Watchdog:
    """Starts LISTENING at ``now_s``, when the source has just been opened."""

    def __init__(self, now_s: float, config: WatchdogConfig | None = None) -> None:
        """``now_s`` and all later times are of one steady clock."""
        self.config = config or WatchdogConfig()
        self.state = State.LISTENING
        self._told_s = now_s  # when anything was told last
        self._without_s = 0.0  # time without samples that the owner was there to see
        self._frozen_s = 0.0  # sound since the last that was not frozen
        self._reopen_s = now_s  # when to reopen next, while not LISTENING
        self._delay_s = self.config.first_delay_s

    def samples(self, now_s: float, duration_s: float, frozen: bool) -> Lost | Back | None:
        """``duration_s`` of samples came in.

        frozen: whether they have one value, or are those before again.
        """
        self._told_s = now_s
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
        """What comes is the sound of another source; its samples must not be told from now on."""
        return self._lose(now_s, State.LOST, f"the sound server gave {by} instead")

    def tick(self, now_s: float, active: bool) -> Lost | Reopen | None:
        """Time has passed without samples or without sound; call it a few times a second.

        active: whether the stream says that it runs.
        """
        # what was captured while the owner itself was stopped, or away, is still to come
        self._without_s += min(now_s - self._told_s, _LONGEST_LOOK_S)
        self._told_s = now_s
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
