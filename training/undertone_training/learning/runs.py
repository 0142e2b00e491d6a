"""A run's folder: what the run was made from, its results, and where each file is.

<runs>/<recipe>/<split>/seed<N>/
    run.json            the recipe, the split's clips, seed, commit, tool versions, machine
    checkpoint-N.keras  the network after N epochs, until the training is finished
    checkpoint-N.json   the state of the random generators then
    best.npz            weights of the best epoch so far, for early stopping
    model.keras         the trained network
    calibration.json    normalisation, temperature, threshold (training actors only)
    history.csv         loss and accuracy of every epoch
    model.tflite        the quantised network, with quantization.json; or
    unquantized.txt     why the network could not be converted
    report/
"""

import csv
import fcntl
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from undertone.diagnostics.machine_state import processor
from undertone.recognition.bundle import Activation, Normalization
from undertone.recognition.comparison import Comparison
from undertone.recognition.quantization import Quantization
from undertone.recognition.speech_gate import GateConfig
from undertone.recognition.voice_distance import VoiceDistance
from undertone.support.strict import Strict
from undertone_training import object_storage
from undertone_training.corpora.clip import Clip
from undertone_training.corpora.splits import PRE_TRAINING, Split
from undertone_training.errors import RunError
from undertone_training.features.gate import packaged_sha256
from undertone_training.lazy import Lazy
from undertone_training.recipe import Recipe

if TYPE_CHECKING:  # metrics imports scikit-learn: not for a process whose memory is measured
    from undertone_training.metrics import Confidence

_T = TypeVar("_T")


class RunInfo(Strict, frozen=True):
    """What a run was made from; clips by their ids, other runs by SHA-256 of their models.

    gate, detector: what cut the segments: its settings, and SHA-256 of the detector's network.
    """

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
    gate: GateConfig
    detector: str
    teachers: tuple[str, ...] = ()
    begun_with: str | None = None


