"""The bundle: everything the device must know about a model, checked before it is used.

A bundle is a folder with ``model.tflite``, ``speech.tflite`` (the speech detector) and
``manifest.json`` (and a model card and a report for people).  Nothing of it is trusted: every
field of the manifest is validated, the bytes of both models must have the manifest's SHA-256, and
the loaded models' shapes, labels and quantisation must be those that the manifest states.
"""

import hashlib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from undertone.errors import BundleError
from undertone.paths import DEFAULT_BUNDLE as DEFAULT_BUNDLE
from undertone.recognition.bandwidth import NEEDED_SHARE
from undertone.recognition.comparison import Comparison
from undertone.recognition.fields import Coefficient, Name, Positive, Sha256
from undertone.recognition.interpreter import Int8Interpreter, RuntimeName, TensorInfo, try_out
from undertone.recognition.mfcc import MfccConfig
from undertone.recognition.quantization import Quantization
from undertone.recognition.speech_detector import DetectorConfig
from undertone.recognition.speech_gate import GateConfig
from undertone.recognition.voice_distance import VoiceDistance
from undertone.recognition.windows import WindowConfig
from undertone.support.regular_file import open_regular
from undertone.support.strict import Strict
from undertone.support.suggestion import suggestion

SCHEMA_VERSION: Final = 2
MODEL_FILE = "model.tflite"
DETECTOR_FILE = "speech.tflite"
MANIFEST_FILE = "manifest.json"

_LARGEST_MODEL_BYTES = 16 * 2**20
_LARGEST_MANIFEST_BYTES = 2**20

_MOST_VALUES = 2**20
"""Energies in the mel filters of one window with all its vocal tracts, 8 MB; a shipped model has
18,432."""

_MOST_VALUES_PER_S = 2**22
"""The same of all windows that begin within a second."""

Probability = Annotated[float, Meta(ge=0, le=1)]
Label = Annotated[str, Meta(pattern=r"^\w[\w .'/+-]{0,49}\Z")]
Text = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,200}\Z")]
"""One line without control characters."""
Texts = Annotated[tuple[Text, ...], Meta(max_length=10_000)]


