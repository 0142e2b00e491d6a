"""The level of a microphone over time, for setting its gain."""

from collections.abc import Iterator

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.level import Level, measure
from undertone.audio.microphone import Microphone
from undertone.events import SourceBack, SourceLost


def levels(
    microphone: Microphone, every_s: float, duration_s: float | None = None
) -> Iterator[Level | SourceLost | SourceBack]:
    """The level of each ``every_s`` of sound, and events when the microphone is lost or back.

    Ends after ``duration_s`` of sound.  Raises AudioSourceError as the microphone does.
    """
    pending: list[Samples] = []
    received = measured = 0
    for item in microphone:
        if isinstance(item, SourceLost | SourceBack):
            yield item
        elif isinstance(item, Block):
            pending.append(item.samples)
            received += len(item.samples)
        ended = duration_s is not None and received >= duration_s * SAMPLE_RATE_HZ
        if pending and (ended or received - measured >= every_s * SAMPLE_RATE_HZ):
            yield measure(np.concatenate(pending))
            pending, measured = [], received
        if ended:
            return
