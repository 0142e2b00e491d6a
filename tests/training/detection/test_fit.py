"""The detector that a training leaves."""

import hashlib

import numpy as np
import pytest
from miniature import TrainedDetector

from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_detector import SpeechDetector
from undertone_training.features.gate import detector_in

pytestmark = pytest.mark.xdist_group("detector")


def test_the_config_describes_the_network(trained: TrainedDetector) -> None:
    config, network = detector_in(trained.folder)
    assert sorted(path.name for path in trained.folder.iterdir()) == [
        "detector.json", "speech.tflite",
    ]  # fmt: skip
    assert config.model_sha256 == hashlib.sha256(network).hexdigest()
    assert config.mfcc == MfccConfig()
    assert config.corpora == ("cremad", "nemo")
    assert config.training["mixtures"] == 50
    assert 0 < config.training["held_out"]["loss"] < 1
    interpreter = Int8Interpreter(network, runtime="litert")
    assert interpreter.input.shape == (1, config.span, config.mfcc.n_coefficients)
    assert interpreter.output.shape == (1, config.piece, 1)
    assert (interpreter.input.dtype, interpreter.output.dtype) == ("int8", "int8")


def test_its_int8_answers_follow_those_of_the_float_network(trained: TrainedDetector) -> None:
    config, network = detector_in(trained.folder)
    (stored,) = (trained.runs / "speech-detector" / "mixtures").iterdir()
    with np.load(stored) as mixtures:
        frames = mixtures["frames"][:4].astype(np.float64)
    standard = (frames - np.array(config.mean)) / np.array(config.deviation)
    assert np.abs(standard.mean()) < 0.5
    assert 0.5 < standard.std() < 2
    detector = SpeechDetector(config, Int8Interpreter(network, runtime="litert"))
    wanted, found = [], []
    for recording, values in zip(frames, standard, strict=True):
        detector.reset()
        answers = detector.push(recording)
        # the answers to the first frames depend on frames before the recording
        starts = range(config.piece * -(-config.past // config.piece), len(answers), config.piece)
        windows = [values[at - config.past : at + config.piece + config.ahead] for at in starts]
        wanted += list(np.asarray(trained.network(np.stack(windows))).reshape(-1))
        found += list(np.log(answers / (1 - answers))[starts[0] :])
    assert len(wanted) == len(found) > 1000
    assert np.corrcoef(wanted, found)[0, 1] > 0.99
    assert np.abs(np.subtract(wanted, found)).mean() < 0.1 * np.std(wanted)
