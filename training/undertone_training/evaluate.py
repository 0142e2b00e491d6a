"""Test a run's float and int8 models on the clips that it never saw."""

from collections.abc import Sequence

import keras

from undertone_training.features import ClipFeatures
from undertone_training.figures import Predictions
from undertone_training.fit import keras_logits, predict
from undertone_training.quantize import int8_logits
from undertone_training.runs import Run


def evaluate_run(run: Run, test: Sequence[ClipFeatures]) -> dict[str, Predictions]:
    """Predictions of the ``float`` and the ``int8`` model on ``test``, also kept in the run."""
    info, calibration = run.info, run.calibration
    models = {
        "float": keras_logits(keras.models.load_model(run.model, compile=False)),
        "int8": int8_logits(run),
    }
    results = {}
    for form, logits in models.items():
        results[form] = predict(
            test,
            info.labels,
            info.recipe,
            calibration.normalization,
            logits,
            calibration.temperature,
        )
        results[form].save(run.predictions(form))
    return results
