"""Fits what tells voices apart (``undertone.recognition.voice_distance``)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from undertone.recognition.bundle import Normalization
from undertone.recognition.voice import frames_for_voice
from undertone.recognition.voice_distance import VoiceDistance
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import variant
from undertone_training.recipe import Recipe

Numbers = NDArray[np.float64]
Speaker = tuple[str, str]
"""Corpus and name."""

_MOST_DIRECTIONS = 8
"""With fewer, fewer clips of other speakers are far; with more, more of the same one's are."""

_SHRINKAGE = 0.05
"""Of the covariance within a speaker, towards the same deviation of all standardised values."""

_LEAST_DEVIATION = 1e-6
"""A value that is the same in all clips of each speaker would be divided by 0."""

_OTHERS = 5
"""So many other clips of its speaker a clip is compared with, about ten seconds of speech."""

_FAR_PERCENTILE = 99

_FOLDS = 10


def fit_voice_distance(
    features: Iterable[ClipFeatures], normalization: Normalization, recipe: Recipe, seed: int
) -> VoiceDistance | None:
    """From the speech of all speakers with enough clips, without augmented copies.

    ``far`` is found on the speakers of each fold with the directions of the others.
    seed: of which other clips each is compared with.
    None if fewer than three speakers have enough clips.
    """
    clips: dict[Speaker, list[Numbers]] = {}
    for each in features:
        if each.segments and each.clip.channel == "speech":
            own = variant(each, 0).astype(np.float64)
            mean = frames_for_voice(own, normalization, recipe.mfcc).mean(axis=0)
            clips.setdefault((each.clip.corpus, each.clip.speaker), []).append(mean)
    means = {speaker: np.array(some) for speaker, some in clips.items() if len(some) > _OTHERS}
    if len(means) < 3:  # one is left out, and two differ
        return None
    generator = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    speakers = sorted(means)
    for fold in range(min(_FOLDS, len(speakers))):
        left_out = speakers[fold::_FOLDS]
        others = {speaker: some for speaker, some in means.items() if speaker not in left_out}
        distance = VoiceDistance(_directions(others), far=1.0)
        for speaker in left_out:
            found.setdefault(speaker[0], []).extend(
                _from_others(means[speaker], distance, generator)
            )
    far = max(float(np.percentile(each, _FAR_PERCENTILE)) for each in found.values())
    return VoiceDistance(_directions(means), far)


def _directions(means: Mapping[Speaker, Numbers]) -> tuple[tuple[float, ...], ...]:
    """Of the mean frames of each speaker's clips, shape (clips, width); each corpus counts
    alike.
    """
    within = np.sqrt(np.mean([some[:, 1:].var(axis=0) for some in means.values()], axis=0))
    within = np.maximum(within, _LEAST_DEVIATION)
    of_corpus = Counter(corpus for corpus, _ in means)
    priors = [1 / len(of_corpus) / of_corpus[corpus] for corpus, _ in means]
    analysis = LinearDiscriminantAnalysis(solver="eigen", shrinkage=_SHRINKAGE, priors=priors)
    speakers = np.repeat(np.arange(len(means)), [len(some) for some in means.values()])
    analysis.fit(np.concatenate(list(means.values()))[:, 1:] / within, speakers)
    n = min(_MOST_DIRECTIONS, len(means) - 1)
    return tuple(tuple(row) for row in (analysis.scalings_[:, :n].T / within).tolist())


def _from_others(
    means: Numbers, distance: VoiceDistance, generator: np.random.Generator
) -> Iterator[float]:
    """The distance of each clip of one speaker from others, drawn at random."""
    for number, mean in enumerate(means):
        others = generator.choice(np.delete(np.arange(len(means)), number), _OTHERS, replace=False)
        yield distance.between(mean.tolist(), means[others].mean(axis=0).tolist())
