"""Turns the chunks of a live source into Blocks and Gaps with capture times."""

from collections.abc import Iterable, Iterator

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block
from undertone.audio.resample import Resampler
from undertone.audio.timeline import Captured, Chunk, Timeline
from undertone.events import Gap, moment

_FELL_BEHIND = "the listening fell behind the microphone"
_OVERFLOWED = "the sound driver overflowed"
_STOOD_STILL = "the sound stood still"
_STEP_S = 0.1
"""A smaller step is the time between reading the two clocks, not a change of the wall clock."""


class Capture:
    """Resamples the successive streams of a live source and keeps their :class:`Timeline`.

    Times are POSIX seconds by the wall clock at the time of arrival; setting that clock does not
    change any duration.
    """

    def __init__(self) -> None:
        self._timeline = Timeline()
        self._resampler = Resampler(SAMPLE_RATE_HZ)
        self._wall_s = 0.0  # the wall clock's time when the steady clock was at 0
        self._end_s = 0.0  # end of the sound that was resampled

    def begin(self, rate_hz: int) -> None:
        """A new stream at ``rate_hz`` begins."""
        self._timeline.begin()
        self._resampler = Resampler(rate_hz)

    def push(self, chunk: Chunk, behind_s: float = 0.0) -> Iterator[Block | Gap]:
        """What can be placed in time now that ``chunk`` has arrived; ``behind_s`` as in Block."""
        yield from self._give(self._timeline.take(chunk), behind_s)

    def settle(self, now_s: float) -> Iterator[Block | Gap]:
        """What can be placed at ``now_s`` (steady clock) although nothing more has arrived."""
        yield from self._give(self._timeline.settle(now_s))

    def end(self, dropped_s: float = 0.0) -> Iterator[Block | Gap]:
        """Everything of the stream that is still held, then the gap for sound dropped after it."""
        yield from self._give(self._timeline.flush())
        yield from self._break_off()
        if dropped_s:
            yield _gap(self._timeline.lose(dropped_s) + self._wall_s, dropped_s, _FELL_BEHIND)

    def _give(self, placed: Iterable[Captured], behind_s: float = 0.0) -> Iterator[Block | Gap]:
        for captured in placed:
            chunk = captured.chunk
            wall_s = chunk.time_s - chunk.arrived_s
            if abs(wall_s - self._wall_s) > _STEP_S:
                self._wall_s = wall_s
            start_s = captured.start_s + self._wall_s
            if captured.missing_s:
                yield from self._break_off()
                if chunk.dropped_s:
                    reason = _FELL_BEHIND
                else:
                    reason = _OVERFLOWED if captured.overflowed else _STOOD_STILL
                yield _gap(start_s - captured.missing_s, captured.missing_s, reason)
            held_s = self._resampler.held_s
            samples = self._resampler.process(chunk.samples)
            self._end_s = start_s + chunk.duration_s
            if len(samples):
                yield Block(samples, start_s - held_s, behind_s)

    def _break_off(self) -> Iterator[Block]:
        """What the resampler still holds of the sound before a gap."""
        held_s = self._resampler.held_s
        rest = self._resampler.process(np.empty(0, np.int16), last=True)
        if len(rest):
            yield Block(rest, self._end_s - held_s)


def _gap(start_s: float, missing_s: float, reason: str) -> Gap:
    return Gap(moment(start_s), round(missing_s * SAMPLE_RATE_HZ), reason)
