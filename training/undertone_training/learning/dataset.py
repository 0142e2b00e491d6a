"""Training batches: a copy of each clip, a window of it, VTLP, noise, MixStyle, masks and mixup.

An epoch is drawn from the seed and its number, some thousand windows at a time; only the frames of
these are in memory.
"""

from array import array
from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.recognition.bundle import Normalization
from undertone.recognition.classifier import normalize
from undertone.recognition.vocal_tract import vocal_tract
from undertone.recognition.voice import MOST_FRAMES, Reference, blended, frames_for_voice
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import Array, variant, variant_lengths, variants_of
from undertone_training.learning.distillation import Targets
from undertone_training.learning.known_clips import Indices, KnownClips
from undertone_training.learning.mel_noise import MelNoise
from undertone_training.recipe import Recipe, Regularization

_VOCAL_TRACTS = 15
"""Different vocal tract lengths in an epoch, evenly spaced."""


_AT_A_TIME = 64
"""Windows that are interpolated and normalised together, which fit into a processor's cache."""

_TOGETHER = 8192
"""Windows that are drawn together, at most: an epoch with more is drawn in parts."""


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
        self._features = features
        # of each variant
        self._clips, self._numbers, self._lengths = _variants(features)
        self._counts = np.bincount(self._clips, minlength=len(features))
        self._first = np.cumsum(self._counts) - self._counts
        usable = np.flatnonzero(self._counts)
        labelled = usable < targets.n_labelled
        self._labelled, self._unlabelled = usable[labelled], usable[~labelled]
        self._n_unlabelled = min(targets.n_unlabelled, len(self._unlabelled))
        self._targets = targets.probabilities
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
            _Voices(features, self._lengths, normalization, recipe)
            if max(recipe.regularization.known_clips)
            else None
        )
        self.start_at(0)

    def start_at(self, epoch: int) -> None:
        """Continue with the batches of epoch number ``epoch``."""
        self._epoch = epoch
        self._drawn: tuple[int, tuple[Array, Array, Array]] | None = None

    def __len__(self) -> int:
        """Full batches in an epoch, at least one."""
        return max(1, self._n_windows // self._recipe.schedule.batch_size)

    @property
    def in_parts(self) -> bool:
        """Whether an epoch is drawn in parts, so that its batches should be asked for in order."""
        return self._n_windows > self._together

    @property
    def _n_windows(self) -> int:
        return self._recipe.schedule.epoch_windows or len(self._labelled) + self._n_unlabelled

    @property
    def _together(self) -> int:
        """Windows of one part: whole batches."""
        size = self._recipe.schedule.batch_size
        return max(1, _TOGETHER // size) * size

    def on_epoch_end(self) -> None:
        """Move on to the next epoch."""
        self.start_at(self._epoch + 1)

    def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
        """Windows (batch, frames, width), targets (batch, classes), weights (batch,)."""
        size = self._recipe.schedule.batch_size
        part, start = divmod(index * size, self._together)
        if self._drawn is None or self._drawn[0] != part:
            self._drawn = None  # never two of them in memory
            self._drawn = part, self._draw(part)
        windows, targets, weights = (each[start : start + size] for each in self._drawn[1])
        return windows, targets, weights

    def _draw(self, part: int) -> tuple[Array, Array, Array]:
        """One part of an epoch: the first, or the only one, with the epoch's own generator."""
        regularization = self._recipe.regularization
        generator = np.random.default_rng([self._seed, self._epoch])
        if self._probabilities is None:
            unlabelled = generator.choice(self._unlabelled, self._n_unlabelled, replace=False)
            clips = generator.permutation(np.concatenate([self._labelled, unlabelled]))
        else:
            clips = generator.choice(self._labelled, self._n_windows, p=self._probabilities)
        if part:
            generator = np.random.default_rng([self._seed, self._epoch, part])
        clips = clips[part * self._together : (part + 1) * self._together]
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
        if regularization.style_mixing:
            _mix_styles(windows, regularization.style_mixing, voices, generator)
        if regularization.reordered:
            _reorder(windows, regularization.reordered, generator)
        _mask(windows, regularization, generator)
        targets, weights = self._targets[variants], self._weights[clips]
        if regularization.mixup:
            windows, targets, weights = _mixup(
                windows, targets, weights, regularization.mixup, generator
            )
        return windows, targets, weights

    def _normalized(self, drawn: Array, voices: Reference | None) -> Array:
        """What the network gets."""
        windows = np.empty_like(drawn)
        for start in range(0, len(drawn), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            known = voices and Reference(*(each[part] for each in voices))
            windows[part] = normalize(drawn[part], self._normalization, self._recipe.mfcc, known)
        return windows

    def _windows(self, variants: Indices, generator: np.random.Generator) -> Array:
        """A random excerpt of each variant at a random tempo; a short variant is repeated.

        Shape (variants, frames, width); frames that fall between two frames of the
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
        frames = np.empty((*before.shape, self._recipe.frame_width), np.float32)
        order = np.argsort(variants)  # so that each shard is mapped once
        for first in range(0, n, _AT_A_TIME):
            places = order[first : first + _AT_A_TIME]
            own = np.concatenate([self._frames_of(number) for number in variants[places]])
            start = (np.cumsum(lengths[places]) - lengths[places, 0])[:, np.newaxis]
            found = own[start + before[places]]
            if tempo:
                found *= 1 - share[places]
                found += share[places] * own[start + after[places]]
            frames[places] = found
        return frames

    def _frames_of(self, number: np.intp) -> Array:
        """The frames of one variant."""
        return variant(self._features[self._clips[number]], self._numbers[number])


def _variants(features: Sequence[ClipFeatures]) -> tuple[Indices, Indices, Indices]:
    """The clip, the number and the length of each variant with speech."""
    found = array("q")
    for clip, each in enumerate(features):
        for number, length in variant_lengths(each):
            found.extend((clip, number, length))
    clips, numbers, lengths = np.array(found, np.intp).reshape(-1, 3).T.copy()
    return clips, numbers, lengths


class _Voices:
    """What is known of the voice of each variant, from others of its speaker."""

    def __init__(
        self,
        features: Sequence[ClipFeatures],
        lengths: Indices,
        normalization: Normalization,
        recipe: Recipe,
    ) -> None:
        self._population = np.array(normalization.mean)
        self._prior_frames = recipe.voice_prior_frames
        self._amounts = recipe.regularization.known_clips
        self._counts = lengths
        self._clips = KnownClips(features)
        self._sums = np.empty((len(lengths), recipe.frame_width))
        variants = (one for each in features for one in variants_of(each))
        for total, one in zip(self._sums, variants, strict=True):
            frames = frames_for_voice(one, normalization, recipe.mfcc)
            frames.sum(axis=0, dtype=np.float64, out=total)

    def known(self, variants: Indices, generator: np.random.Generator) -> Reference:
        """A random number of others for each variant."""
        others, counted = self._clips.drawn(variants, self._amounts, generator)
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


def _reorder(windows: Array, share: float, generator: np.random.Generator) -> None:
    """Cut a share of the windows into pieces and put these together in a random order, in place."""
    frames = windows.shape[1]
    for number in np.flatnonzero(generator.random(len(windows)) < share):
        lengths = generator.integers(*_PIECE_FRAMES, size=frames, endpoint=True)
        ends = lengths.cumsum()
        pieces = np.split(np.arange(frames), ends[ends < frames])
        order = generator.permutation(len(pieces))
        windows[number] = windows[number, np.concatenate([pieces[place] for place in order])]


_PIECE_FRAMES = 8, 32
"""A quarter of a second to a second: a syllable or some words, but not a whole sentence."""


def _mix_styles(
    windows: Array, alpha: float, voices: Reference | None, generator: np.random.Generator
) -> None:
    """MixStyle (Zhou et al. 2021) of the network's input, in place.

    The mean and the deviation over time of each coefficient move towards those of a random other
    window, less far the better the voice is known.
    """
    moved = generator.beta(alpha, alpha, (len(windows), 1, 1)).astype(np.float32)
    if voices is not None:
        moved *= 1 - voices.share.astype(np.float32).reshape(-1, 1, 1)
    other = generator.permutation(len(windows))
    mean = windows.mean(axis=1, keepdims=True)
    deviation = windows.std(axis=1, keepdims=True) + _LEAST_DEVIATION
    windows -= mean
    windows *= (1 - moved) + moved * deviation[other] / deviation
    windows += mean + moved * (mean[other] - mean)


_LEAST_DEVIATION = 1e-3
"""That of a coefficient that stays the same throughout a window is 0."""


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
