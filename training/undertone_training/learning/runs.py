"""A run's folder: what went in, what came out, and where each file stands.

<runs>/<recipe>/<split>/seed<N>/
    run.json            the recipe, the split's clips, seed, commit, tool versions, machine
    checkpoint-N.keras  the network after N epochs, until the training is finished
    best.npz            weights of the best epoch until then, for early stopping
    model.keras         the trained network
    calibration.json    normalisation, temperature, threshold (training actors only)
    history.csv         loss and accuracy of every epoch
    model.tflite        the quantised network, with quantization.json; or
    unquantized.txt     why the converter could not make one
    report/
"""

import csv
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from undertone.diagnostics.machine_state import processor
from undertone.emotions import EMOTIONS
from undertone.recognition.bundle import Normalization, Quantization
from undertone_training.corpora.splits import PRE_TRAINING, Split
from undertone_training.errors import RunError
from undertone_training.recipe import Recipe

_T = TypeVar("_T")


class RunInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run was made from; clips by their ids, other runs by SHA-256 of their models."""

    recipe: Recipe
    seed: int
    protocol: str
    split: str
    labels: tuple[str, ...]
    corpora: tuple[str, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    train_speakers: tuple[str, ...]
    validation_speakers: tuple[str, ...]
    commit: str
    tools: dict[str, str]
    machine: str
    teachers: tuple[str, ...] = ()
    begun_with: str | None = None


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was fitted on training actors beside the weights; seconds the training took.

    temperature, threshold: None until somebody is found who can tell (see ``folds``).
    """

    normalization: Normalization
    temperature: float | None
    threshold: float | None
    fit_s: float

    @property
    def confidence(self) -> tuple[float, float]:
        """Temperature and threshold; such as change and withhold nothing while they are open."""
        temperature, threshold = self.temperature, self.threshold
        return 1.0 if temperature is None else temperature, 0.0 if threshold is None else threshold


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        """Name the files; touches nothing."""
        self.folder = folder
        self.model = folder / "model.keras"
        self.history = folder / "history.csv"
        self.tflite = folder / "model.tflite"
        self.unquantized = folder / "unquantized.txt"
        self.best = folder / "best.npz"
        self.report = folder / "report"

    @property
    def finished(self) -> bool:
        """Whether ``fit`` came to its end here."""
        return (self.folder / "calibration.json").exists()

    @property
    def info(self) -> RunInfo:
        """What the run was made from; raises RunError."""
        return self._load("run.json", RunInfo)

    @property
    def calibration(self) -> Calibration:
        """Normalisation, temperature and threshold; raises RunError before ``fit`` is done."""
        return self._load("calibration.json", Calibration)

    @property
    def quantization(self) -> Quantization:
        """Scales and zero points of model.tflite; raises RunError before ``quantize``."""
        return self._load("quantization.json", Quantization)

    @property
    def epochs_done(self) -> int:
        """Epochs behind a training that was killed and will go on; 0 before the first."""
        return max((int(path.stem.partition("-")[2]) for path in self.checkpoints()), default=0)

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the trained network's file."""
        return sha256(self.model.read_bytes()).hexdigest()

    def checkpoint(self, epochs: int) -> Path:
        """Where the network after so many epochs stands."""
        return self.folder / f"checkpoint-{epochs}.keras"

    def checkpoints(self) -> list[Path]:
        """Those that are there: one, or two where a kill fell between them."""
        return list(self.folder.glob("checkpoint-*[0-9].keras"))

    def require_same(self, info: RunInfo) -> None:
        """Raise RunError where the folder holds a training by another recipe or on other clips."""
        if not (self.folder / "run.json").exists():
            return
        before = self.info
        if before.recipe.learnt != info.recipe.learnt:
            raise RunError(
                f"{self.folder} holds a training by another recipe called {info.recipe.name}: "
                "remove that folder, rename the recipe, or choose another place with --runs."
            )
        if (before.train, before.validation) != (info.train, info.validation):
            raise RunError(
                f"{self.folder} holds a training on other clips: remove that folder, or choose "
                "another place with --runs."
            )

    def save(self, value: RunInfo | Calibration | Quantization) -> None:
        """Write a value to the file of its kind; raises RunError."""
        name = {
            RunInfo: "run.json",
            Calibration: "calibration.json",
            Quantization: "quantization.json",
        }[type(value)]
        content = msgspec.json.format(msgspec.json.encode(value), indent=2)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content + b"\n")
        except OSError as error:
            raise RunError(
                f"{self.folder / name} can't be written ({error.strerror}): choose another place "
                "with --runs, or make room."
            ) from error

    def epochs(self) -> dict[str, list[float]]:
        """Loss and accuracy of every epoch, by the name of the figure.

        Keras writes "NA" for what a training without validation does not have: left out.
        """
        with self.history.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {
            name: [float(row[name]) for row in rows]
            for name in (rows[0] if rows else ())
            if name != "epoch" and rows[0][name] != "NA"
        }

    def _load(self, name: str, kind: type[_T]) -> _T:
        path = self.folder / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            step = {"quantization.json": "quantize"}.get(name, "fit")
            raise RunError(
                f"{self.folder} has no {name}: run `undertone-train {step}` first."
            ) from None
        except (OSError, msgspec.DecodeError) as error:
            raise RunError(f"{path} can't be read: {error}.") from error


