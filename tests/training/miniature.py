"""A made-up miniature of the corpora, and where one run of the whole pipeline left its files."""

import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import soxr
from matplotlib.image import imread

from undertone import samples
from undertone.cli import run
from undertone.emotions import EMOTIONS
from undertone_training import recipe as recipes
from undertone_training.cli import undertone_train
from undertone_training.corpora import Clip, scan
from undertone_training.corpora.noise import for_training
from undertone_training.corpora.splits import Split
from undertone_training.export import quantize
from undertone_training.features.cache import ClipFeatures, FeatureCache
from undertone_training.jobs import Jobs
from undertone_training.learning.runs import Run, RunInfo, describe
from undertone_training.report import write as report
from undertone_training.search import space as spaces

ACTORS = (1, 2, 6, 7, 8, 11, 12, 16, 17, 18)
TEST_ACTORS = (21, 22)

RECIPE = """
width = 0.25
convolutions = [[64, 5, 2], [96, 5, 2]]
song = false
[window]
frames = 64
[augmentation]
copies = 1
[regularization]
mixup = 0.0
label_smoothing = 0.0
dropout = 0.1
[schedule]
epochs = 25
batch_size = 8
learning_rate = 0.01
"""

SPACE = """
[space]
regularization.dropout = { low = 0.0, high = 0.5 }
"regularization.time_masks" = { low = 0, high = 4 }
width = { low = 0.25, high = 0.5, step = 0.25 }
song = { choices = [true, false] }
[space.schedule]
learning_rate = { low = 0.001, high = 0.1, log = true }
"""

SHORT = RECIPE.replace("epochs = 25", "epochs = 1")
_WITH_PITCH = f"{SHORT}[mfcc]\npitch = true\n"
FIRST_STAGE = f'corpus = "tess"\n{_WITH_PITCH}'
SHIPPING = (
    'begins_with = "first"\nsteady_noise = "subtracted"\nvalidation_speakers = 0\n'
    "voice_prior_frames = 200.0\n"
    + _WITH_PITCH.replace("dropout = 0.1\n", "dropout = 0.1\nknown_clips = [0, 2]\n")
)
"""What a shipped bundle is made by: a first stage, nobody held out for validation, and a network
that knows voices."""


def train(*args: object) -> int:
    """The exit status of ``undertone-train`` with these arguments."""
    return run(undertone_train, "undertone-train", [str(arg) for arg in args])


@contextmanager
def eager_training() -> Iterator[None]:
    """Trains without a graph: tracing one takes longer than a few epochs of a miniature."""
    import keras

    with pytest.MonkeyPatch.context() as patch:
        eagerly = partialmethod(keras.Model.compile, run_eagerly=True)
        patch.setattr(keras.Model, "compile", eagerly)
        yield


@contextmanager
def conversion_here() -> Iterator[None]:
    """Quantises in this process: another one would import TensorFlow first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "_pool", partial(ThreadPoolExecutor, 1))
        yield


@contextmanager
def without_pictures() -> Iterator[None]:
    """Reports without their nine charts, which take longer than the miniature's evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_draw", lambda *args: [])
        yield


def small(**changes: object) -> recipes.Recipe:
    """``RECIPE`` with another schedule or regularisation."""
    recipe = msgspec.convert({"name": "small", **tomllib.loads(RECIPE)}, recipes.Recipe)
    for part in ("schedule", "regularization"):
        values = {
            key: changes.pop(key) for key in list(changes) if hasattr(getattr(recipe, part), key)
        }
        changed = msgspec.structs.replace(getattr(recipe, part), **values)
        recipe = msgspec.structs.replace(recipe, **{part: changed})
    assert not changes
    return recipe


def info_for(features: Sequence[ClipFeatures], recipe: recipes.Recipe) -> RunInfo:
    """Of a run that trains on these clips and tests on nobody."""
    split = Split("all", "final", tuple(each.clip for each in features), (), ())
    return msgspec.structs.replace(describe(recipe, split, 0), labels=EMOTIONS)


