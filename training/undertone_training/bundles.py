"""From runs to bundles: the manifest, the gate, and the folder that ships."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from undertone_training.errors import PromotionError

from undertone import __version__
from undertone.bundle import (
    SCHEMA_VERSION,
    Bundle,
    Manifest,
    Training,
)
from undertone_training.runs import Run

LICENCE = "CC BY-NC-SA 4.0"
"""RAVDESS's and nEMO's, which weights trained on them inherit."""

LARGEST_LOSS_OF_UAR = 0.01
LEAST_AGREEMENT = 0.98


def bundle_of(run: Run, name: str, reported: Mapping[str, Any] | None = None) -> Bundle:
    """The quantised run as a bundle in memory; ``reported`` are the manifest's figures."""
    info, calibration = run.info, run.calibration
    model = run.tflite.read_bytes()
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=__version__,
        model_sha256=hashlib.sha256(model).hexdigest(),
        labels=info.labels,
        mfcc=info.recipe.mfcc,
        window=info.recipe.window,
        normalization=calibration.normalization,
        quantization=run.quantization,
        temperature=calibration.temperature,
        confidence_threshold=calibration.threshold,
        training=Training(
            corpora=info.corpora,
            train_speakers=info.train_speakers,
            validation_speakers=info.validation_speakers,
            recipe=msgspec.to_builtins(info.recipe),
            seed=info.seed,
            licence=LICENCE,
        ),
        figures=dict(reported or {}),
        tools=info.tools,
        commit=info.commit,
    )
    return Bundle(run.folder, manifest, model)


@dataclass(frozen=True)
class Fidelity:
    """How well an int8 model stands for its float model on the same clips and windows.

    window_agreement: share of windows with the same most probable label.
    """

    float_uar: float
    int8_uar: float
    window_agreement: float
    windows: int

    def require(self) -> None:
        """Raise PromotionError, with the figures, where quantisation changed the model."""
        loss = self.float_uar - self.int8_uar
        if loss > LARGEST_LOSS_OF_UAR or self.window_agreement < LEAST_AGREEMENT:
            raise PromotionError(
                f"The int8 model is not promoted: its UAR is {self.int8_uar:.4f} against "
                f"{self.float_uar:.4f} of the float model (at most {LARGEST_LOSS_OF_UAR:.2f} may "
                f"be lost), and both agree on {self.window_agreement:.2%} of {self.windows} "
                f"windows (at least {LEAST_AGREEMENT:.0%} are needed); see docs/quantisation.md."
            )
