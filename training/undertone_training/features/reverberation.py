"""Simulated rooms: impulse responses from a speaker to a microphone, by pyroomacoustics."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ

ROOMS = 64
"""Number of rooms, each of which is used for many clips."""

_SIZES_M = ((2.5, 3.0, 2.3), (8.0, 6.0, 3.2))
_REVERBERATION_S = (0.2, 0.7)
"""Range of Sabine's RT60: from a furnished bedroom to a bare office."""
_DISTANCE_M = (0.5, 4.0)
_WALL_M = 0.3
_MOST_REFLECTIONS = 12


@lru_cache(maxsize=1)
def impulse_responses() -> tuple[NDArray[np.float64], ...]:
    """``ROOMS`` impulse responses at ``SAMPLE_RATE_HZ``, the same in every call.

    Each begins with the direct sound and has unit energy, so a room causes no delay and hardly
    changes the level.
    """
    import pyroomacoustics

    generator = np.random.default_rng(0)
    responses: list[NDArray[np.float64]] = []
    while len(responses) < ROOMS:
        size = generator.uniform(*_SIZES_M)
        try:
            absorption, reflections = pyroomacoustics.inverse_sabine(
                generator.uniform(*_REVERBERATION_S), size
            )
        except ValueError:  # no material absorbs that much in a room of this size
            continue
        room = pyroomacoustics.ShoeBox(
            size,
            fs=SAMPLE_RATE_HZ,
            materials=pyroomacoustics.Material(absorption),
            max_order=min(reflections, _MOST_REFLECTIONS),
        )
        microphone = generator.uniform(_WALL_M, size - _WALL_M)
        direction = generator.normal(size=3)
        away = generator.uniform(*_DISTANCE_M) * direction / np.linalg.norm(direction)
        room.add_source(np.clip(microphone + away, _WALL_M, size - _WALL_M))
        room.add_microphone(microphone)
        room.compute_rir()
        response = np.asarray(room.rir[0][0], np.float64)
        response = response[np.abs(response).argmax() :]
        responses.append(response / np.sqrt(np.square(response).sum()))
    return tuple(responses)
