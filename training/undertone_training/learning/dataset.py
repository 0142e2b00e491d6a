"""Training batches: a copy of each clip, a window of it, other voices, masks and mixtures.

Everything is drawn for a whole epoch at once, from the seed and the epoch's number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import heard, normalize
from undertone.recognition.vocal_tract import vocal_tract
from undertone.recognition.windows import split_windows
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.mel_noise import Background
from undertone_training.recipe import Recipe, Regularization

Array = NDArray[np.float32]
Indices = NDArray[np.intp]

_VOCAL_TRACTS = 15
"""Different lengths of vocal tracts in an epoch, evenly spaced."""


def fit_normalization(features: Sequence[ClipFeatures], recipe: Recipe) -> Normalization:
    """Mean and deviation per coefficient over the windows of the training clips themselves."""
    n = recipe.coefficients
    unit = Normalization(recipe.level, (0.0,) * n, (1.0,) * n, recipe.steady_noise)
    windows = np.concatenate([windows_of(clip, recipe.learnt, unit) for clip in features])
    frames = windows.reshape(-1, windows.shape[-1]).astype(np.float64)
    deviation = np.maximum(frames.std(axis=0), 1e-9)  # of a mel band it may be small
    return replace(
        unit, mean=tuple(frames.mean(axis=0).tolist()), deviation=tuple(deviation.tolist())
    )


def windows_of(features: ClipFeatures, recipe: Recipe, normalization: Normalization) -> Array:
    """Every window that the device would classify of a clip, with every vocal tract.

    Shape (vocal tracts * windows, frames, coefficients).
    """
    windows = [
        split_windows(segment.astype(np.float64), recipe.cut) for segment in features.segments
    ]
    if not windows:
        return np.empty((0, recipe.cut.frames, recipe.coefficients), np.float32)
    given = heard(np.concatenate(windows), recipe.cut, normalization, recipe.mfcc)
    return given.astype(np.float32)


def variants_of(features: ClipFeatures) -> list[Array]:
    """The frames of the clip, its segments one after another, and of each copy of it."""
    own = [np.concatenate(features.segments)] if features.segments else []
    return [*own, *features.copies]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Clips with what the network shall say of them.

    targets: probabilities for each variant of each clip, shape (variants, labels).
    weights: of each clip in the loss, shape (clips,).
    n_core: the first clips, of which each epoch has all; the others take turns.
    n_turn: how many of the others an epoch has.
    """

    features: Sequence[ClipFeatures]
    targets: Sequence[Array]
    weights: Array
    n_core: int
    n_turn: int = 0


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of one epoch after another; each epoch's draw depends on the seed and its number.

    A resumed run therefore sees the batches that the killed one would have seen.
    """

    def __init__(
        self, lesson: Lesson, normalization: Normalization, recipe: Recipe, seed: int
    ) -> None:
        """An epoch has one window of each of its clips that was heard."""
        super().__init__()
        variants = [variants_of(clip) for clip in lesson.features]
        usable = np.flatnonzero([len(each) for each in variants])
        self._core, self._others = usable[usable < lesson.n_core], usable[usable >= lesson.n_core]
        self._n_turn = min(lesson.n_turn, len(self._others))
        self._frames: Array = np.concatenate([one for each in variants for one in each])
        self._targets: Array = np.concatenate(list(lesson.targets)).astype(np.float32)
        lengths = np.array([len(one) for each in variants for one in each])
        self._lengths, self._starts = lengths, np.cumsum(lengths) - lengths
        self._counts = np.array([len(each) for each in variants])
        self._first = np.cumsum(self._counts) - self._counts
        self._weights = lesson.weights
        self._normalization = normalization
        self._recipe = recipe
        self._seed = seed
        share = recipe.regularization.vocal_tract
        self._vocal_tracts = [
            vocal_tract(recipe.mfcc, factor).astype(np.float32)
            for factor in np.linspace(1 - share, 1 + share, _VOCAL_TRACTS if share else 0)
        ]
        self._background = Background(recipe.mfcc)
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Make the batches of epoch number ``epoch``."""
        self._epoch = epoch
        self._drawn: tuple[Array, Array, Array] | None = None

    def __len__(self) -> int:
        """Full batches in an epoch, at least one."""
        return max(1, (len(self._core) + self._n_turn) // self._recipe.schedule.batch_size)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's."""
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
        turn = generator.choice(self._others, self._n_turn, replace=False)
        clips = generator.permutation(np.concatenate([self._core, turn]))
        copies = self._counts[clips] - 1
        copied = (generator.random(len(clips)) >= regularization.own) & (copies > 0)
        variants = self._first[clips] + copied * (1 + generator.integers(np.maximum(copies, 1)))
        drawn = self._windows(variants, generator)
        if self._vocal_tracts:
            voices = generator.integers(len(self._vocal_tracts), size=len(clips))
            for voice, matrix in enumerate(self._vocal_tracts):
                drawn[voices == voice] = drawn[voices == voice] @ matrix
        if regularization.background:
            noisy = generator.random(len(clips)) < regularization.background
            drawn[noisy] = self._background.add(
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
        """A random stretch of each variant at a random tempo; a short one is repeated.

        Shape (variants, frames, coefficients); frames between two of the variant's are
        interpolated.
        """
        n, tempo = len(variants), self._recipe.regularization.tempo
        steps = generator.uniform(1 - tempo, 1 + tempo, (n, 1)) if tempo else np.ones((n, 1))
        lengths = self._lengths[variants][:, np.newaxis]
        positions = steps * np.arange(self._recipe.cut.frames)
        spare = lengths - 1 - positions[:, -1:]
        # a long one from anywhere, a short one from its beginning or from anywhere
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
    """SpecAugment (Park et al. 2019), in place: stretches of time or coefficients become 0."""
    n, frames, coefficients = windows.shape

    def stretches(size: int, longest: int) -> NDArray[np.bool_]:
        length = generator.integers(min(longest, size) + 1, size=(n, 1))
        start = generator.integers(size - length + 1)
        return (np.arange(size) >= start) & (np.arange(size) < start + length)

    for _ in range(config.time_masks):
        windows[stretches(frames, config.longest_time_mask)] = 0
    for _ in range(config.coefficient_masks):
        masked = stretches(coefficients, config.longest_coefficient_mask)
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
