"""Recorded sound as if it were heard now."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from undertone.audio.block import Block


def in_real_time(
    blocks: Iterable[Block],
    clock: Callable[[], float],
    sleep: Callable[[float], None] | None,
    steady_clock: Callable[[], float] = time.monotonic,
) -> Iterator[Block]:
    """Blocks timed from 0 as if they had begun now; with ``sleep``, at their own pace.

    clock: what time it is; steady_clock: how much has passed, whoever sets the other one.
    """
    start_s, began_s = clock(), steady_clock()
    for block in blocks:
        if sleep and (ahead_s := began_s + block.time_s - steady_clock()) > 0:
            sleep(ahead_s)
        yield replace(block, time_s=start_s + block.time_s)