def load_space(folder: Path, text: str) -> spaces.Space:
    """The search space ``text`` for the recipe smoke, as a file in ``folder``."""
    path = folder / "mine.toml"
    path.write_text(text)
    return spaces.load(path, recipes.load("smoke"))


def voice(path: Path, actor: int) -> np.ndarray:
    """The spoken part of a packaged clip in another voice: faster and higher, or the reverse."""
    sound, _ = soundfile.read(path, dtype="float32", start=6_400, stop=44_800)
    return soxr.resample(
        sound, 16_000, round(16_000 * (0.92 + 0.02 * (5 * actor % 9) + 0.001 * actor))
    )


def write(path: Path, sound: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, 16_000)


def write_ravdess(folder: Path, actors: Sequence[int]) -> None:
    """A clip of each emotion of each actor."""
    for actor in actors:
        for code, path in enumerate(samples.clips(), start=1):
            name = f"03-01-{code:02}-01-01-01-{actor:02}.flac"
            write(folder / f"Actor_{actor:02}" / name, voice(path, actor))


def write_tess(folder: Path) -> None:
    words = {"neutral": 0, "happy": 2, "sad": 3, "angry": 4, "fear": 5, "disgust": 6, "ps": 7}
    for number, speaker in enumerate(("OAF", "YAF")):
        for emotion, index in words.items():
            sound = voice(samples.clips()[index], 9 + 5 * number)
            write(folder / f"{speaker}_back_{emotion}.wav", sound)


def write_detector_corpora(folder: Path) -> None:
    """CREMA-D and nEMO, each with a speaker who trains the detector and one who does not, one of
    whose clips is silent; RAVDESS; two kinds of noise.
    """
    emotions = ("neutral", "happiness", "sadness", "anger", "fear")
    for number, speaker in enumerate(("EB0", "TP0")):
        for index, emotion in enumerate(emotions):
            sound = voice(samples.clips()[index], 3 + number)
            write(folder / "nemo" / f"{speaker}_{emotion}_1.flac", sound)
    for number, speaker in enumerate((1001, 1061)):
        for index, emotion in enumerate(("NEU", "HAP", "SAD", "ANG", "FEA")):
            sound = voice(samples.clips()[index], 5 + number)
            write(folder / "cremad" / f"{speaker}_DFA_{emotion}_XX.flac", sound)
    write(folder / "cremad" / "1061_MTI_SAD_XX.flac", np.zeros(32_000))
    write_ravdess(folder / "ravdess", (1,))
    for seed, name in enumerate(("brook_0", "brook_1", "fan_0")):
        write(
            folder / "noise" / f"{name}.flac", np.random.default_rng(seed).normal(0, 0.05, 48_000)
        )


def assert_drawn(path: Path) -> None:
    """The file is a PNG with something on its background."""
    picture = imread(path)
    assert min(picture.shape[:2]) > 100
    assert (picture != picture[0, 0]).any(axis=-1).mean() > 0.01


@dataclass(frozen=True)
class TrainedDetector:
    """What one call of ``fit-detector`` left; ``network``: the float network, for one piece."""

    runs: Path
    printed: str
    network: Any

    @property
    def folder(self) -> Path:
        return self.runs / "speech-detector" / "detector"


@dataclass(frozen=True)
class Pipeline:
    """Where everything is; ``everyone`` contains ``home`` and the clips of the test actors."""

    everyone: Path
    home: Path
    cache: Path
    recipe: Path
    runs: Path
    models: Path

    @property
    def quick(self) -> Path:
        return self.runs / "quick"

    @property
    def final(self) -> Run:
        return Run(self.quick / "final" / "seed0")

    @property
    def fold(self) -> Run:
        return Run(self.quick / "development-1" / "seed0")

    def data(self, folder: Path | None = None) -> tuple[object, ...]:
        return ("--data", folder or self.home, "--cache", self.cache, "--jobs", 1)

    def features(self, clips: Sequence[Clip] | None = None) -> Sequence[ClipFeatures]:
        """Of these clips, or all at home, each with its augmented copy."""
        return FeatureCache(self.cache, Jobs(1)).compute(
            scan(self.home).clips if clips is None else clips,
            recipes.load(self.recipe),
            noise=for_training(self.home),
        )