class Normalization(Strict, frozen=True):
    """What is done to a window before the network: noise, level, then mean and deviation.

    level: ``energy-mean`` subtracts from coefficient 0 its mean over the window, which removes
        the microphone's gain; ``none`` leaves it.
    mean, deviation: per coefficient, over the training windows.
    steady_noise: ``subtracted`` as in ``spectral_subtraction``, or ``kept``.
    voice_prior_frames: how many frames of a voice count as much as what is known of all voices
        (see ``voice``); 0 for a network that was trained without knowledge of the voice.
    """

    level: Literal["energy-mean", "none"]
    mean: tuple[Coefficient, ...]
    deviation: tuple[Positive, ...]
    steady_noise: Literal["kept", "subtracted"] = "kept"
    voice_prior_frames: Annotated[float, Meta(ge=0, le=100_000)] = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError for a voice without its level."""
        if self.voice_prior_frames and self.level != "energy-mean":
            raise ValueError("normalization.voice_prior_frames needs the level energy-mean")


class Activation(Strict, frozen=True):
    """From the probabilities of the labels to activation, by logistic regression.

    The logarithm of the ratio of those of ``HIGH_ACTIVATION`` to those of ``LOW_ACTIVATION``, times
    ``scale``, plus ``offset``, is that of activation's odds.
    """

    scale: Positive = 1.0
    offset: Coefficient = 0.0


class Training(Strict, frozen=True):
    """How the weights were made."""

    corpora: Texts
    train_speakers: Texts
    validation_speakers: Texts
    recipe: dict[str, Any]
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    licence: Text


class Manifest(Strict, frozen=True, kw_only=True):
    """The contract between training and device; one JSON object.

    labels: in the order of the model's outputs, which are logits.
    temperature: logits are divided by it before the softmax.
    confidence_threshold: below it the verdict is ``uncertain``.
    without_verdict: labels that are ``uncertain`` whatever the confidence: one of the corpora has
        no clips of them, and a network that did not hear it finds them there all the same.
    activation: how activation follows from the probabilities.
    comparison: with what is usual for a voice; None for a network that knows no voices.
    voice_distance: what tells another voice from the known one; None if nothing does.
    needed_share: share of the MFCC's highest frequency above which a segment needs sound, or else
        is ``uncertain``.
    gate, detector: what cut the training segments, and cuts those of the device.
    figures: the report's figures, each with its protocol.
    """

    schema_version: Literal[2]
    name: Name
    version: Text
    model_sha256: Sha256
    labels: Annotated[tuple[Label, ...], Meta(min_length=2, max_length=100)]
    mfcc: MfccConfig
    window: WindowConfig
    normalization: Normalization
    quantization: Quantization
    temperature: Positive
    confidence_threshold: Probability
    without_verdict: tuple[Label, ...] = ()
    activation: Activation = Activation()
    comparison: Comparison | None = None
    voice_distance: VoiceDistance | None = None
    needed_share: Probability = NEEDED_SHARE
    gate: GateConfig
    detector: DetectorConfig
    training: Training
    figures: dict[str, Any]
    tools: dict[Text, Text]
    commit: Text

    def __post_init__(self) -> None:
        """Raises ValueError if fields contradict each other."""
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        if not set(self.without_verdict) < set(self.labels):
            raise ValueError("without_verdict must hold some of the labels, and not all")
        n = self.mfcc.width
        if len(self.normalization.mean) != n or len(self.normalization.deviation) != n:
            raise ValueError(f"normalization must have {n} means and deviations")
        if self.comparison and (
            len(self.comparison.usual) != 2 * n - 1
            or [len(each) for each in self.comparison.weights] != [2 * n - 1] * len(self.labels)
            or len(self.comparison.offsets) != len(self.labels)
        ):
            raise ValueError(
                f"comparison must have {2 * n - 1} usual values, as many weights for each label, "
                "and an offset for each label"
            )
        directions = self.voice_distance.directions if self.voice_distance else ()
        if any(len(each) != n - 1 for each in directions):
            raise ValueError(f"voice_distance.directions must have {n - 1} numbers each")
        if self.detector.mfcc != self.mfcc.without_pitch:
            raise ValueError("detector.mfcc must be the same as mfcc, without pitch")
        values = len(self.window.vocal_tracts) * self.window.frames * self.mfcc.n_filters
        windows_per_s = self.mfcc.sample_rate_hz / self.mfcc.hop_length / self.window.hop
        if values > _MOST_VALUES or values * windows_per_s > _MOST_VALUES_PER_S:
            raise ValueError(
                "window and mfcc must make at most "
                f"{_MOST_VALUES:,} energies a window (frames x filters x vocal tracts) and "
                f"{_MOST_VALUES_PER_S:,} a second"
            )


@dataclass(frozen=True)
class Bundle:
    """A validated manifest and the bytes of both models, whose SHA-256 match."""

    folder: Path
    manifest: Manifest
    model: bytes
    detector: bytes

    def open(
        self,
        runtime: RuntimeName = "auto",
        threads: int = 1,
        reference_kernels: bool = False,
    ) -> tuple[Int8Interpreter, Int8Interpreter]:
        """The model and the detector's, ready to invoke.

        Raises BundleError if one differs from the manifest.
        """
        models = (self.model, self.detector)
        try_out(models, runtime, threads, reference_kernels)
        model, detector = (
            Int8Interpreter(one, runtime, threads, reference_kernels) for one in models
        )
        manifest = self.manifest
        window = (1, manifest.window.frames, manifest.mfcc.width)
        _match("model", model, window, (1, len(manifest.labels)), manifest.quantization)
        config = manifest.detector
        span = (1, config.span, config.mfcc.n_coefficients)
        _match("detector", detector, span, (1, config.piece, 1), config.quantization)
        return model, detector


def load(name_or_path: str | Path = DEFAULT_BUNDLE) -> Bundle:
    """Read and check an installed bundle by its name, or the bundle in a folder.

    Raises BundleError with one sentence that says what is wrong.
    """
    folder = _find(name_or_path)
    manifest = parse_manifest(_read(folder / MANIFEST_FILE, _LARGEST_MANIFEST_BYTES), folder)
    return Bundle(
        folder,
        manifest,
        _read_model(folder / MODEL_FILE, manifest.model_sha256),
        _read_model(folder / DETECTOR_FILE, manifest.detector.model_sha256),
    )


def installed_bundles() -> dict[str, Path]:
    """The folders of the installed bundles, by name."""
    root = Path(str(resources.files("undertone_models")))
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{MANIFEST_FILE}"))}


def parse_manifest(content: bytes, folder: Path) -> Manifest:
    """Validate a manifest's JSON field by field; errors name the key."""
    try:
        version = msgspec.json.decode(content, type=_SchemaVersion).schema_version
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"The bundle in {folder} has schema version {version}, this program reads "
                f"{SCHEMA_VERSION}: install a bundle and a program of the same version."
            )
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"The manifest in {folder} is not valid: {error}. Install the bundle again."
        ) from error


