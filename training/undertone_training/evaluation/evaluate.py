"""Tests a run's float and int8 models, clip by clip and through the whole device path."""

from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from undertone_training.evaluation.backgrounds import Background
from undertone_training.evaluation.embeddings import embed_run
from undertone_training.evaluation.results import Cost, LiveCounts, Outcome, Verdicts
from undertone_training.evaluation.streaming import CONDITIONS, stream
from undertone_training.evaluation.test_clips import RunTest
from undertone_training.export.bundle import Fidelity, classifier_of
from undertone_training.export.quantize import int8_logits
from undertone_training.features.cache import ClipFeatures, FeatureCache
from undertone_training.features.windows import windows_of
from undertone_training.learning.predict import predict
from undertone_training.learning.runs import Run
from undertone_training.metrics import Predictions, figures
from undertone_training.networks import WindowLogits, keras_logits, multiply_accumulates, parameters

FORMS = ("float", "int8")
"""The forms of a run's model: as trained, and as shipped."""


def evaluate(test: RunTest, features: FeatureCache) -> Outcome:
    """Test a run, float and int8, on whole clips; raises RunError before ``quantize``."""
    run = test.run
    clips = features.compute(test.clips, run.info.recipe, str(run.folder))
    predictions = evaluate_run(run, clips, FORMS[:1] if run.unquantized.exists() else FORMS)
    *_, shipped = predictions.values()
    return Outcome(
        run,
        test.protocol,
        predictions,
        cost_of(run),
        verdicts=Verdicts.of(
            shipped, run.calibration.confidence[1], run.calibration.without_verdict
        ),
        clips=test.clips,
        map=embed_run(run, clips),
    )


def evaluate_live(
    test: RunTest, backgrounds: Mapping[Background, NDArray[np.float64]]
) -> Iterator[Outcome]:
    """Test a run by the ``live`` protocol, in a quiet room and with the available backgrounds."""
    run = test.run
    cost = cost_of(run)
    classifier = classifier_of(run)
    for condition in CONDITIONS:
        if condition.background and condition.background not in backgrounds:
            continue
        noise = backgrounds[condition.background] if condition.background else None
        found = stream(test.clips, classifier, condition, noise, run.info.seed)
        name = condition.name
        if test.protocol != "speaker-independent":
            name = f"{name}, {test.protocol}"
        counts = LiveCounts(
            len(test.clips), found.missed, found.false_segments, round(found.recording_s, 1)
        )
        yield Outcome(run, name, {"int8": found.predictions}, cost, counts, clips=test.clips)


def evaluate_run(
    run: Run, test: Sequence[ClipFeatures], forms: Sequence[str] = FORMS
) -> dict[str, Predictions]:
    """Predictions of the ``float`` and the ``int8`` model for ``test``."""
    info, calibration = run.info, run.calibration
    temperature, _ = calibration.confidence
    return {
        form: predict(
            test,
            info.labels,
            info.recipe,
            calibration.normalization,
            _logits(run, form),
            temperature,
        )
        for form in forms
    }


def fidelity(run: Run, features: Sequence[ClipFeatures]) -> Fidelity:
    """How closely the int8 model follows the float model on these clips."""
    info, calibration = run.info, run.calibration
    predictions = evaluate_run(run, features)
    windows = np.concatenate(
        [windows_of(each, info.recipe, calibration.normalization) for each in features]
    )
    floats, int8 = (_logits(run, form)(windows).argmax(axis=1) for form in FORMS)
    return Fidelity(
        float_uar=figures(predictions["float"]).uar,
        int8_uar=figures(predictions["int8"]).uar,
        window_agreement=float((floats == int8).mean()),
        windows=len(windows),
    )


def cost_of(run: Run) -> Cost:
    """The cost of the run's network."""
    model = keras.models.load_model(run.model, compile=False)
    vocal_tracts = len(run.info.recipe.windowing.vocal_tracts)
    return Cost(
        parameters=parameters(model),
        model_bytes=run.tflite.stat().st_size if run.tflite.exists() else None,
        multiply_accumulates=vocal_tracts * multiply_accumulates(model),
        fit_s=round(run.calibration.fit_s, 1),
    )


def _logits(run: Run, form: str) -> WindowLogits:
    if form == "int8":
        return int8_logits(run)
    return keras_logits(keras.models.load_model(run.model, compile=False))
