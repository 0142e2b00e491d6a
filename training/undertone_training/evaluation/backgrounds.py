"""What sounds behind the clips of a long recording: recorded noise, other voices, music."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.random_sounds import MAKERS
from undertone_training.errors import CorpusError
from undertone_training.evaluation.levels import SPEECH_DBFS, at_level

Background = Literal["recorded noise", "voices", "music"]

VOICES = 4
"""People who speak at once behind the clips."""

DURATION_S = 480.0
"""Of voices and of music, which are repeated after that."""

_SONG_S = 24.0

Sound = NDArray[np.float64]


def backgrounds(
    recordings: Sequence[Path], voices: Sequence[Clip], seed: int
) -> dict[Background, Sound]:
    """Every background that can be made of ``recordings`` and ``voices``.

    Raises AudioSourceError for a recording that can't be read.
    """
    generator = np.random.default_rng([seed, 2])
    found: dict[Background, Sound] = {}
    if recordings:
        found["recorded noise"] = recorded_noise(recordings)
    if voices:
        found["voices"] = babble(voices, DURATION_S, generator)
    found["music"] = music(DURATION_S, generator)
    return found


def recorded_noise(recordings: Sequence[Path]) -> Sound:
    """The recordings in succession, each at the same mean power."""
    pieces = []
    for path in recordings:
        samples = AudioRef(path).read().astype(np.float64)
        pieces.append(samples / max(np.sqrt(np.square(samples).mean()), 1e-9))
    return np.concatenate(pieces)


def babble(clips: Sequence[Clip], duration_s: float, generator: np.random.Generator) -> Sound:
    """``VOICES`` tracks of random clips, all at one level, at once.

    Raises CorpusError if there is no sound in any clip.
    """
    length = round(duration_s * SAMPLE_RATE_HZ)
    sound = np.zeros(length)
    for _ in range(VOICES):
        sound += _track(clips, length, generator)
    return sound


def music(duration_s: float, generator: np.random.Generator) -> Sound:
    """Songs without a voice, all at one level, none of which the detector was trained with."""
    songs = [
        at_level(MAKERS["songs"](generator, _SONG_S), SPEECH_DBFS)
        for _ in range(math.ceil(duration_s / _SONG_S))
    ]
    return np.concatenate(songs)[: round(duration_s * SAMPLE_RATE_HZ)]


def _track(clips: Sequence[Clip], length: int, generator: np.random.Generator) -> Sound:
    """One clip after another, and again from the first when there is none left."""
    pieces: list[Sound] = []
    for index in generator.permutation(len(clips)):
        samples = clips[index].source.read()
        if samples.any():
            pieces.append(at_level(samples, SPEECH_DBFS))
        if sum(map(len, pieces)) >= length:
            break
    if not pieces:
        raise CorpusError("There is no sound in any clip: download the corpus again.")
    track = np.concatenate(pieces)
    return np.resize(np.roll(track, generator.integers(len(track))), length)
