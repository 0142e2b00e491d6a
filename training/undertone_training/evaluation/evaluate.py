"""Test a run's float and int8 models, clip by clip and through the whole device path."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from undertone.audio.files import read_blocks
from undertone.recognition.classifier import Classifier
from undertone_training.corpora.clip import Clip
from undertone_training.evaluation.results import Cost
from undertone_training.evaluation.streaming import SNRS_DB, Heard, listen
from undertone_training.export.bundle import Fidelity, bundle_of
from undertone_training.export.quantize import int8_logits
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.dataset import windows_of
from undertone_training.learning.fit import predict
from undertone_training.learning.runs import Run
from undertone_training.metrics import Predictions, figures
from undertone_training.networks import WindowLogits, keras_logits, multiply_accumulates

FORMS = ("float", "int8")
"""Of a run's model: as it was trained, and as it ships."""


def forms_of(run: Run) -> Sequence[str]:
    """Those that the run has: the converter can't take every network."""
    return FORMS[:1] if run.unquantized.exists() else FORMS


def evaluate_run(
    run: Run, test: Sequence[ClipFeatures], forms: Sequence[str] = FORMS
) -> dict[str, Predictions]:
    """Predictions of the ``float`` and the ``int8`` model on ``test``."""
    info, calibration = run.info, run.calibration
    temperature, _ = calibration.confidence
    return {
        form: predict(
            test, info.labels, info.recipe, calibration.normalization, logits, temperature
        )
        for form, logits in _forms(run, forms).items()
    }


def fidelity(run: Run, features: Sequence[ClipFeatures]) -> Fidelity:
    """How well the int8 model stands for the float one on these clips."""
    info, calibration = run.info, run.calibration
    predictions = evaluate_run(run, features)
    windows = np.concatenate(
        [windows_of(each, info.recipe, calibration.normalization) for each in features]
    )
    said = {form: logits(windows).argmax(axis=1) for form, logits in _forms(run).items()}
    return Fidelity(
        float_uar=figures(predictions["float"]).uar,
        int8_uar=figures(predictions["int8"]).uar,
        window_agreement=float((said["float"] == said["int8"]).mean()),
        windows=len(windows),
    )


def cost_of(run: Run) -> Cost:
    """What the run's network costs."""
    model = keras.models.load_model(run.model, compile=False)
    return Cost(
        parameters=model.count_params(),
        model_bytes=run.tflite.stat().st_size if run.tflite.exists() else None,
        multiply_accumulates=len(run.info.recipe.cut.vocal_tracts) * multiply_accumulates(model),
        fit_s=round(run.calibration.fit_s, 1),
    )


def evaluate_live(
    run: Run, clips: Sequence[Clip], noise_files: Sequence[Path]
) -> dict[float | None, Heard]:
    """The ``live`` protocol at each signal-to-noise ratio that the noise at hand allows."""
    classifier = Classifier(bundle_of(run, run.info.recipe.name), runtime="litert")
    noise = room_noise(noise_files)
    return {
        snr_db: listen(clips, classifier, noise, snr_db, run.info.seed)
        for snr_db in SNRS_DB
        if snr_db is None or noise is not None
    }


def room_noise(files: Sequence[Path]) -> NDArray[np.float64] | None:
    """All recordings of noise one after another, each at the same mean power; None for none."""
    recordings = []
    for path in files:
        samples = np.concatenate([block.samples for block in read_blocks(path)]).astype(np.float64)
        recordings.append(samples / max(np.sqrt(np.square(samples).mean()), 1e-9))
    return np.concatenate(recordings) if recordings else None


def _forms(run: Run, forms: Sequence[str] = FORMS) -> dict[str, WindowLogits]:
    return {form: _LOGITS[form](run) for form in forms}


def _float_logits(run: Run) -> WindowLogits:
    return keras_logits(keras.models.load_model(run.model, compile=False))


_LOGITS = dict(zip(FORMS, (_float_logits, int8_logits), strict=True))
