"""Sound that is timed from its start, brought to the time of the world."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from undertone.audio.block import Block


class Recording:
    """A recording at its own time: Blocks from when it began, at their own pace or without one."""

    def __init__(
        self,
        blocks: Iterable[Block],
        began_s: float,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``blocks``: timed from 0; ``began_s``: POSIX seconds.

        With ``sleep``, no block comes before its time has come; ``clock`` gives seconds that never
        go back.
        """
        self._blocks = blocks
        self._began_s = began_s
        self._sleep = sleep
        self._clock = clock
        self._position_s = 0.0

    def now(self) -> float:
        """POSIX seconds at the place in the recording that has been reached."""
        return self._began_s + self._position_s

    def __iter__(self) -> Iterator[Block]:
        """Play it, once."""
        start_s = self._clock()
        for block in self._blocks:
            early_s = start_s + block.time_s - self._clock()
            if self._sleep and early_s > 0:
                self._sleep(early_s)
            self._position_s = block.time_s + block.duration_s
            yield replace(block, time_s=self._began_s + block.time_s)


def as_if_now(blocks: Iterable[Block], clock: Callable[[], float]) -> Iterator[Block]:
    """Blocks timed from 0 as if they had begun now."""
    start_s = clock()
    for block in blocks:
        yield replace(block, time_s=start_s + block.time_s)
