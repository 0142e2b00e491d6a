"""Simulated rooms: impulse responses from a speaker to a microphone, by pyroomacoustics."""

from functools import lru_cache
from typing import Any

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
        microphone = generator.uniform(_WALL_M, size - _WALL_M)
        direction = generator.normal(size=3)
        away = generator.uniform(*_DISTANCE_M) * direction / np.linalg.norm(direction)
        speaker = np.clip(microphone + away, _WALL_M, size - _WALL_M)
        reflections = min(reflections, _MOST_REFLECTIONS)
        responses.append(_response(size, absorption, reflections, speaker, microphone))
    return tuple(responses)


def reverberant(samples: NDArray[Any]) -> NDArray[np.float64]:
    """``samples`` as recorded in a living room with an RT60 of 0.5 s, 2 m away; of the same length.

    It is none of the rooms of the training, and has all of its reflections.
    """
    from scipy.signal import oaconvolve

    whole: NDArray[np.float64] = oaconvolve(samples.astype(np.float64), _living_room())
    return whole[: len(samples)]


@lru_cache(maxsize=1)
def _living_room() -> NDArray[np.float64]:
    import pyroomacoustics

    size = np.array([5.0, 4.0, 2.6])
    absorption, reflections = pyroomacoustics.inverse_sabine(0.5, size)
    speaker, microphone = np.array([3.5, 2.8, 1.6]), np.array([1.6, 2.2, 1.5])
    return _response(size, absorption, reflections, speaker, microphone)


def _response(
    size: NDArray[np.float64],
    absorption: float,
    reflections: int,
    speaker: NDArray[np.float64],
    microphone: NDArray[np.float64],
) -> NDArray[np.float64]:
    """From the direct sound on, with unit energy."""
    import pyroomacoustics

    room = pyroomacoustics.ShoeBox(
        size,
        fs=SAMPLE_RATE_HZ,
        materials=pyroomacoustics.Material(absorption),
        max_order=reflections,
    )
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    response: NDArray[np.float64] = np.asarray(room.rir[0][0], np.float64)
    response = response[np.abs(response).argmax() :]
    response /= np.sqrt(np.square(response).sum())
    return response
