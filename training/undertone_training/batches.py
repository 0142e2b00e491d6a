"""Training batches: a copy of each clip, a window of it, masks and mixup, all from one seed."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.bundle import Normalization
from undertone.classifier import normalize
from undertone.mfcc import Frames
from undertone.windows import WindowConfig, cut
from undertone_training.features import ClipFeatures
from undertone_training.recipe import Recipe, Regularization

Array = NDArray[np.float32]


def fit_normalization(features: Sequence[ClipFeatures], recipe: Recipe) -> Normalization:
    """Mean and deviation per coefficient over the windows of the training clips themselves."""
    unit = Normalization(
        recipe.level, (0.0,) * recipe.mfcc.n_coefficients, (1.0,) * recipe.mfcc.n_coefficients
    )
    windows = np.concatenate([windows_of(clip, recipe.window, unit) for clip in features])
    frames = windows.reshape(-1, windows.shape[-1]).astype(np.float64)
    deviation = np.maximum(frames.std(axis=0), 1e-3)
    return Normalization(
        recipe.level, tuple(frames.mean(axis=0).tolist()), tuple(deviation.tolist())
    )


def windows_of(features: ClipFeatures, config: WindowConfig, normalization: Normalization) -> Array:
    """Every window that the device would classify of a clip: (windows, frames, coefficients)."""
    windows = [cut(segment.astype(np.float64), config) for segment in features.segments]
    if not windows:
        return np.empty((0, config.frames, len(normalization.mean)), np.float32)
    return normalize(np.concatenate(windows), normalization).astype(np.float32)


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of one epoch after another; each epoch's draw depends on the seed and its number.

    A resumed run therefore sees the batches that the killed one would have seen.
    """

    def __init__(
        self,
        features: Sequence[ClipFeatures],
        classes: NDArray[np.int64],
        n_classes: int,
        normalization: Normalization,
        recipe: Recipe,
        seed: int,
    ) -> None:
        """``classes``: index of each clip's emotion, shape (clips,)."""
        super().__init__()
        self._variants = [
            (*([np.concatenate(clip.segments)] if clip.segments else []), *clip.copies)
            for clip in features
        ]
        self._usable = np.flatnonzero([bool(variants) for variants in self._variants])
        self._targets = np.eye(n_classes, dtype=np.float32)[classes]
        counts = np.bincount(classes[self._usable], minlength=n_classes)
        self._class_weights = len(self._usable) / (n_classes * np.maximum(counts, 1))
        self._classes = classes
        self._normalization = normalization
        self._recipe = recipe
        self._seed = seed
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Make the batches of epoch number ``epoch``."""
        self._epoch = epoch
        self._order = np.random.default_rng([self._seed, epoch]).permutation(self._usable)

    def __len__(self) -> int:
        """Full batches in an epoch, at least one."""
        return max(1, len(self._usable) // self._recipe.schedule.batch_size)

    def on_epoch_end(self) -> None:
        """Go on to the next epoch's."""
        self.start_at(self._epoch + 1)

    def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
        """Windows (batch, frames, coefficients), targets (batch, classes), weights (batch,)."""
        recipe = self._recipe
        generator = np.random.default_rng([self._seed, self._epoch, index])
        size = recipe.schedule.batch_size
        chosen = self._order[index * size : (index + 1) * size]
        drawn = np.stack([self._window(clip, generator) for clip in chosen])
        windows: Array = normalize(drawn, self._normalization).astype(np.float32)
        for window in windows:
            _mask(window, recipe.regularization, generator)
        targets = self._targets[chosen]
        weights = np.ones(len(chosen))
        if recipe.schedule.class_weights:
            weights = self._class_weights[self._classes[chosen]]
        if recipe.regularization.mixup:
            windows, targets, weights = _mixup(
                windows, targets, weights, recipe.regularization.mixup, generator
            )
        return windows, targets, weights.astype(np.float32)

    def _window(self, clip: int, generator: np.random.Generator) -> Frames:
        """A random stretch of a random copy; a short one is repeated from a random frame."""
        variants = self._variants[clip]
        frames: Frames = variants[generator.integers(len(variants))].astype(np.float64)
        length = self._recipe.window.frames
        spare = len(frames) - length
        if spare >= 0:
            start = generator.integers(spare + 1)
            return frames[start : start + length]
        start = generator.integers(len(frames)) if generator.random() < 0.5 else 0
        repeated: Frames = frames[(start + np.arange(length)) % len(frames)]
        return repeated


def _mask(window: Array, config: Regularization, generator: np.random.Generator) -> None:
    """SpecAugment (Park et al. 2019), in place: stretches of time or coefficients become 0."""
    frames, coefficients = window.shape
    for _ in range(config.time_masks):
        length = generator.integers(min(config.longest_time_mask, frames) + 1)
        start = generator.integers(frames - length + 1)
        window[start : start + length] = 0
    for _ in range(config.coefficient_masks):
        length = generator.integers(min(config.longest_coefficient_mask, coefficients) + 1)
        start = generator.integers(coefficients - length + 1)
        window[:, start : start + length] = 0


def _mixup(
    windows: Array,
    targets: Array,
    weights: NDArray[np.float64],
    alpha: float,
    generator: np.random.Generator,
) -> tuple[Array, Array, NDArray[np.float64]]:
    """Convex combinations of pairs (Zhang et al. 2018)."""
    share = generator.beta(alpha, alpha, len(windows)).astype(np.float32)
    other = generator.permutation(len(windows))
    wide = share[:, np.newaxis, np.newaxis]
    return (
        wide * windows + (1 - wide) * windows[other],
        share[:, np.newaxis] * targets + (1 - share[:, np.newaxis]) * targets[other],
        share * weights + (1 - share) * weights[other],
    )
