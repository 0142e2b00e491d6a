"""Plays a recording with its own times, and in real time if asked to."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from undertone.audio.block import Block


class Recording:
    """A recording as Blocks timed from when it began, in real time or as fast as possible."""

    def __init__(
        self,
        items: Iterable[object],
        began_s: float,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``items``: from a file or a pipe; ``began_s``: POSIX seconds.

        With ``sleep``, the recording is played in real time; ``clock`` gives seconds that never go
        back.
        """
        self._items = items
        self._began_s = began_s
        self._sleep = sleep
        self._clock = clock
        self._position_s = 0.0

    def now(self) -> float:
        """POSIX seconds at the position that the recording has reached."""
        return self._began_s + self._position_s

    def __iter__(self) -> Iterator[Block]:
        """Play it once; its times follow from the number of samples alone."""
        start_s = self._clock()
        for item in self._items:
            if not isinstance(item, Block):
                continue
            early_s = start_s + self._position_s - self._clock()
            if self._sleep and early_s > 0:
                self._sleep(early_s)
            block = replace(item, time_s=self.now())
            self._position_s += block.duration_s
            yield block
