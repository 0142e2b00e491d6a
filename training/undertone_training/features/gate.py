"""The gate that cuts the training segments: the device's own, with the packaged detector."""

import hashlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

import msgspec

from undertone.audio.block import Block, Samples
from undertone.recognition.bundle import DETECTOR_FILE
from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.speech_detector import DetectorConfig, SpeechDetector
from undertone.recognition.speech_gate import GateConfig, Segment, SpeechGate, segments
from undertone_training.errors import RunError

CONFIG_FILE = "detector.json"


def packaged() -> Path:
    """The folder of the detector that every bundle gets."""
    return Path(str(resources.files("undertone_training"))) / "detector"


@lru_cache(maxsize=4)
def detector_in(folder: Path) -> tuple[DetectorConfig, bytes]:
    """A trained detector and its network; raises RunError if it can't be read."""
    try:
        config = msgspec.json.decode((folder / CONFIG_FILE).read_bytes(), type=DetectorConfig)
        network = (folder / DETECTOR_FILE).read_bytes()
        if hashlib.sha256(network).hexdigest() != config.model_sha256:
            raise ValueError(f"{DETECTOR_FILE} is another than {CONFIG_FILE} describes")
        return config, network
    except (OSError, ValueError) as error:  # msgspec's DecodeError is a ValueError
        raise RunError(
            f"The speech detector in {folder} can't be read ({error}): install the package again, "
            "or run `undertone-train fit-detector`."
        ) from error


def packaged_sha256() -> str:
    """SHA-256 of the packaged detector's network."""
    return detector_in(packaged())[0].model_sha256


def gate(folder: Path | None = None, config: GateConfig | None = None) -> SpeechGate:
    """A gate as on the device; ``folder`` None: with the packaged detector."""
    detector = _detector(folder or packaged())
    return SpeechGate(detector.config.mfcc, detector, config)


def _detector(folder: Path) -> SpeechDetector:
    config, network = detector_in(folder)
    # LiteRT, as for the models: tflite-runtime fails in a process with TensorFlow
    return SpeechDetector(config, Int8Interpreter(network, runtime="litert"))


@lru_cache(maxsize=1)
def _packaged_detector() -> SpeechDetector:
    return _detector(packaged())


def require_fitting(mfcc: MfccConfig) -> None:
    """Raise RunError if the packaged detector was trained with other features than ``mfcc``."""
    if detector_in(packaged())[0].mfcc != mfcc.without_pitch:
        raise RunError(
            "The speech detector was trained with other features than those of [mfcc] in the "
            "recipe: set nothing but pitch there, or train a detector with these features."
        )


def speech_of(
    samples: Samples, config: GateConfig | None = None, mfcc: MfccConfig | None = None
) -> list[Segment]:
    """The segments that the device's gate finds in one recording, whatever came before it.

    mfcc: of their frames, see ``require_fitting``; None for those of the detector.
    """
    detector = _packaged_detector()
    gate = SpeechGate(mfcc or detector.config.mfcc, detector, config)
    return list(segments([Block(samples, 0.0)], gate))
