"""From a run to a bundle: the manifest, the limits of quantisation, and the folder."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from undertone import __version__
from undertone.recognition.bundle import (
    DETECTOR_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    SCHEMA_VERSION,
    Bundle,
    Manifest,
    Training,
    manifest_json,
)
from undertone.recognition.classifier import Classifier
from undertone_training.corpora.licences import licence_of_weights
from undertone_training.errors import PromotionError, RunError
from undertone_training.features.gate import detector_in, packaged
from undertone_training.learning.runs import Run

LARGEST_LOSS_OF_UAR = 0.005
LEAST_AGREEMENT = 0.98


def bundle_of(run: Run, name: str) -> Bundle:
    """The quantised run as a bundle in memory, without figures.

    Raises RunError for a run with features that the device does not compute, or behind another
    gate than the device's.
    """
    info, calibration = run.info, run.calibration
    if info.recipe.features != "device":
        raise RunError(
            f"{run.folder} can't run on the device: {info.recipe.name} uses the features of a "
            "reference system; use a recipe with the device's."
        )
    quantization = run.quantization
    model = run.tflite.read_bytes()
    detector, network = detector_in(packaged())
    if (info.gate, info.detector) != (info.recipe.gate, detector.model_sha256):
        raise RunError(
            f"{run.folder} was trained behind another speech gate than the device's: train it "
            "again, into another folder of --runs."
        )
    temperature, threshold = calibration.confidence
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=__version__,
        model_sha256=hashlib.sha256(model).hexdigest(),
        labels=info.labels,
        mfcc=info.recipe.mfcc,
        window=info.recipe.window,
        normalization=calibration.normalization,
        quantization=quantization,
        temperature=temperature,
        confidence_threshold=threshold,
        without_verdict=calibration.without_verdict,
        activation=calibration.activation,
        comparison=calibration.comparison,
        voice_distance=calibration.voice_distance,
        needed_share=info.recipe.needed_share,
        gate=info.gate,
        detector=detector,
        training=Training(
            corpora=info.corpora,
            train_speakers=info.train_speakers,
            validation_speakers=info.validation_speakers,
            recipe=msgspec.to_builtins(info.recipe),
            seed=info.seed,
            licence=licence_of_weights({*info.corpora, *detector.corpora}),
        ),
        figures={},
        tools=info.tools,
        commit=info.commit,
    )
    return Bundle(run.folder, manifest, model, network)


def classifier_of(run: Run) -> Classifier:
    """The device's classifier with the run's int8 model."""
    # the runtime must be LiteRT: tflite-runtime fails in a process with TensorFlow
    return Classifier(bundle_of(run, run.info.recipe.name), runtime="litert")


def with_figures(bundle: Bundle, figures: Mapping[str, Any]) -> Bundle:
    """The bundle with ``figures``, those of its evaluation, in its manifest."""
    manifest = msgspec.structs.replace(bundle.manifest, figures=dict(figures))
    return replace(bundle, manifest=manifest)


@dataclass(frozen=True)
class Fidelity:
    """How closely an int8 model follows its float model on the same clips and windows.

    window_agreement: share of windows with the same most probable label.
    """

    float_uar: float
    int8_uar: float
    window_agreement: float
    windows: int

    def require(self) -> None:
        """Raise PromotionError, with the figures, if quantisation changed the model too much."""
        require_small_loss(self.float_uar, self.int8_uar)
        if self.window_agreement < LEAST_AGREEMENT:
            raise PromotionError(
                f"The int8 model can't be promoted: it agrees with the float model on "
                f"{self.window_agreement:.2%} of {self.windows} windows and at least "
                f"{LEAST_AGREEMENT:.0%} are needed; see docs/quantisation.md."
            )


def require_small_loss(float_uar: float, int8_uar: float) -> None:
    """Raise PromotionError, with the figures, if int8 loses more than half a point of UAR."""
    if float_uar - int8_uar > LARGEST_LOSS_OF_UAR:
        raise PromotionError(
            f"The int8 model can't be promoted: its UAR is {int8_uar:.4f} against {float_uar:.4f} "
            f"of the float model, and at most {LARGEST_LOSS_OF_UAR:.3f} may be lost; see "
            "docs/quantisation.md."
        )


def write_bundle(
    bundle: Bundle, folder: Path, report: Path, own: Mapping[str, bytes], card: str
) -> None:
    """Write the bundle to ``folder`` in one step: all of it, or nothing.

    report: the folder whose figures, tables and pictures are included.
    own: further files of the report, of these very weights, by name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        shutil.copytree(report, made / "report")
        for name, content in own.items():
            (made / "report" / name).write_bytes(content)
        (made / MODEL_FILE).write_bytes(bundle.model)
        (made / DETECTOR_FILE).write_bytes(bundle.detector)
        (made / MANIFEST_FILE).write_bytes(manifest_json(bundle.manifest))
        (made / "README.md").write_text(card)
        if folder.exists():
            folder.rename(Path(temporary) / "replaced")
        made.rename(folder)
