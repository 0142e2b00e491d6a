"""What every audio source yields."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.audio.rate import SAMPLE_RATE_HZ as SAMPLE_RATE_HZ
from undertone.events import CaughtUp, Gap, Idle, SourceBack, SourceLost

BLOCK_LENGTH = SAMPLE_RATE_HZ // 10
"""Samples in a block from a microphone."""

REST_S = 0.7
"""How long the reader of a live source may rest while nobody speaks.  A processor that has slept
wakes with cold caches, so nearly all the cost of silence is the number of wake-ups.  Shorter than
the shortest segment and the pause that ends it together, so no verdict comes later for it."""

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive mono samples.

    samples: int16, shape (n,), at ``SAMPLE_RATE_HZ``.
    time_s: time of the first sample: POSIX seconds for a live source, seconds since
        the start of the file for a file.
    behind_s: length of the sound that has already arrived after this block: how far a live
        source is ahead of its reader.
    """

    samples: Samples
    time_s: float
    behind_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length of the block in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ


SourceItem = Block | Gap | CaughtUp | Idle | SourceLost | SourceBack
"""What a source yields; a file yields Blocks only."""


def amplify(samples: Samples, gain_db: float) -> Samples:
    """int16 ``samples`` made louder by ``gain_db``, clipped at full scale."""
    if not gain_db:
        return samples
    return to_int16(samples * (10 ** (gain_db / 20) / 32768.0))


def to_int16(samples: NDArray[np.floating[Any]]) -> Samples:
    """Floats in [-1, 1) to int16, clipped at full scale; not-a-number becomes 0."""
    scaled = np.rint(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0) * 32768.0)
    clipped: Samples = np.clip(scaled, -32768, 32767).astype(np.int16)
    return clipped