class Calibration(Strict, frozen=True):
    """What was fitted on training actors in addition to the weights, and the training time.

    temperature, threshold, activation, without_verdict: None (the last two: without effect) while
        there are no predictions for held-out training speakers to fit them on (see
        ``calibration``).
    comparison, voice_distance: see ``undertone.recognition.bundle.Manifest``.
    """

    normalization: Normalization
    temperature: float | None
    threshold: float | None
    fit_s: float
    activation: Activation = Activation()
    without_verdict: tuple[str, ...] = ()
    comparison: Comparison | None = None
    voice_distance: VoiceDistance | None = None

    @property
    def confidence(self) -> tuple[float, float]:
        """Temperature and threshold; while they are None, 1 and 0, which have no effect."""
        temperature, threshold = self.temperature, self.threshold
        return 1.0 if temperature is None else temperature, 0.0 if threshold is None else threshold

    def with_confidence(self, confidence: "Confidence") -> "Calibration":
        """The same with other values for what follows from predictions."""
        return msgspec.structs.replace(
            self,
            temperature=confidence.temperature,
            threshold=confidence.threshold,
            activation=confidence.activation,
            without_verdict=confidence.without_verdict,
        )


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        """Name the files without accessing any."""
        self.folder = folder
        self.model = folder / "model.keras"
        self.history = folder / "history.csv"
        self.tflite = folder / "model.tflite"
        self.unquantized = folder / "unquantized.txt"
        self.calibration_file = folder / "calibration.json"
        self.quantization_file = folder / "quantization.json"
        self.best = folder / "best.npz"
        self.report = folder / "report"

    def __setstate__(self, state: dict[str, Path]) -> None:
        """Bring the files of a run that another process has sent."""
        self.__dict__.update(state)
        object_storage.bring(self.folder)

    @property
    def finished(self) -> bool:
        """Whether ``fit`` has finished here."""
        return self.calibration_file.exists()

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
        """Epochs that an interrupted training has completed; 0 before the first checkpoint."""
        return max((int(path.stem.partition("-")[2]) for path in self.checkpoints()), default=0)

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the trained network's file."""
        return sha256(self.model.read_bytes()).hexdigest()

    @property
    def tflite_sha256(self) -> str:
        """SHA-256 of the quantised network's file; empty without one."""
        return sha256(self.tflite.read_bytes()).hexdigest() if self.tflite.exists() else ""

    def checkpoint(self, epochs: int) -> Path:
        """The file of the network after this many epochs."""
        return self.folder / f"checkpoint-{epochs}.keras"

    def checkpoints(self) -> list[Path]:
        """Those that exist: one, or two if the process was killed between writing and deleting."""
        return list(self.folder.glob("checkpoint-*[0-9].keras"))

    def checkpoint_files(self) -> list[Path]:
        """Those and the random states beside them."""
        return list(self.folder.glob("checkpoint-*[0-9].*"))

    def require_same(self, info: RunInfo) -> None:
        """Raise RunError if the folder has a training with another recipe or on other clips."""
        if not (self.folder / "run.json").exists():
            return
        before = self.info
        if before.recipe.without_vocal_tracts != info.recipe.without_vocal_tracts:
            raise RunError(
                f"{self.folder} contains a training by another recipe called {info.recipe.name}: "
                "remove that folder, rename the recipe, or choose another place with --runs."
            )
        if (before.train, before.validation) != (info.train, info.validation):
            raise RunError(
                f"{self.folder} contains a training on other clips: remove that folder, or choose "
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

    @contextmanager
    def alone(self, info: RunInfo, wait: Callable[[], None]) -> Iterator[None]:
        """Keep other processes from training here; ``wait`` is called again and again meanwhile.

        In object storage there are no locks; there, what has changed is put into the bucket after.
        """
        object_storage.bring(self.folder)
        path = self.folder / "run.json"
        if not path.exists():
            self.save(info)
        with path.open("r+b") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    wait()
            try:
                yield
            finally:
                object_storage.push(self.folder)

    @property
    def latest_epoch(self) -> tuple[int, dict[str, float]]:
        """Number and metrics of the last epoch so far, while another process trains; or 0."""
        *_, last = [{"epoch": -1.0}, *self._history()]
        return int(last.pop("epoch")) + 1, last

    def epochs(self) -> dict[str, list[float]]:
        """Loss and accuracy of every epoch, by the name of the metric."""
        rows = self._history()
        names = [name for name in rows[0] if name != "epoch"] if rows else []
        return {name: [row[name] for row in rows] for name in names}

    def _history(self) -> list[dict[str, float]]:
        """The metrics of each epoch that is written; those of a missing validation are left out."""
        if not self.history.exists():
            return []
        whole, _, _ = self.history.read_text().rpartition("\n")
        return [  # Keras writes "NA" for what is missing
            {name: float(value) for name, value in row.items() if value != "NA"}
            for row in csv.DictReader(whole.splitlines())
        ]

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
    initial: Run | None = None,
) -> RunInfo:
    """What a run of ``recipe`` on ``split`` will be made from."""
    emotions = {clip.emotion for clip in split.train}
    if split.protocol == PRE_TRAINING:
        emotions = set(recipe.labels)  # the labels of the recipes that begin with it
    return RunInfo(
        recipe=recipe,
        seed=seed,
        protocol=split.protocol,
        split=split.name,
        labels=tuple(emotion for emotion in recipe.labels if emotion in emotions),
        corpora=tuple(
            sorted(
                {
                    *(clip.corpus for clip in split.train),
                    *recipe.distillation.corpora,
                    *(initial.info.corpora if initial else ()),
                    *(corpus for teacher in teachers for corpus in teacher.info.corpora),
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
        gate=recipe.gate,
        detector=packaged_sha256(),
        teachers=tuple(teacher.model_sha256 for teacher in teachers),
        begun_with=initial.model_sha256 if initial else None,
    )


def find_runs(folder: Path) -> list[Run]:
    """The finished runs in and below ``folder``, ordered by path; raises RunError for none."""
    object_storage.bring(folder)
    runs = [Run(path.parent) for path in sorted(folder.rglob("calibration.json"))]
    if not runs:
        raise RunError(f"There is no finished run in {folder}: run `undertone-train fit` first.")
    return runs


def clips_of(clips: Mapping[str, Clip], ids: Sequence[str]) -> Sequence[Clip]:
    """The clips with these ids, in their order; raises RunError if one is not available."""
    missing = [clip_id for clip_id in ids if clip_id not in clips]
    if missing:
        raise RunError(
            f"{len(missing)} clips of the run are not in the data folder (the first is "
            f"{missing[0]}): name the folder that it was trained from with --data."
        )
    return Lazy(lambda number: clips[ids[number]], range(len(ids)))


def commit() -> str:
    """The commit of the source, with "+changes" if the tree differs from it; or "unknown"."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--exclude=*"]
    command += ["--abbrev=12", "--dirty=+changes"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def tool_versions() -> dict[str, str]:
    """Versions of everything that affects a model."""
    names = ("undertone", "tensorflow", "keras", "numpy", "scipy", "python_speech_features",
             "soxr", "audiomentations")  # fmt: skip
    versions: dict[str, Any] = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def machine() -> str:
    """The processor and its number of cores, which give a time its meaning."""
    return f"{processor()}, {os.cpu_count()} cores"
