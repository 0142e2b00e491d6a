"""The device and the training program see the same windows and give the same scores."""

from pathlib import Path

import numpy as np
import pytest
from miniature import Pipeline

from undertone.audio.files import read_blocks
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier, network_input
from undertone.recognition.pipeline import classify
from undertone.recognition.speech_gate import SpeechGate
from undertone_training.evaluation.inference import through_device
from undertone_training.features.cache import ClipFeatures
from undertone_training.features.gate import gate
from undertone_training.features.windows import windows_of

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_training_and_device_have_the_same_windows_and_scores(
    pipeline: Pipeline, promoted: Path, clips: list[ClipFeatures]
) -> None:
    from undertone_training.evaluation.evaluate import evaluate_run

    manifest = bundle.load(promoted).manifest
    recorder = Recorder(manifest)
    tested = clips[:8]
    for each in tested:
        blocks = read_blocks(each.clip.source.path, 0.1)
        verdict = classify(blocks, recorder)  # type: ignore[arg-type]
        counted = [recorder.of(row) for segment in verdict.segments for row in segment.windows]
        trained = windows_of(each, pipeline.final.info.recipe, manifest.normalization)
        device = network_input(
            np.stack(counted), manifest.window, manifest.normalization, manifest.mfcc
        )
        np.testing.assert_allclose(device, trained, atol=1e-5)
    found = through_device(
        [each.clip for each in tested], Classifier(bundle.load(promoted))
    ).predictions
    evaluated = evaluate_run(pipeline.final, tested)["int8"]
    np.testing.assert_allclose(found.probabilities, evaluated.probabilities, atol=0.02)
    assert (found.predicted == evaluated.predicted).all()


class Recorder:
    """A classifier that keeps the windows that it gets, and finds each by its answer.

    The device also asks for provisional verdicts, whose windows do not count.
    """

    compared = Classifier.compared

    def __init__(self, manifest: bundle.Manifest) -> None:
        self.manifest = manifest
        self.windows: list[np.ndarray] = []

    def gate(self) -> SpeechGate:
        return gate()

    def logits(self, window: np.ndarray, voice: object = None) -> np.ndarray:
        self.windows.append(window)
        return np.eye(len(self.manifest.labels))[0] * len(self.windows)

    def of(self, answer: np.ndarray) -> np.ndarray:
        return self.windows[round((answer[0] - answer[1]) * self.manifest.temperature) - 1]
