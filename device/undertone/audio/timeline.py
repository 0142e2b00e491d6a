"""When the sound of a live source was captured, and how much of it is missing."""

import math
import time
from dataclasses import dataclass, field

from undertone.audio.block import Samples

BEGINNING_S = 0.3
"""How long the beginning of a stream is held: sound that was buffered arrives all at once."""

WINDOW_S = 2.0
"""How long a late chunk is held: unless the following ones catch up by then, sound is missing."""

TOLERANCE_S = 0.25
"""A smaller delay is the jitter of a busy machine."""

PERIOD_S = 5.0
"""Length of sound after which the times are adjusted to the sound card's clock."""


def steady_clock() -> float:
    """Seconds by a clock that nobody sets and that continues while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sound as a live source delivered it.

    samples: mono int16 at the source's own rate, ``duration_s`` of them.
    arrived_s, time_s: when the last sample arrived, by the steady clock and in POSIX seconds.
    unseen_s: how long before ``arrived_s`` it may have arrived, while its reader was busy.
    dropped_s: length of the sound that is known to be missing before it.
    overflowed: whether the driver lost an unknown amount of sound before it.
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
    """A chunk with its time.

    start_s: when its first sample was captured, by the steady clock.
    missing_s: length of the sound that is missing right before it.
    overflowed: whether the driver reported that loss.
    """

    chunk: Chunk
    start_s: float
    missing_s: float = 0.0
    overflowed: bool = False


@dataclass(slots=True)
class _Held:
    """Chunks whose times depend on what follows, and how late each of them is."""

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
    """Compares the sound that arrived with the time that passed.

    A sound server that stalled for a second delivers the next samples as if nothing had happened;
    only a clock reveals it.  But one late chunk proves nothing: while this process was stopped,
    sound was still captured and buffered, and then arrives all at once and catches up.  So a late
    chunk is held, with all that follow, until the cause is known.  If they catch up, nothing is
    missing; if not, sound is missing before the first chunk with the smallest delay.
    """

    def __init__(self) -> None:
        self._end_s: float | None = None  # end of the sound that has been placed
        self._due_s = 0.0  # end of all that arrived, if nothing unknown is missing
        self._held: _Held | None = None
        self.begin()

    def begin(self) -> None:
        """Another stream begins; sound is missing between the last one and this one."""
        self._begins = True
        self._begin_period()

    def take(self, chunk: Chunk) -> list[Captured]:
        """The chunks, oldest first, that can be placed now that ``chunk`` has arrived."""
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
        """Those that can be placed at ``now_s`` although nothing more has arrived."""
        return self.flush() if self._held and self._held.is_settled(now_s) else []

    def flush(self) -> list[Captured]:
        """All that are held: nothing more will arrive that could place them."""
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
        """Record dropped sound that none follows; returns when it began, by the steady clock."""
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
        """Adjust to the sound card's clock: no sound was captured after it arrived, and the most
        punctual chunk of a period arrived without delay.
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
