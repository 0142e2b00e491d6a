"""Recorded sound as if it were heard now."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from undertone.audio.block import Block


def in_real_time(
    blocks: Iterable[Block], clock: Callable[[], float], sleep: Callable[[float], None] | None
) -> Iterator[Block]:
    """Blocks timed from 0 as if they had begun now; with ``sleep``, at their own pace."""
    start_s = clock()
    for block in blocks:
        time_s = start_s + block.time_s
        if sleep and time_s > clock():
            sleep(time_s - clock())
        yield replace(block, time_s=time_s)
