"""Fits the comparison of segments with their voice (``undertone.recognition.comparison``)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from undertone.recognition.bundle import Normalization
from undertone.recognition.comparison import Comparison, statistics
from undertone.recognition.voice import MOST_FRAMES, frames_for_voice
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import variant_lengths, variants_of
from undertone_training.learning.distillation import Targets
from undertone_training.learning.known_clips import KnownClips
from undertone_training.recipe import Recipe

Numbers = NDArray[np.float64]

_PENALTY = 1e-3
"""Times the sum of the squared weights of standardised statistics, added to the cross-entropy."""

_MOST_STEPS = 200

_LEAST_DEVIATION = 1e-6
"""A statistic that is the same in all segments would be divided by 0."""

_AT_A_TIME = 2048
"""Variants whose known clips are in memory together."""


def fit_comparison(
    features: Sequence[ClipFeatures],
    targets: Targets,
    normalization: Normalization,
    recipe: Recipe,
    seed: int,
) -> Comparison:
    """A logistic regression on all variants of the labelled clips, each with a known voice.

    targets: those of ``features``.  Clips count as often as the network's training draws them, and
    the softmax is over the labels that their corpus has.
    seed: of which other clips of its speaker each is known by.
    """
    lengths, found = _statistics(features, normalization, recipe)
    usual = found.mean(axis=0)
    deviation = np.maximum(found.std(axis=0), _LEAST_DEVIATION)
    standard = (found - usual) / deviation
    counts = np.array([len(variant_lengths(each)) for each in features])
    drawn_by = np.zeros(len(features))
    drawn_by[: targets.n_labelled] = targets.drawn_by[: targets.n_labelled]
    weights = np.repeat(drawn_by / np.maximum(counts, 1), counts)
    used = np.flatnonzero(weights)
    known = _known(standard, lengths, KnownClips(features), recipe, np.random.default_rng(seed))
    with threadpool_limits(1):  # so that the sums are the same on any number of cores
        rows, offsets = _regression(
            (standard - known)[used],
            targets.probabilities[used].astype(np.float64),
            weights[used] / weights.sum(),
        )
    return Comparison(
        tuple(usual.tolist()),
        tuple(tuple(row) for row in (rows / deviation).tolist()),
        tuple(offsets.tolist()),
    )


def _statistics(
    features: Sequence[ClipFeatures], normalization: Normalization, recipe: Recipe
) -> tuple[Numbers, Numbers]:
    """Frames of each variant with speech, and its statistics, shape (variants, statistics)."""
    lengths, rows = [], []
    for each in features:
        for variant in variants_of(each):
            frames = frames_for_voice(variant.astype(np.float64), normalization, recipe.mfcc)
            lengths.append(len(frames))
            rows.append(statistics(frames.mean(axis=0), frames.std(axis=0)))
    return np.array(lengths, float), np.array(rows)


def _known(
    standard: Numbers,
    lengths: Numbers,
    clips: KnownClips,
    recipe: Recipe,
    generator: np.random.Generator,
) -> Numbers:
    """What is subtracted from the statistics of each variant: those of its voice, as far as known.

    Shape (variants, statistics).
    """
    amounts = [amount for amount in recipe.regularization.known_clips if amount]
    known = np.empty_like(standard)
    for start in range(0, len(standard), _AT_A_TIME):
        variants = np.arange(start, min(start + _AT_A_TIME, len(standard)))
        others, counted = clips.drawn(variants, amounts, generator)
        weights = lengths[others] * counted
        frames = weights.sum(axis=1)
        share = np.minimum(frames, MOST_FRAMES)
        share /= share + recipe.voice_prior_frames
        means = np.einsum("vo,vos->vs", weights, standard[others])
        known[variants] = (share / np.maximum(frames, 1))[:, np.newaxis] * means
    return known


def _regression(given: Numbers, targets: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    """Weights, shape (labels, statistics), and offsets of a multinomial logistic regression.

    targets: probabilities, shape (rows, labels), negative for a label that a row's corpus lacks.
    weights: of the rows; their sum is 1.
    """
    present = targets >= 0
    wanted = targets * present
    given = np.column_stack([given, np.ones(len(given))])
    shape = targets.shape[1], given.shape[1]

    def loss(flat: Numbers) -> tuple[float, Numbers]:
        rows = flat.reshape(shape)
        logs = log_softmax(np.where(present, given @ rows.T, -np.inf), axis=1)
        penalised = rows.copy()
        penalised[:, -1] = 0  # the offsets
        total = -(weights @ (wanted * np.where(present, logs, 0)).sum(axis=1))
        slope = (weights[:, np.newaxis] * (np.exp(logs) - wanted)).T @ given
        return (
            float(total + _PENALTY * np.square(penalised).sum()),
            (slope + 2 * _PENALTY * penalised).ravel(),
        )

    options = {"maxiter": _MOST_STEPS}
    start = np.zeros(shape).ravel()
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x.reshape(shape)
    return found[:, :-1], found[:, -1]
