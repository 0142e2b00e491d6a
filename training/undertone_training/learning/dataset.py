"""Training batches: a copy of each clip, a window of it, VTLP, noise, SpecAugment and mixup.

A whole epoch is drawn at once, from the seed and the epoch's number.
"""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import normalize
from undertone.recognition.vocal_tract import vocal_tract
from undertone.recognition.voice import MOST_FRAMES, Reference, blended, frames_for_voice
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import Array, numbered_variants
from undertone_training.learning.distillation import Targets
from undertone_training.learning.mel_noise import MelNoise
from undertone_training.recipe import Recipe, Regularization

Indices = NDArray[np.intp]

_VOCAL_TRACTS = 15
"""Different vocal tract lengths in an epoch, evenly spaced."""


_AT_A_TIME = 64
"""Windows that are normalised together."""


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of one epoch after another; an epoch depends on the seed and its number only.

    A resumed run therefore gets the same batches as an uninterrupted one.
    """

    def __init__(
        self,
        features: Sequence[ClipFeatures],
        targets: Targets,
        normalization: Normalization,
        recipe: Recipe,
        seed: int,
    ) -> None:
        """``targets``: those of ``features``. An epoch has one window of each clip with speech,
        or ``schedule.epoch_windows``.
        """
        super().__init__()
        numbered = [numbered_variants(clip) for clip in features]
        variants = [[one for _, one in each] for each in numbered]
        usable = np.flatnonzero([len(each) for each in variants])
        labelled = usable < targets.n_labelled
        self._labelled, self._unlabelled = usable[labelled], usable[~labelled]
        self._n_unlabelled = min(targets.n_unlabelled, len(self._unlabelled))
        self._frames: Array = np.concatenate([one for each in variants for one in each])
        self._targets: Array = np.concatenate(list(targets.probabilities)).astype(np.float32)
        lengths = np.array([len(one) for each in variants for one in each])
        self._lengths, self._starts = lengths, np.cumsum(lengths) - lengths
        self._counts = np.array([len(each) for each in variants])
        self._first = np.cumsum(self._counts) - self._counts
        self._weights = targets.weights
        self._normalization = normalization
        self._recipe = recipe
        self._seed = seed
        share = recipe.regularization.vocal_tract
        self._vocal_tracts = [
            vocal_tract(recipe.mfcc, factor).astype(np.float32)
            for factor in np.linspace(1 - share, 1 + share, _VOCAL_TRACTS if share else 0)
        ]
        self._mel_noise = MelNoise(recipe.mfcc)
        self._probabilities = (
            targets.drawn_by[self._labelled] / targets.drawn_by[self._labelled].sum()
            if recipe.schedule.epoch_windows
            else None
        )
        self._voices = (
            _Voices(features, numbered, normalization, recipe)
            if max(recipe.regularization.known_clips)
            else None
        )
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Continue with the batches of epoch number ``epoch``."""
        self._epoch = epoch
        self._drawn: tuple[Array, Array, Array] | None = None

    def __len__(self) -> int:
        """Full batches in an epoch, at least one."""
        n_clips = self._recipe.schedule.epoch_windows or len(self._labelled) + self._n_unlabelled
        return max(1, n_clips // self._recipe.schedule.batch_size)

    def on_epoch_end(self) -> None:
        """Move on to the next epoch."""
        self.start_at(self._epoch + 1)

    def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
        """Windows (batch, frames, coefficients), targets (batch, classes), weights (batch,)."""
        if self._drawn is None:
            self._drawn = self._draw()
        size = self._recipe.schedule.batch_size
        windows, targets, weights = (
            part[index * size : (index + 1) * size] for part in self._drawn
        )
        return windows, targets, weights

    def _draw(self) -> tuple[Array, Array, Array]:
        """A whole epoch."""
        regularization = self._recipe.regularization
        generator = np.random.default_rng([self._seed, self._epoch])
        if self._probabilities is None:
            unlabelled = generator.choice(self._unlabelled, self._n_unlabelled, replace=False)
            clips = generator.permutation(np.concatenate([self._labelled, unlabelled]))
        else:
            n = self._recipe.schedule.epoch_windows
            clips = generator.choice(self._labelled, n, p=self._probabilities)
        copies = self._counts[clips] - 1
        copied = (generator.random(len(clips)) >= regularization.own) & (copies > 0)
        variants = self._first[clips] + copied * (1 + generator.integers(np.maximum(copies, 1)))
        drawn = self._windows(variants, generator)
        voices = self._voices.known(variants, generator) if self._voices else None
        if self._vocal_tracts:
            lengths = generator.integers(len(self._vocal_tracts), size=len(clips))
            for length, matrix in enumerate(self._vocal_tracts):
                drawn[lengths == length] = drawn[lengths == length] @ matrix
                if voices is not None:
                    voices.offset[lengths == length] = voices.offset[lengths == length] @ matrix
        if regularization.background:
            noisy = generator.random(len(clips)) < regularization.background
            drawn[noisy] = self._mel_noise.add(
                drawn[noisy], regularization.background_snr_db, generator
            )
        windows = self._normalized(drawn, voices)
        _mask(windows, regularization, generator)
        targets, weights = self._targets[variants], self._weights[clips]
        if regularization.mixup:
            windows, targets, weights = _mixup(
                windows, targets, weights, regularization.mixup, generator
            )
        return windows, targets, weights

    def _normalized(self, drawn: Array, voices: Reference | None) -> Array:
        """What the network gets; a few windows at a time, which fit into a processor's cache."""
        windows = np.empty_like(drawn)
        for start in range(0, len(drawn), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            known = voices and Reference(*(each[part] for each in voices))
            windows[part] = normalize(drawn[part], self._normalization, self._recipe.mfcc, known)
        return windows

    def _windows(self, variants: Indices, generator: np.random.Generator) -> Array:
        """A random excerpt of each variant at a random tempo; a short variant is repeated.

        Shape (variants, frames, coefficients); frames that fall between two frames of the
        variant are interpolated.
        """
        n, tempo = len(variants), self._recipe.regularization.tempo
        steps = generator.uniform(1 - tempo, 1 + tempo, (n, 1)) if tempo else np.ones((n, 1))
        lengths = self._lengths[variants][:, np.newaxis]
        positions = steps * np.arange(self._recipe.windowing.frames)
        spare = lengths - 1 - positions[:, -1:]
        # a long variant starts anywhere, a short one at its first frame or anywhere
        anywhere = np.where(spare >= 0, spare, lengths * generator.integers(2, size=(n, 1)))
        positions = (positions + generator.random((n, 1)) * anywhere) % lengths
        if not tempo:
            positions = np.floor(positions)
        before = np.floor(positions).astype(np.intp)
        after = np.minimum(before + 1, lengths - 1)
        share = (positions - before)[..., np.newaxis].astype(np.float32)
        start = self._starts[variants][:, np.newaxis]
        frames: Array = self._frames[start + before]
        if tempo:
            frames = (1 - share) * frames + share * self._frames[start + after]
        return frames


class _Voices:
    """What is known of the voice of each variant, from others of its speaker.

    Known are only variants of the same number, those that were changed alike.
    """

    def __init__(
        self,
        features: Sequence[ClipFeatures],
        numbered: Sequence[Sequence[tuple[int, Array]]],
        normalization: Normalization,
        recipe: Recipe,
    ) -> None:
        self._population = np.array(normalization.mean)
        self._prior_frames = recipe.voice_prior_frames
        self._amounts = np.array(recipe.regularization.known_clips)
        groups: dict[tuple[str, str, int], list[int]] = {}
        sums: list[NDArray[np.float64]] = []
        for each, variants in zip(features, numbered, strict=True):
            for number, one in variants:
                voice = (each.clip.corpus, each.clip.speaker, number)
                groups.setdefault(voice, []).append(len(sums))
                frames = frames_for_voice(one, normalization, recipe.mfcc)
                sums.append(frames.sum(axis=0, dtype=np.float64))
        self._sums = np.array(sums)
        self._counts = np.array([len(one) for each in numbered for _, one in each])
        self._members = np.concatenate([np.array(each) for each in groups.values()])
        self._starts, self._sizes, self._places = (np.empty(len(sums), np.intp) for _ in range(3))
        start = 0
        for members in groups.values():
            self._starts[members], self._sizes[members] = start, len(members)
            self._places[members] = np.arange(len(members))
            start += len(members)

    def known(self, variants: Indices, generator: np.random.Generator) -> Reference:
        """A random number of others for each variant; drawn with replacement, never itself."""
        amounts = generator.choice(self._amounts, len(variants))
        sizes = self._sizes[variants][:, np.newaxis]
        steps = 1 + generator.integers(np.maximum(sizes - 1, 1), size=(len(variants), max(amounts)))
        places = (self._places[variants][:, np.newaxis] + steps) % sizes
        others = self._members[self._starts[variants][:, np.newaxis] + places]
        counted = (np.arange(others.shape[1]) < amounts[:, np.newaxis]) & (sizes > 1)
        frames = (self._counts[others] * counted).sum(axis=1)
        sums = np.einsum("vo,voc->vc", counted.astype(np.float64), self._sums[others])
        mean = sums / np.maximum(frames, 1)[:, np.newaxis]
        return blended(
            mean,
            np.minimum(frames, MOST_FRAMES).astype(float),
            self._population,
            self._prior_frames,
        )


def _mask(windows: Array, config: Regularization, generator: np.random.Generator) -> None:
    """SpecAugment (Park et al. 2019), in place: ranges of frames or coefficients become 0."""
    n, frames, coefficients = windows.shape

    def ranges(size: int, longest: int) -> NDArray[np.bool_]:
        length = generator.integers(min(longest, size) + 1, size=(n, 1))
        start = generator.integers(size - length + 1)
        return (np.arange(size) >= start) & (np.arange(size) < start + length)

    for _ in range(config.time_masks):
        windows[ranges(frames, config.longest_time_mask)] = 0
    for _ in range(config.coefficient_masks):
        masked = ranges(coefficients, config.longest_coefficient_mask)
        windows.transpose(0, 2, 1)[masked] = 0


def _mixup(
    windows: Array,
    targets: Array,
    weights: Array,
    alpha: float,
    generator: np.random.Generator,
) -> tuple[Array, Array, Array]:
    """Convex combinations of pairs (Zhang et al. 2018)."""
    share = generator.beta(alpha, alpha, len(windows)).astype(np.float32)
    other = generator.permutation(len(windows))
    wide = share[:, np.newaxis, np.newaxis]
    return (
        wide * windows + (1 - wide) * windows[other],
        share[:, np.newaxis] * targets + (1 - share[:, np.newaxis]) * targets[other],
        share * weights + (1 - share) * weights[other],
    )