def describe(
    recipe: Recipe,
    split: Split,
    seed: int,
    teachers: Sequence[Run] = (),
    beginning: Run | None = None,
) -> RunInfo:
    """What a run of ``recipe`` on ``split`` will have been made from."""
    emotions = {clip.emotion for clip in split.train}
    if split.protocol == PRE_TRAINING:
        emotions = set(EMOTIONS)  # the labels of who begins with it
    return RunInfo(
        recipe=recipe,
        seed=seed,
        protocol=split.protocol,
        split=split.name,
        labels=tuple(emotion for emotion in EMOTIONS if emotion in emotions),
        corpora=tuple(
            sorted(
                {
                    *(clip.corpus for clip in split.train),
                    *recipe.distillation.corpora,
                    *(beginning.info.corpora if beginning else ()),
                }
            )
        ),
        train=tuple(clip.clip_id for clip in split.train),
        validation=tuple(clip.clip_id for clip in split.validation),
        test=tuple(clip.clip_id for clip in split.test),
        train_speakers=tuple(sorted({clip.speaker for clip in split.train})),
        validation_speakers=tuple(sorted({clip.speaker for clip in split.validation})),
        commit=commit(),
        tools=tool_versions(),
        machine=machine(),
        teachers=tuple(teacher.model_sha256 for teacher in teachers),
        begun_with=beginning.model_sha256 if beginning else None,
    )


def find_runs(folder: Path) -> list[Run]:
    """The finished runs in ``folder`` and below, in order of their paths; raises RunError."""
    runs = [Run(path.parent) for path in sorted(folder.rglob("calibration.json"))]
    if not runs:
        raise RunError(f"There is no finished run in {folder}: run `undertone-train fit` first.")
    return runs


def commit() -> str:
    """The source's commit, with "+changes" where the tree differs from it; or "unknown"."""
    try:
        here = Path(__file__).parent
        return "".join(_git(here))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path) -> Iterator[str]:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    yield git("rev-parse", "--short=12", "HEAD")
    if git("status", "--porcelain", "--untracked-files=no"):
        yield "+changes"


def tool_versions() -> dict[str, str]:
    """Versions of everything that shapes a model."""
    names = ("undertone", "tensorflow", "keras", "numpy", "scipy", "python_speech_features",
             "pymicro-vad", "soxr", "audiomentations")  # fmt: skip
    versions: dict[str, Any] = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def machine() -> str:
    """The processor and how many cores, for a stated time to mean something."""
    return f"{processor()}, {os.cpu_count()} cores"
