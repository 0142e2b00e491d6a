"""Draws the clips by which a voice is known in training: others of its speaker, changed alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import variant_lengths

Indices = NDArray[np.intp]


class KnownClips:
    """Others of each variant's speaker: of the same number, which were changed alike."""

    def __init__(self, features: Sequence[ClipFeatures]) -> None:
        """Group the variants with speech of ``features``, one clip after the other."""
        groups: dict[tuple[str, str, int], list[int]] = {}
        variants = ((each.clip, number) for each in features for number, _ in variant_lengths(each))
        for index, (clip, number) in enumerate(variants):
            groups.setdefault((clip.corpus, clip.speaker, number), []).append(index)
        self._members = np.concatenate([np.array(each) for each in groups.values()])
        self._starts, self._sizes, self._places = (
            np.empty(len(self._members), np.intp) for _ in range(3)
        )
        start = 0
        for members in groups.values():
            self._starts[members], self._sizes[members] = start, len(members)
            self._places[members] = np.arange(len(members))
            start += len(members)

    def drawn(
        self, variants: Indices, amounts: Sequence[int], generator: np.random.Generator
    ) -> tuple[Indices, NDArray[np.bool_]]:
        """For each of ``variants`` one of ``amounts`` of others, with replacement, never itself.

        Returns indices of variants, shape (variants, most), and which of them count.
        """
        chosen = generator.choice(np.array(amounts), len(variants))
        sizes = self._sizes[variants][:, np.newaxis]
        steps = 1 + generator.integers(np.maximum(sizes - 1, 1), size=(len(variants), max(chosen)))
        places = (self._places[variants][:, np.newaxis] + steps) % sizes
        others = self._members[self._starts[variants][:, np.newaxis] + places]
        counted = (np.arange(others.shape[1]) < chosen[:, np.newaxis]) & (sizes > 1)
        return others, counted
