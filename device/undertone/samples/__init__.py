"""Eight real RAVDESS clips, to try the program on a machine with no microphone."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from undertone.audio.block import SAMPLE_RATE_HZ, Block, Samples
from undertone.audio.files import read_blocks

_BLOCK_S = 0.1
_PAUSE_S = 1.5
_PAUSE_DBFS = -75.0
"""The noise of a quiet room: no microphone delivers digital silence."""


def clips() -> list[Path]:
    """The packaged clips, in the order of RAVDESS's emotion codes."""
    return sorted(Path(__file__).parent.glob("*.flac"))


def demonstration() -> Iterator[Block]:
    """All clips with pauses between them, as one stream of about 40 seconds."""
    generator = np.random.default_rng(0)
    amplitude = 32768 * 10 ** (_PAUSE_DBFS / 20)
    given = 0

    def pause() -> Iterator[Samples]:
        for _ in range(round(_PAUSE_S / _BLOCK_S)):
            noise = generator.normal(0, amplitude, round(_BLOCK_S * SAMPLE_RATE_HZ))
            yield np.rint(noise).astype(np.int16)

    for clip in clips():
        for samples in chain((block.samples for block in read_blocks(clip, _BLOCK_S)), pause()):
            yield Block(samples, given / SAMPLE_RATE_HZ)
            given += len(samples)
