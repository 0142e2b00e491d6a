"""A recording played at its own time and pace."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from undertone.audio.block import Block


class Recording:
    """A recording at its own time: Blocks from when it began, at their own pace or without one."""

    def __init__(
        self,
        items: Iterable[object],
        began_s: float,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``items``: of a file or a pipe; ``began_s``: POSIX seconds.

        With ``sleep``, no block comes before its time has come; ``clock`` gives seconds that never
        go back.
        """
        self._items = items
        self._began_s = began_s
        self._sleep = sleep
        self._clock = clock
        self._position_s = 0.0

    def now(self) -> float:
        """POSIX seconds at the place in the recording that has been reached."""
        return self._began_s + self._position_s

    def __iter__(self) -> Iterator[Block]:
        """Play it, once; its time is that of its samples alone."""
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
