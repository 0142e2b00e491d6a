"""How loud a piece of sound is, and whether it is clipped at full scale."""

import math
from dataclasses import dataclass

import numpy as np

from undertone.audio.block import Samples

_CLIPPED_SAMPLES = 3  # a single sample at full scale may be chance


def dbfs(mean_square: float) -> float:
    """A mean square of int16 samples in dB relative to full scale; -inf for 0."""
    return 10.0 * math.log10(mean_square / 32768.0**2) if mean_square else -math.inf


def level_dbfs(samples: Samples) -> float:
    """Root mean square of int16 ``samples`` in dB relative to full scale; -inf for silence."""
    floats = samples.astype(np.float64)
    return dbfs(float(np.dot(floats, floats)) / max(1, len(floats)))


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
