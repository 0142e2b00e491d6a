"""When the sound of a live source was captured, and what of it is missing."""

import math
import time
from dataclasses import dataclass, field

from undertone.audio.block import Samples

BEGINNING_S = 0.3
"""How long the beginning of a stream is held: what has waited for its reader comes at once."""

WINDOW_S = 2.0
"""How long a late chunk is held: either what follows catches up by then, or sound is missing."""

TOLERANCE_S = 0.25
"""Less than this is the jitter of a busy machine."""

PERIOD_S = 5.0
"""Sound after which the times follow the clock of the sound card, which is not ours."""


def steady_clock() -> float:
    """Seconds that nobody sets, and that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sound as a live source delivered it.

    samples: mono int16 at the source's own rate, ``duration_s`` of them.
    arrived_s, time_s: when the last of them came, by the steady clock and in POSIX seconds.
    unseen_s: how long before ``arrived_s`` it may have come, while its reader was away.
    dropped_s: sound that is known to be missing before it.
    overflowed: whether the driver lost some before it; nobody knows how much.
    """

    samples: Samples
    duration_s: float
    arrived_s: float
    time_s: float
    unseen_s: float = 0.0
    dropped_s: float = 0.0
    overflowed: bool = False


@dataclass(frozen=True, slots=True)
class Captured:
    """A chunk in its place.

    start_s: when its first sample was captured, by the steady clock.
    missing_s: sound that is missing right before it.
    overflowed: whether the driver has told of that.
    """

    chunk: Chunk
    start_s: float
    missing_s: float = 0.0
    overflowed: bool = False


@dataclass(slots=True)
class _Held:
    """Chunks whose places depend on what follows; how late each of them is."""

    beginning: bool
    until_s: float
    chunks: list[Chunk] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)

    @property
    def overflowed(self) -> bool:
        return any(chunk.overflowed for chunk in self.chunks)

    def is_settled(self, now_s: float) -> bool:
        if now_s >= self.until_s:
            return True
        if self.beginning:
            return sum(chunk.duration_s for chunk in self.chunks) >= WINDOW_S
        return self.late_s[-1] <= TOLERANCE_S and not self.overflowed


class Timeline:
    """Compares the sound that came with the time that went by.

    A sound server that stood still for a second gives the next samples as if nothing had been;
    only a clock tells.  But one late chunk proves nothing: while this process was stopped, sound
    was captured in time and waits, and then comes at once and catches up.  So a late chunk
    is held, with all after it, until that is known.  If they catch up, nothing is missing; if
    not, sound is missing before the first of them that is not later than need be.
    """

    def __init__(self) -> None:
        """The first chunk says when the sound began."""
        self._end_s: float | None = None  # of the sound that has its place
        self._due_s = 0.0  # of all that came, if nothing is missing that is not known
        self._held: _Held | None = None
        self.begin()

    def begin(self) -> None:
        """Another stream follows; between the last one and it, sound is missing."""
        self._begins = True
        self._begin_period()

    def take(self, chunk: Chunk) -> list[Captured]:
        """The chunks, oldest first, whose places are known now that ``chunk`` has come."""
        if self._begins:
            self._begins = False
            self._held = _Held(beginning=True, until_s=chunk.arrived_s + BEGINNING_S)
            self._due_s = chunk.arrived_s
        else:
            self._due_s += chunk.dropped_s + chunk.duration_s
        late_s = chunk.arrived_s - self._due_s
        if self._held is None:
            if late_s - chunk.unseen_s <= TOLERANCE_S and not chunk.overflowed:
                self._follow(chunk, late_s)
                return [self._place(chunk)]
            self._held = _Held(beginning=False, until_s=chunk.arrived_s + WINDOW_S)
        self._held.chunks.append(chunk)
        self._held.late_s.append(late_s)
        return self.settle(chunk.arrived_s)

    def settle(self, now_s: float) -> list[Captured]:
        """Those whose places are known at ``now_s``, though nothing more has come."""
        return self.flush() if self._held and self._held.is_settled(now_s) else []

    def flush(self) -> list[Captured]:
        """All that are held: nothing more will come that tells about them."""
        held, self._held = self._held, None
        if held is None:
            return []
        least_s = min(held.late_s)
        if held.beginning:
            first = 0
            start_s = held.chunks[0].arrived_s - held.chunks[0].duration_s + least_s
            self._end_s = start_s if self._end_s is None else self._end_s
            hole_s = start_s - self._end_s
        else:
            punctual_s = least_s + held.chunks[0].duration_s / 2
            first = next(n for n, late_s in enumerate(held.late_s) if late_s <= punctual_s)
            hole_s = max(0.0, least_s) if least_s > TOLERANCE_S or held.overflowed else 0.0
        placed = [
            self._place(chunk, hole_s if number == first else 0.0, held.overflowed)
            for number, chunk in enumerate(held.chunks)
        ]
        assert self._end_s is not None
        self._due_s = self._end_s
        self._begin_period()
        return placed

    def lose(self, missing_s: float) -> float:
        """Sound that was dropped and is followed by none; when it began, by the steady clock."""
        start_s = self._end_s or 0.0
        self._end_s = start_s + missing_s
        self._due_s += missing_s
        return start_s

    def _place(self, chunk: Chunk, hole_s: float = 0.0, overflowed: bool = False) -> Captured:
        assert self._end_s is not None
        missing_s = chunk.dropped_s + hole_s
        start_s = self._end_s + missing_s
        self._end_s = start_s + chunk.duration_s
        return Captured(chunk, start_s, max(0.0, missing_s), overflowed)

    def _begin_period(self) -> None:
        self._least_s = math.inf
        self._left_s = PERIOD_S

    def _follow(self, chunk: Chunk, late_s: float) -> None:
        """Adjust to a clock that is not ours: no sound was captured after it came, and the most
        punctual of a period came at once.
        """
        if late_s < 0:
            self._shift(late_s)
        self._least_s = min(self._least_s, max(0.0, late_s))
        self._left_s -= chunk.duration_s
        if self._left_s <= 0:
            if self._least_s <= TOLERANCE_S:
                self._shift(self._least_s)
            self._begin_period()

    def _shift(self, by_s: float) -> None:
        if self._end_s is not None:
            self._end_s += by_s
        self._due_s += by_s
