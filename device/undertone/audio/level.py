"""How loud a stretch of sound is, and whether it is cut off at full scale."""

import math
from dataclasses import dataclass

import numpy as np

from undertone.audio.block import Samples, level_dbfs

_CLIPPED_SAMPLES = 3  # a single sample at full scale may be chance


@dataclass(frozen=True, slots=True)
class Level:
    """Root mean square and peak in dB relative to full scale (-inf for digital silence)."""

    rms_dbfs: float
    peak_dbfs: float
    clips: bool


SILENCE = Level(-math.inf, -math.inf, clips=False)


def measure(samples: Samples) -> Level:
    """The level of int16 ``samples``, shape (n,)."""
    peak = max(int(samples.max(initial=0)), -int(samples.min(initial=0)))
    clipped = peak >= 32767 and np.count_nonzero(np.abs(samples.astype(np.int32)) >= 32767)
    return Level(
        rms_dbfs=level_dbfs(samples),
        peak_dbfs=20.0 * math.log10(peak / 32768) if peak else -math.inf,
        clips=bool(clipped >= _CLIPPED_SAMPLES),
    )
