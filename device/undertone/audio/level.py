"""How loud a stretch of sound is, and whether it is cut off at full scale."""

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


SILENCE = Level(-np.inf, -np.inf, clips=False)


def measure(samples: Samples) -> Level:
    """The level of int16 ``samples``, shape (n,)."""
    magnitudes = np.abs(samples.astype(np.int32))
    peak = int(magnitudes.max(initial=0))
    return Level(
        rms_dbfs=level_dbfs(samples),
        peak_dbfs=20.0 * float(np.log10(peak / 32768)) if peak else -np.inf,
        clips=int(np.count_nonzero(magnitudes >= 32767)) >= _CLIPPED_SAMPLES,
    )
