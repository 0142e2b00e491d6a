"""Recordings at a level, and with noise at a ratio to it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Samples

SPEECH_DBFS = -25.0
"""Level of every clip while the actor speaks, so that a ratio holds for each: whispers and shouts
of RAVDESS are 40 dB apart, and the network does not get the level."""

ACTIVE_RANGE_DB = 30.0
"""Frames of 10 ms that are at most this far below a clip's loudest frame count as speech."""

ROOM_DBFS = -75.0
"""Level of the noise in a quiet room, where nothing else is added."""

_FRAME_LENGTH = 160


def at_level(samples: NDArray[Any], dbfs: float) -> NDArray[np.float64]:
    """``samples``, not all 0, scaled so that their loud frames have the level ``dbfs`` in int16."""
    whole = samples[: len(samples) // _FRAME_LENGTH * _FRAME_LENGTH].reshape(-1, _FRAME_LENGTH)
    power = np.square(whole, dtype=np.float64).mean(axis=1)
    active = power[power >= power.max() / 10 ** (ACTIVE_RANGE_DB / 10)].mean()
    scaled: NDArray[np.float64] = samples * (_amplitude(dbfs) / np.sqrt(active))
    return scaled


def in_noise(
    recording: NDArray[np.float64],
    noise: NDArray[np.float64] | None,
    snr_db: float | None,
    seed: int,
) -> Samples:
    """``recording`` with ``noise`` added throughout; None adds that of a quiet room."""
    wanted_dbfs = ROOM_DBFS if snr_db is None else SPEECH_DBFS - snr_db
    if noise is None or snr_db is None:
        noise = np.random.default_rng([seed, 1]).normal(size=len(recording))
    added = np.resize(noise, len(recording))
    added = added * (_amplitude(wanted_dbfs) / np.sqrt(np.square(added).mean()))
    return clipped(recording + added)


def clipped(samples: NDArray[np.float64]) -> Samples:
    """Floats on the scale of int16 as int16, limited at full scale."""
    limited: Samples = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return limited


def _amplitude(dbfs: float) -> float:
    return float(32768 * 10 ** (dbfs / 20))