def manifest_json(manifest: Manifest) -> bytes:
    """The manifest as indented JSON, ready to be stored."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


class _SchemaVersion(msgspec.Struct):
    schema_version: int


def _find(name_or_path: str | Path) -> Path:
    installed = installed_bundles()
    if str(name_or_path) in installed:
        return installed[str(name_or_path)]
    folder = Path(name_or_path)
    if os.path.isfile(folder / MANIFEST_FILE):  # noqa: PTH113  also False for an impossible name
        return folder
    if os.path.isdir(folder):  # noqa: PTH112
        raise BundleError(
            f"{folder} is not a bundle, because it has no {MANIFEST_FILE}: name the folder that "
            "`undertone-train promote` made, or an installed bundle."
        )
    known = f"installed are: {', '.join(installed) or 'none'}."
    near = suggestion(str(name_or_path), installed, known)
    raise BundleError(f"There is no bundle called {name_or_path}: {near}")


def _read_model(path: Path, sha256: str) -> bytes:
    model = _read(path, _LARGEST_MODEL_BYTES)
    if hashlib.sha256(model).hexdigest() != sha256:
        raise BundleError(
            f"{path} is not the model that its manifest describes (its SHA-256 differs): it is "
            "damaged or was replaced; install the bundle again."
        )
    return model


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BundleError(
            f"{path} can't be read ({error.strerror}): install the bundle again, or fix its "
            "permissions."
        ) from error
    if len(content) > limit:
        raise BundleError(
            f"{path} is larger than {limit // 2**20} MiB, the limit for this file: install "
            "the bundle again."
        )
    return content


def _match(
    name: str,
    interpreter: Int8Interpreter,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    wanted: Quantization,
) -> None:
    sides = (
        ("input", interpreter.input, input_shape, wanted.input_scale, wanted.input_zero_point),
        ("output", interpreter.output, output_shape, wanted.output_scale, wanted.output_zero_point),
    )
    for side, tensor, shape, scale, zero_point in sides:
        _match_tensor(f"{name}'s {side}", tensor, shape, scale, zero_point)


def _match_tensor(
    what: str, tensor: TensorInfo, shape: tuple[int, ...], scale: float, zero_point: int
) -> None:
    if tensor.dtype != "int8":
        raise BundleError(f"The {what} is {tensor.dtype}, not int8: quantise it fully.")
    if tensor.shape != shape:
        raise BundleError(
            f"The {what} has the shape {tensor.shape}, its manifest says {shape}: build the "
            "bundle again."
        )
    if abs(tensor.scale - scale) > 1e-6 * scale or tensor.zero_point != zero_point:
        raise BundleError(
            f"The {what} quantisation is not what its manifest says: build the bundle again."
        )
