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
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import Array, variants_of
from undertone_training.learning.distillation import Targets
from undertone_training.learning.mel_noise import MelNoise
from undertone_training.recipe import Recipe, Regularization

Indices = NDArray[np.intp]

_VOCAL_TRACTS = 15
"""Different vocal tract lengths in an epoch, evenly spaced."""


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
        """``targets``: those of ``features``. An epoch has one window of each clip with speech."""
        super().__init__()
        variants = [variants_of(clip) for clip in features]
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
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Continue with the batches of epoch number ``epoch``."""
        self._epoch = epoch
        self._drawn: tuple[Array, Array, Array] | None = None

    def __len__(self) -> int:
        """Full batches in an epoch, at least one."""
        n_clips = len(self._labelled) + self._n_unlabelled
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
        unlabelled = generator.choice(self._unlabelled, self._n_unlabelled, replace=False)
        clips = generator.permutation(np.concatenate([self._labelled, unlabelled]))
        copies = self._counts[clips] - 1
        copied = (generator.random(len(clips)) >= regularization.own) & (copies > 0)
        variants = self._first[clips] + copied * (1 + generator.integers(np.maximum(copies, 1)))
        drawn = self._windows(variants, generator)
        if self._vocal_tracts:
            lengths = generator.integers(len(self._vocal_tracts), size=len(clips))
            for length, matrix in enumerate(self._vocal_tracts):
                drawn[lengths == length] = drawn[lengths == length] @ matrix
        if regularization.background:
            noisy = generator.random(len(clips)) < regularization.background
            drawn[noisy] = self._mel_noise.add(
                drawn[noisy], regularization.background_snr_db, generator
            )
        windows: Array = normalize(drawn, self._normalization, self._recipe.mfcc).astype(np.float32)
        _mask(windows, regularization, generator)
        targets, weights = self._targets[variants], self._weights[clips]
        if regularization.mixup:
            windows, targets, weights = _mixup(
                windows, targets, weights, regularization.mixup, generator
            )
        return windows, targets, weights

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
