"""Embeddings of clips, which a network's last dense layer classifies, in two dimensions (t-SNE)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import windows_of
from undertone_training.learning.runs import Run

if TYPE_CHECKING:
    import keras

FEWEST_CLIPS = 5
"""With fewer clips, neighbours mean little."""

MANY_CLIPS = 1_000
"""With fewer clips, threads cost t-SNE more than they save: they wait for each other."""


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Clips in the plane, similar ones near each other; axes and distances mean nothing else.

    title: names the network and the clips.
    emotions: the true one of each clip.  points: float64, shape (clips, 2).
    """

    title: str
    emotions: tuple[str, ...]
    points: NDArray[np.float64]


def embed_run(run: Run, features: Sequence[ClipFeatures]) -> EmbeddingMap | None:
    """The embeddings of the clips in the run's float network; see ``map_embeddings``.

    A clip's embedding is the mean over its windows; a clip without detected speech is left out.
    """
    import keras

    from undertone_training.networks import keras_logits

    info, normalization = run.info, run.calibration.normalization
    embed = keras_logits(without_last_layer(keras.models.load_model(run.model, compile=False)))
    emotions: list[str] = []
    embedded: list[NDArray[np.float64]] = []
    for each in features:
        if each.segments:
            emotions.append(each.clip.emotion)
            embedded.append(embed(windows_of(each, info.recipe, normalization)).mean(axis=0))
    return map_embeddings(f"{info.split}, seed {info.seed}", emotions, np.array(embedded))


def without_last_layer(model: "keras.Model") -> "keras.Model":
    """The network up to the input of its last dense layer, in inference mode."""
    import keras

    last = next(layer for layer in model.layers[::-1] if isinstance(layer, keras.layers.Dense))
    return keras.Model(model.inputs, last.input)


def map_embeddings(
    title: str, emotions: Sequence[str], embedded: NDArray[np.float64]
) -> EmbeddingMap | None:
    """Embeddings, shape (clips, units), in the plane by t-SNE (van der Maaten & Hinton 2008).

    Deterministic.  None for fewer than ``FEWEST_CLIPS``, and if all embeddings are equal.
    """
    if len(embedded) < FEWEST_CLIPS or not np.ptp(embedded, axis=0).any():
        return None
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # perplexity, about how many neighbours count, must be below the number of clips
    tsne = TSNE(perplexity=min(30.0, (len(embedded) - 1) / 3), random_state=0)
    threads = 1 if len(embedded) < MANY_CLIPS else None
    with threadpool_limits(threads, user_api="openmp"):
        points = tsne.fit_transform(embedded)
    return EmbeddingMap(title, tuple(emotions), points.astype(np.float64))
