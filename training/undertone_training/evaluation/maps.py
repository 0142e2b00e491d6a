"""What a network makes of clips before it names an emotion, and a map of it to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 5
"""Clips that a map needs: of fewer there are no neighbours to speak of."""


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Clips in the plane, neighbours near each other; axes and distances mean nothing else.

    title: whose network, and whose clips.
    emotions: the true one of each clip.  points: float64, shape (clips, 2).
    """

    title: str
    emotions: tuple[str, ...]
    points: NDArray[np.float64]


def map_of(
    title: str, emotions: Sequence[str], embedded: NDArray[np.float64]
) -> EmbeddingMap | None:
    """Embeddings, shape (clips, units), in the plane by t-SNE (van der Maaten & Hinton 2008).

    The same at every call.  None for fewer than ``FEWEST`` clips, and for a network that
    makes the same of all of them.
    """
    if len(embedded) < FEWEST or not np.ptp(embedded, axis=0).any():
        return None
    from sklearn.manifold import TSNE

    # perplexity, about how many neighbours count, must be below the number of clips
    tsne = TSNE(perplexity=min(30.0, (len(embedded) - 1) / 3), random_state=0)
    return EmbeddingMap(title, tuple(emotions), tsne.fit_transform(embedded).astype(np.float64))
