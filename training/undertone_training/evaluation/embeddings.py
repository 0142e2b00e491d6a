"""What a run's network makes of clips before its last layer names an emotion."""

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from undertone_training.evaluation.maps import EmbeddingMap, map_of
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.windows import windows_of
from undertone_training.learning.runs import Run
from undertone_training.networks import keras_logits


def map_run(run: Run, features: Sequence[ClipFeatures]) -> EmbeddingMap | None:
    """Where the run's float network puts these clips; see ``maps.map_of``.

    A clip is the mean of its windows; one in which the gate hears no speech is left out.
    """
    info, normalization = run.info, run.calibration.normalization
    heard = [each for each in features if each.segments]
    embed = keras_logits(without_last_layer(keras.models.load_model(run.model, compile=False)))
    embedded: list[NDArray[np.float64]] = [
        embed(windows_of(each, info.recipe, normalization)).mean(axis=0) for each in heard
    ]
    emotions = [each.clip.emotion for each in heard]
    return map_of(f"{info.split}, seed {info.seed}", emotions, np.array(embedded))


def without_last_layer(model: keras.Model) -> keras.Model:
    """From the network's input to that of its last dense layer, in inference."""
    last = next(layer for layer in model.layers[::-1] if isinstance(layer, keras.layers.Dense))
    return keras.Model(model.inputs, last.input)
