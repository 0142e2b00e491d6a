"""Augmented copies of a clip: changed voice, room, microphone, noise, channel and level."""

import io
import random
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from undertone.audio.block import SAMPLE_RATE_HZ, Samples, to_int16
from undertone.audio.resample import Resampler
from undertone_training import object_storage
from undertone_training.corpora.noise import NoiseRecordings
from undertone_training.features.reverberation import impulse_responses
from undertone_training.recipe import Augmentation


@lru_cache(maxsize=1)
def augmenter(config: Augmentation, noise: NoiseRecordings) -> Any:
    """The chain of transforms: one change of voice, then room and channel, then noise.

    Resampling at an unchanged nominal rate changes speed and pitch together, as a shorter or
    longer vocal tract does: the most robust gain reported for this task.
    """
    from audiomentations import (
        AddBackgroundNoise,
        AddGaussianSNR,
        Compose,
        Lambda,
        OneOf,
        PitchShift,
        Resample,
        SevenBandParametricEQ,
        TimeStretch,
    )

    voice = OneOf(
        [
            Resample(
                min_sample_rate=round(SAMPLE_RATE_HZ * (1 - config.speed)),
                max_sample_rate=round(SAMPLE_RATE_HZ * (1 + config.speed)),
                p=1.0,
            ),
            PitchShift(
                min_semitones=-config.pitch_semitones, max_semitones=config.pitch_semitones, p=1.0
            ),
            TimeStretch(
                min_rate=1 / (1 + config.stretch),
                max_rate=1 + config.stretch,
                leave_length_unchanged=False,
                p=1.0,
            ),
        ],
        p=0.9,
        weights=[2, 1, 1],
    )
    channel = SevenBandParametricEQ(
        min_gain_db=-config.equalizer_db, max_gain_db=config.equalizer_db, p=0.5
    )
    lowest_hz, highest_hz = config.band_hz
    lowest_db, highest_db = config.snr_db
    white = AddGaussianSNR(min_snr_db=lowest_db, max_snr_db=highest_db, p=1.0)
    noises, weights = [white], [1]
    if noise.files:
        object_storage.fetch(noise.files)
        room = AddBackgroundNoise(
            sounds_path=list(noise.files),
            min_snr_db=lowest_db,
            max_snr_db=highest_db,
            p=1.0,
        )
        noises, weights = [white, room], [1, 3]
    level = (
        partial(_amplified, range_db=config.gain_db)
        if config.alike == "speaker"
        else partial(_at_a_level, range_dbfs=config.level_dbfs)
    )
    return Compose(
        [
            voice,
            Lambda(_in_a_room, p=config.reverberation),
            channel,
            OneOf(noises, p=config.noise, weights=weights),
            Lambda(partial(_in_a_band, range_hz=(lowest_hz, highest_hz)), p=config.narrow),
            Lambda(_coded, p=config.coded),
            Lambda(level, p=1.0),
        ]
    )


def _in_a_room(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """``samples`` as recorded from a few metres away; of the same length."""
    from scipy.signal import oaconvolve  # its import takes as long as the features of 100 clips

    reverberant = oaconvolve(samples, random.choice(impulse_responses()))
    room: NDArray[np.float32] = reverberant[: len(samples)].astype(np.float32)
    return room


def _at_a_level(
    samples: NDArray[np.float32], sample_rate: int, range_dbfs: tuple[float, float]
) -> NDArray[np.float32]:
    """``samples`` at a random level; ``to_int16`` clips loud ones, as a microphone does."""
    level = 10 ** (random.uniform(*range_dbfs) / 20)
    rms = np.sqrt(np.square(samples).mean())
    scaled: NDArray[np.float32] = samples * np.float32(level / max(rms, 1e-9))
    return scaled


def _amplified(
    samples: NDArray[np.float32], sample_rate: int, range_db: tuple[float, float]
) -> NDArray[np.float32]:
    """``samples`` with a random gain, the same for loud clips and quiet ones."""
    amplified: NDArray[np.float32] = samples * np.float32(10 ** (random.uniform(*range_db) / 20))
    return amplified


def _in_a_band(
    samples: NDArray[np.float32], sample_rate: int, range_hz: tuple[float, float]
) -> NDArray[np.float32]:
    """``samples`` without what is above a random frequency, uniform in its logarithm."""
    lowest, highest = np.log(range_hz)
    edge_hz = float(np.exp(random.uniform(lowest, highest)))
    return _floats(band_limited(to_int16(samples), round(2 * edge_hz)), len(samples))


def _coded(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """``samples`` after Opus at 12 kbit/s."""
    return _floats(opus(to_int16(samples)), len(samples))


def _floats(samples: Samples, length: int) -> NDArray[np.float32]:
    floats: NDArray[np.float32] = np.resize(samples, length).astype(np.float32) / 32768
    return floats


def band_limited(samples: Samples, rate_hz: int) -> Samples:
    """As sampled at ``rate_hz``: nothing above half of it; of about the same length."""
    import soxr

    floats = samples.astype(np.float32) / np.float32(32768)
    narrow = to_int16(soxr.resample(floats, SAMPLE_RATE_HZ, rate_hz))
    return Resampler(rate_hz).process(narrow, last=True)


_OPUS_COMPRESSION = 0.976
"""libsndfile's scale from 256 kbit/s (0) to 6 kbit/s (1): 12 kbit/s."""


def opus(samples: Samples) -> Samples:
    """Encoded by Opus at 12 kbit/s and decoded."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(
        file,
        samples,
        SAMPLE_RATE_HZ,
        format="OGG",
        subtype="OPUS",
        compression_level=_OPUS_COMPRESSION,
    )
    decoded: Samples = soundfile.read(io.BytesIO(file.getvalue()), dtype="int16")[0]
    return decoded


def augmented(samples: Samples, transform: Any, seed: int) -> Samples:
    """One augmented copy of ``samples`` (int16), determined by the seed."""
    random.seed(seed)
    np.random.seed(seed)  # audiomentations draws from the global generators
    floats: NDArray[np.float32] = samples.astype(np.float32) / 32768
    return to_int16(transform(floats, sample_rate=SAMPLE_RATE_HZ))
