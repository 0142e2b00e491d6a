"""What tells voices apart, fitted on made voices whose clips differ less than their speakers."""

from pathlib import Path

import numpy as np
import pytest

from undertone.recognition.bundle import Normalization
from undertone.recognition.voice_distance import VoiceDistance
from undertone_training.corpora.clip import AudioRef, Channel, Clip
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.voice_distance import fit_voice_distance
from undertone_training.recipe import Recipe

N = 40
CLIPS = 20
NORMALIZATION = Normalization("energy-mean", (0.0,) * N, (1.0,) * N, voice_prior_frames=200.0)


def clip(corpus: str, speaker: int, number: int, channel: Channel = "speech") -> ClipFeatures:
    """Speakers differ in five coefficients, and the clips of each more in all others."""
    usual = np.zeros(N)
    usual[:6] = np.random.default_rng(speaker).normal(0, 1, 6)
    within = np.full(N, 3.0)
    within[1:6] = 0.2
    generator = np.random.default_rng([speaker, number])
    mean = usual + generator.normal(0, within)
    frames = mean + generator.normal(0, 0.1, (50, N)) + (30 if channel == "song" else 0)
    name = f"{corpus}-{speaker}-{number}-{channel}"
    source = Clip(
        corpus=corpus, clip_id=name, speaker=f"s{speaker}", emotion="sad", channel=channel,
        source=AudioRef(Path("x.wav")),
    )  # fmt: skip
    copy = generator.normal(0, 9, (50, N)).astype(np.float32)
    return ClipFeatures(source, (frames.astype(np.float32),), (copy,))


def clips(speakers: range, corpus: str = "one", number: int = CLIPS) -> list[ClipFeatures]:
    return [clip(corpus, speaker, each) for speaker in speakers for each in range(number)]


def fitted(features: list[ClipFeatures], seed: int = 0) -> VoiceDistance | None:
    return fit_voice_distance(features, NORMALIZATION, Recipe("mine"), seed)


def mean_of(features: list[ClipFeatures]) -> list[float]:
    return list(np.concatenate([each.segments[0] for each in features]).mean(axis=0))


def test_new_speakers_are_told_apart_whose_other_clips_are_near() -> None:
    found = fitted(clips(range(30)) + clips(range(30, 60), "two"))
    assert found is not None
    assert len(found.directions) == 8
    same, other = [], []
    for speaker in range(100, 140):
        own, others = clips(range(speaker, speaker + 1)), clips(range(speaker + 500, speaker + 501))
        known = mean_of(own[:5])
        same += [found.between(mean_of([each]), known) >= found.far for each in own[5:]]
        other += [found.between(mean_of([each]), known) >= found.far for each in others]
    assert np.mean(same) < 0.03
    assert np.mean(other) > 0.5


def test_the_deviation_within_a_speaker_is_1_in_each_direction() -> None:
    features = clips(range(30))
    found = fitted(features)
    assert found is not None
    means = np.array([mean_of([each])[1:] for each in features]) @ np.array(found.directions).T
    within = means.reshape(30, CLIPS, -1).std(axis=1, ddof=1)
    assert np.sqrt(np.mean(np.square(within), axis=0)) == pytest.approx(1, abs=0.05)


def test_song_and_copies_have_no_part_in_it_and_the_seed_decides_the_rest() -> None:
    features = clips(range(12))
    sung = [clip("one", speaker, 0, "song") for speaker in range(12)]
    alone = [ClipFeatures(each.clip, each.segments, ()) for each in features]
    assert fitted(features) == fitted(features + sung) == fitted(alone)
    one, other = fitted(features), fitted(features, seed=1)
    assert one is not None
    assert other is not None
    assert one.directions == other.directions
    assert one.far != other.far


def test_there_is_none_of_too_few_speakers_or_clips() -> None:
    assert fitted(clips(range(2))) is None
    assert fitted(clips(range(9), number=5)) is None
    assert fitted(clips(range(3), number=6)) is not None
