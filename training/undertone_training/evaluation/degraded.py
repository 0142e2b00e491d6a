"""The ``degraded`` protocol: held-out clips as a device in a home or a telephone gets them."""

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import Samples
from undertone.recognition.classifier import Classifier
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.conditions import ConditionPredictions
from undertone_training.evaluation.inference import through_device
from undertone_training.evaluation.levels import at_level, clipped
from undertone_training.features.reverberation import reverberant
from undertone_training.features.waveform_augmentation import band_limited, opus
from undertone_training.progress import Progress, silent

VOICES = 4
"""Other speakers in the babble, one clip of each."""

BABBLE_SNR_DB = 10.0
GAIN_DB = -20.0
SEED = 0
"""Of the draw of other speakers."""

_LEVEL_DBFS = -25.0
"""Only the ratio of two levels matters."""

Degrade = Callable[[Samples], Samples]

CONDITIONS: dict[str, Degrade] = {
    "as recorded": lambda samples: samples,
    "8 kHz, as on the telephone": lambda samples: band_limited(samples, 8_000),
    "low-pass at 5.5 kHz": lambda samples: band_limited(samples, 11_000),
    "Opus at 12 kbit/s": opus,
    "in a room (reverberation time 0.5 s)": lambda samples: clipped(reverberant(samples)),
    "20 dB quieter": lambda samples: clipped(samples * 10 ** (GAIN_DB / 20)),
}
"""What is done to each clip, by the condition's name."""

BABBLE = "four other voices at 10 dB SNR"
"""The condition that needs other speakers."""

NO_BABBLE = f"{BABBLE}: left out, because there are fewer than {VOICES + 1} speakers"


def degraded(
    clips: Sequence[Clip], classifier: Classifier, progress: Progress = silent
) -> Iterator[ConditionPredictions]:
    """``clips``, of one corpus, under each condition; babble only if they have enough speakers."""
    changes: dict[str, Callable[[Clip], Samples]] = {
        name: lambda clip, degrade=degrade: degrade(clip.source.read())  # type: ignore[misc]
        for name, degrade in CONDITIONS.items()
    }
    if enough_voices(clips):
        changes[BABBLE] = lambda clip: in_babble(clip, clips)
    for name, read in changes.items():
        with progress(f"{clips[0].corpus}, {name}", len(clips)) as step:
            yield through_device(clips, classifier, step, name, read)


def enough_voices(clips: Sequence[Clip]) -> bool:
    """Whether each speaker has ``VOICES`` others."""
    return len({clip.speaker for clip in clips}) > VOICES


def in_babble(clip: Clip, clips: Sequence[Clip]) -> Samples:
    """``clip`` with a clip of each of ``VOICES`` other speakers, repeated as needed.

    Which ones is drawn anew for each clip, the same in every call.  The ratio is that of the levels
    while each sounds.
    """
    generator = np.random.default_rng([SEED, zlib.crc32(clip.clip_id.encode())])
    others = sorted({each.speaker for each in clips} - {clip.speaker})
    samples = clip.source.read()
    babble: NDArray[np.float64] = np.zeros(len(samples))
    for speaker in generator.choice(others, VOICES, replace=False):
        spoken = sorted(
            (each for each in clips if each.speaker == speaker), key=lambda each: each.clip_id
        )
        other = spoken[generator.integers(len(spoken))].source.read()
        if other.any():
            babble += np.resize(at_level(other, _LEVEL_DBFS), len(samples))
    if not (samples.any() and babble.any()):
        return samples
    voice = at_level(samples, _LEVEL_DBFS)
    mixed = voice + at_level(babble, _LEVEL_DBFS - BABBLE_SNR_DB)
    # at the clip's own level again
    return clipped(mixed * (np.abs(samples).max() / np.abs(voice).max()))
