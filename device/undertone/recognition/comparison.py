"""How a segment differs from what is usual for its voice: a linear model beside the network.

What the network gets has the mean frame of a known voice subtracted, but not how much that voice
varies: a lively person sounds excited to it.  So the logits of a logistic regression on the means
and the standard deviations over time of a segment's values, less those of the voice, are added to
the network's, weighted by how far the voice is known (training/EXPERIMENTS.md).
"""

from functools import cached_property

import numpy as np

from undertone.recognition.cepstrum import Floats
from undertone.recognition.fields import Coefficient
from undertone.support.strict import Strict

WEIGHT = 0.4
"""Of these logits beside the network's, for a voice that is known entirely."""


class Comparison(Strict, frozen=True, dict=True):
    """The logistic regression; part of a bundle's manifest.

    usual: the mean of each statistic over the segments of all speakers in the training.
    weights: of each label, one for each statistic.  offsets: of each label.
    """

    usual: tuple[Coefficient, ...]
    weights: tuple[tuple[Coefficient, ...], ...]
    offsets: tuple[Coefficient, ...]

    def logits(self, segment: Floats, voice: Floats, share: float) -> Floats:
        """Of one segment, shape (labels,).

        segment, voice: their ``statistics``.
        share: how far the voice is known; the rest of it is ``usual``.
        """
        usual, weights, offsets = self._arrays
        logits: Floats = weights @ (segment - share * voice - (1 - share) * usual) + offsets
        return logits

    @cached_property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.array(self.usual), np.array(self.weights), np.array(self.offsets)


def statistics(mean: Floats, deviation: Floats) -> Floats:
    """What is compared, shape (..., 2 * width - 1): every mean but the level's, every deviation.

    mean, deviation: over the frames of a segment, or of those of a voice, shape (..., width).
    """
    return np.concatenate([mean[..., 1:], deviation], axis=-1)
