"""The road from recordings to a bundle, really gone once, on a made-up miniature RAVDESS."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import soundfile
import soxr

from undertone import cli as device_cli
from undertone import samples
from undertone.audio.files import read_blocks
from undertone.cli import run
from undertone.emotions import EMOTIONS
from undertone.errors import ConfigError
from undertone.recognition import bundle
from undertone.recognition.classifier import Classifier, dequantize, quantize
from undertone.recognition.classifier import heard as given_to_network
from undertone.recognition.interpreter import Int8Interpreter
from undertone.recognition.pipeline import classify
from undertone_training import recipe as recipes
from undertone_training.cli import COMMANDS, undertone_train
from undertone_training.corpora import Clip, scan
from undertone_training.corpora.noise import for_training
from undertone_training.corpora.splits import Split, splits
from undertone_training.errors import RunError, SplitError
from undertone_training.evaluation.false_alarms import FILE, NoiseReport, Unspoken
from undertone_training.evaluation.inference import through_device
from undertone_training.evaluation.results import Cost, Outcome, Pooled, PooledFigures, same_folds
from undertone_training.evaluation.test_clips import require_unheard, shortfall
from undertone_training.export.quantize import convert
from undertone_training.features.cache import ClipFeatures, prepare
from undertone_training.learning.calibration import calibrate, close
from undertone_training.learning.dataset import (
    TrainingBatches,
    fit_normalization,
    variants_of,
    windows_of,
)
from undertone_training.learning.distillation import classes_of, lesson_of
from undertone_training.learning.fit import fit, predict
from undertone_training.learning.runs import Calibration, Run, RunInfo, describe
from undertone_training.metrics import Spread
from undertone_training.networks import build, keras_logits, multiply_accumulates

# The road is gone once, and TensorFlow is imported into one worker only.
pytestmark = pytest.mark.xdist_group("tensorflow")

ACTORS = (1, 2, 6, 7, 8, 11, 12, 16, 17, 18)
STRANGERS = (21, 22)

RECIPE = """
width = 0.25
song = false
[window]
frames = 64
[mfcc]
n_coefficients = 13
n_filters = 26
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


def train(*args: object) -> int:
    return run(undertone_train, "undertone-train", [str(arg) for arg in args])


@dataclass(frozen=True)
class Road:
    """Where everything is; ``everyone`` holds ``home`` and the clips of the test actors."""

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

    def features(self, clips: Sequence[Clip]) -> list[ClipFeatures]:
        recipe = recipes.load(self.recipe)
        return prepare(
            clips, recipe.mfcc, recipe.augmentation, for_training(self.home), self.cache, jobs=1
        )


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    folder = tmp_path_factory.mktemp("road")
    everyone = folder / "corpora"
    made = Road(
        everyone, everyone / "home", folder / "cache", folder / "quick.toml", folder / "runs",
        folder / "models",
    )  # fmt: skip
    write_ravdess(made.home / "ravdess", ACTORS)
    write_ravdess(everyone / "ravdess", STRANGERS)
    write_tess(everyone / "tess")
    for seed, name in enumerate(("rain", "river")):  # one to train with, one to test in
        noise = np.random.default_rng(seed).normal(0, 0.05, 48_000)
        write(made.home / "noise" / f"{name}.flac", noise)
    made.recipe.write_text(RECIPE)
    assert train("prepare", "--recipe", made.recipe, "--corpus", "ravdess", *made.data()) == 0
    trained = ("fit", "--recipe", made.recipe, "--runs", made.runs, *made.data())
    assert train(*trained, "--protocol", "final") == 0
    assert train(*trained, "--fold", 1) == 0
    assert train("quantize", made.runs, *made.data()) == 0
    assert train("evaluate", made.runs, *made.data()) == 0
    return made


@pytest.fixture(scope="session")
def promoted(road: Road) -> Path:
    """The run's bundle, with the figures of the protocols live and noise on its card."""
    assert train("evaluate", road.quick, "--protocol", "live", *road.data()) == 0
    sound = Unspoken("x", "made sounds", False, 1200.0, 2, 1)
    sha256 = hashlib.sha256(road.final.tflite.read_bytes()).hexdigest()
    NoiseReport(sha256, (-20.0,), (sound,)).save(road.final.report / FILE)
    status = train(
        "promote", road.final.folder, "--evidence", road.quick, "--name", "quick",
        "--to", road.models, *road.data(),
    )  # fmt: skip
    assert status == 0
    return road.models / "quick"


@pytest.fixture(scope="session")
def clips(road: Road) -> list[ClipFeatures]:
    """Every training actor's clip as the gate cuts it, with its augmented copy."""
    return road.features(scan(road.home).clips)


# The steps


def test_a_run_leaves_all_that_it_was_made_from(road: Road) -> None:
    info = road.fold.info
    assert info.protocol == "speaker-independent"
    assert info.labels == EMOTIONS
    assert {name[-2:] for name in info.test} == {"01", "02"}
    assert not {"01", "02"} & {*info.train_speakers, *info.validation_speakers}
    assert len(road.fold.epochs()["loss"]) == info.recipe.schedule.epochs
    assert not road.fold.checkpoints()


def test_a_finished_run_is_left_as_it_is(road: Road, capsys: pytest.CaptureFixture[str]) -> None:
    before = road.fold.model.stat().st_mtime_ns
    status = train("fit", "--recipe", road.recipe, "--runs", road.runs, "--fold", 1, *road.data())
    assert status == 0
    assert "finished already" in capsys.readouterr().out
    assert road.fold.model.stat().st_mtime_ns == before


def test_a_quantised_model_is_int8_from_end_to_end(road: Road) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=road.final.tflite.read_bytes())
    interpreter.allocate_tensors()
    dtypes = {np.dtype(each["dtype"]).name for each in interpreter.get_tensor_details()}
    assert dtypes <= {"int8", "int32"}  # int32: biases and shapes
    (given,), (got,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], tuple(given["shape"])) == (np.int8, (1, 64, 13))
    assert (got["dtype"], tuple(got["shape"])) == (np.int8, (1, 8))


@pytest.mark.parametrize(
    ("network", "pooling"),
    [
        ("compact", "average-max"),
        ("compact", "statistics"),
        ("compact", "attention"),
        ("spectral", "average-max"),
    ],
)
def test_every_network_converts_to_int8_that_says_the_same(network: str, pooling: str) -> None:
    recipe = msgspec.structs.replace(
        small(), network=network, pooling=pooling, width=1.0, convolutions=((16, 3, 2), (16, 3, 1))
    )
    keras.utils.set_random_seed(0)
    model = build(recipe, 8)
    windows = np.random.default_rng(0).normal(size=(60, 64, 13)).astype(np.float32)
    content = convert(model, windows)
    int8 = Int8Interpreter(content, runtime="litert")
    assert (int8.input.dtype, int8.output.shape) == ("int8", (1, 8))
    said = [
        dequantize(
            int8.invoke(quantize(each[np.newaxis], int8.input.scale, int8.input.zero_point))[0],
            int8.output.scale,
            int8.output.zero_point,
        )
        for each in windows
    ]
    wanted = np.asarray(model(windows))
    assert np.corrcoef(np.ravel(said), wanted.ravel())[0, 1] > 0.999
    assert multiply_accumulates(model) > 10_000
    assert b"conv1d" not in content  # names are for people, and people do not read the file


def test_evaluate_writes_what_it_says(road: Road) -> None:
    pooled = Pooled.load(road.quick / "report" / "speaker-independent.json")
    assert pooled.protocol == "speaker-independent (1 of 4 folds)"
    assert (pooled.seeds, pooled.splits) == ((0,), ("development-1",))
    assert list(pooled.forms) == ["float", "int8"]
    assert pooled.forms["int8"].uar.deviation is None
    assert pooled.cost.model_bytes == road.fold.tflite.stat().st_size
    for folder in (road.fold.report / "test", road.quick / "report/speaker-independent/seed0"):
        content = json.loads((folder / "figures.json").read_text())
        assert content["protocol"].startswith("speaker-independent")
        assert content["speakers"] == ["01", "02"]
        assert content["forms"]["int8"]["uar"] == pooled.forms["int8"].uar.mean
        assert (folder / "confusion-int8.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "embedding.png").read_bytes().startswith(b"\x89PNG")
        parts = (folder / "breakdown.csv").read_text()
        assert re.findall("^int8,(.*?),8,", parts, re.M) == [
            "speaker,01", "speaker,02", "sex,female", "sex,male",
        ]  # fmt: skip


def test_other_vocal_tracts_leave_the_weights_and_are_asked_for_confidence_anew(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(road.fold.folder, tmp_path / "quick" / "development-1" / "seed0")
    run = Run(tmp_path / "quick" / "development-1" / "seed0")
    weights, before = run.model.read_bytes(), run.calibration
    recipe = tmp_path / "quick.toml"
    recipe.write_text(RECIPE.replace("frames = 64", "frames = 64\nvocal_tracts = [0.9, 1.1]"))
    asked = ("fit", "--recipe", recipe, "--runs", tmp_path, "--fold", 1, *road.data())
    assert train(*asked, "--dry-run") == 0
    assert "would be heard anew" in capsys.readouterr().out
    assert run.tflite.exists()
    assert train(*asked) == 0
    assert "quantize it again" in capsys.readouterr().out
    assert run.info.recipe.window.vocal_tracts == (0.9, 1.1)
    assert run.model.read_bytes() == weights
    assert run.calibration.normalization == before.normalization
    assert run.calibration.temperature not in (None, before.temperature)
    assert not run.tflite.exists()
    assert train(*asked) == 0
    assert "finished already" in capsys.readouterr().out


def test_a_final_run_without_its_test_actors_is_told_and_left_out(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list(road.quick.glob("report/*final*"))
    assert train("evaluate", road.final.folder, *road.data()) == 1
    assert "test actors 21-24 are not in the data folder" in capsys.readouterr().err


def test_a_final_run_is_tested_on_the_test_actors_wherever_they_are(road: Road) -> None:
    folder = road.quick / "final"
    assert train("evaluate", folder, *road.data(road.everyone)) == 0
    (path,) = (folder / "report").glob("*.json")
    pooled = Pooled.load(path)
    assert pooled.protocol == "speaker-independent, final (actors 21, 22 only)"
    report = json.loads((road.final.report / "test" / "figures.json").read_text())
    assert report["speakers"] == ["21", "22"]
    assert report["forms"]["float"]["n_clips"] == 16


def test_another_corpus_is_tested_as_far_as_its_labels_go(road: Road) -> None:
    folder = road.quick / "development-1"
    args = ("evaluate", folder, "--protocol", "cross-corpus", *road.data(road.everyone))
    assert train(*args) == 0
    report = road.fold.report / "cross-corpus-tess" / "figures.json"
    int8 = json.loads(report.read_text())["forms"]["int8"]
    assert (int8["n_clips"], int8["absent"]) == (14, ["calm"])
    assert Pooled.load(folder / "report/cross-corpus-tess.json").protocol == "cross-corpus (tess)"


def test_no_other_corpus_is_one_sentence(road: Road, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("evaluate", road.fold.folder, "--protocol", "cross-corpus", *road.data()) == 1
    assert "no corpus beside ravdess" in capsys.readouterr().err


def test_live_figures_are_kept_apart_by_protocol_and_noise(road: Road, promoted: Path) -> None:
    reports = sorted(path.name for path in (road.quick / "report").glob("live*.json"))
    assert reports == [
        "live-no-noise.json",
        "live-room-noise-at-10-db-snr.json",
        "live-room-noise-at-20-db-snr.json",
        "live-room-noise-at-5-db-snr.json",
    ]
    quiet = Pooled.load(road.quick / "report" / "live-no-noise.json")
    assert quiet.splits == ("development-1",)
    assert quiet.live is not None
    assert quiet.live.clips == 16
    assert quiet.live.missed_clips <= 2


def test_validation_figures_say_so(road: Road) -> None:
    assert train("evaluate", road.final.folder, "--split", "validation", *road.data()) == 0
    content = json.loads((road.final.report / "validation" / "figures.json").read_text())
    assert content["protocol"] == "final (validation actors)"
    assert content["speakers"] == list(road.final.info.validation_speakers)


# The bundle


def test_the_promoted_bundle_serves_the_device(
    promoted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = bundle.load(promoted)
    assert loaded.manifest.labels == EMOTIONS
    assert loaded.manifest.figures["extra"]["seeds"]["numbers"] == [0]
    assert "(1 of 4 folds)" in (promoted / "README.md").read_text()
    assert "live, room noise at 10 dB SNR" in (promoted / "README.md").read_text()
    assert "| noise, made sounds | 20 | 2 | 1 |" in (promoted / "README.md").read_text()
    assert (promoted / "report" / "confusion-int8.png").is_file()
    path = str(samples.clips()[0])
    args = ["classify", path, "--model", str(promoted), "--format", "json"]
    assert run(device_cli.undertone, "undertone", args) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == path
    assert said["label"] in EMOTIONS


def test_training_and_device_have_the_same_windows_and_scores(
    road: Road, promoted: Path, clips: list[ClipFeatures]
) -> None:
    from undertone_training.evaluation.evaluate import evaluate_run

    manifest = bundle.load(promoted).manifest
    given = Listening(manifest)
    heard = clips[:8]
    for each in heard:
        verdict = classify(read_blocks(each.clip.source.path, 0.1), given)  # type: ignore[arg-type]
        counted = [given.of(window) for heard in verdict.segments for window in heard.windows]
        trained = windows_of(each, road.final.info.recipe, manifest.normalization)
        device = given_to_network(
            np.stack(counted), manifest.window, manifest.normalization, manifest.mfcc
        )
        np.testing.assert_allclose(device, trained, atol=1e-5)
    judged = through_device([each.clip for each in heard], Classifier(bundle.load(promoted)))
    evaluated = evaluate_run(road.final, heard)["int8"]
    np.testing.assert_allclose(judged.probabilities, evaluated.probabilities, atol=0.02)
    assert (judged.predicted == evaluated.predicted).all()


class Listening:
    """A classifier that keeps the windows that it is given, and knows each by what it said.

    The device also asks for provisional verdicts, whose windows do not count.
    """

    def __init__(self, manifest: bundle.Manifest) -> None:
        self.manifest = manifest
        self.windows: list[np.ndarray] = []

    def logits(self, window: np.ndarray) -> np.ndarray:
        self.windows.append(window)
        return np.eye(len(self.manifest.labels))[0] * len(self.windows)

    def of(self, said: np.ndarray) -> np.ndarray:
        return self.windows[round((said[0] - said[1]) * self.manifest.temperature) - 1]


def test_a_bundle_is_tested_on_strangers_through_the_device_path(
    road: Road, promoted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("evaluate", promoted, "--to", tmp_path, *road.data(road.everyone)) == 0
    (path,) = tmp_path.glob("*/figures.json")
    content = json.loads(path.read_text())
    assert content["speakers"] == ["21", "22"]
    assert list(content["forms"]) == ["int8"]
    assert train("evaluate", promoted, "--to", tmp_path, *road.data()) == 1
    assert "test actors 21-24 are not" in capsys.readouterr().err
    cross = ("--protocol", "cross-corpus", "--to", tmp_path, *road.data(road.everyone))
    assert train("evaluate", promoted, *cross) == 0
    assert (tmp_path / "cross-corpus-tess" / "figures.json").is_file()
    assert train("evaluate", promoted, "--protocol", "live", *road.data()) == 2


def test_a_promoted_bundle_has_a_whole_report(promoted: Path) -> None:
    report = {path.name for path in (promoted / "report").iterdir()}
    assert {"figures.json", "report.html", "confusion-int8.png", "training.png"} <= report


@pytest.mark.parametrize("name", ["", "a/b", "../up", "Über", "-x"])
def test_a_name_that_is_none_is_wrong_usage(
    road: Road, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("promote", road.final.folder, "--evidence", road.quick, f"--name={name}")
    assert train(*args, "--to", road.models, *road.data()) == 2
    assert "no name for a bundle" in capsys.readouterr().err


def test_a_bundle_is_never_tested_on_speakers_that_it_knows(road: Road, promoted: Path) -> None:
    training = bundle.load(promoted).manifest.training
    strangers = [clip for clip in scan(road.everyone).clips if clip.speaker in ("21", "22")]
    require_unheard(strangers, training)
    knowing = msgspec.structs.replace(training, train_speakers=("03", "21"))
    with pytest.raises(SplitError, match="trained on the speakers 21:"):
        require_unheard(strangers, knowing)


def test_an_int8_model_that_is_not_its_float_model_is_refused_with_the_figures(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "seed0"
    shutil.copytree(road.final.folder, folder)
    build(road.final.info.recipe, 8).save(folder / "model.keras")  # trained anew, not quantised
    args = ("--evidence", road.quick, "--name", "bad", "--to", tmp_path, *road.data())
    assert train("promote", folder, *args) == 1
    said = capsys.readouterr()
    assert "own clips: UAR float 0." in said.out
    assert "98% are needed" in said.err
    assert not (tmp_path / "bad").exists()


def test_int8_that_loses_on_strangers_is_refused_with_the_figures(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(road.quick / "report", tmp_path / "report")
    path = tmp_path / "report" / "speaker-independent.json"
    content = json.loads(path.read_text())
    for form, uar in (("float", 0.596), ("int8", 0.59)):
        content["forms"][form]["uar"]["mean"] = uar
    path.write_text(json.dumps(content))
    args = ("--evidence", tmp_path, "--name", "bad", "--to", tmp_path, *road.data())
    assert train("promote", road.final.folder, *args) == 1
    assert "UAR is 0.5900 against 0.5960" in capsys.readouterr().err


def test_only_a_final_run_with_its_own_evidence_is_promoted(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--evidence", road.quick, "--name", "bad", "--to", tmp_path, *road.data())
    assert train("promote", road.fold.folder, *args) == 1
    assert "promote a run of `undertone-train fit --protocol final`" in capsys.readouterr().err
    pooled = Pooled.load(road.quick / "report" / "speaker-independent.json")
    shutil.copytree(road.quick / "report", tmp_path / "report")
    other = msgspec.structs.replace(pooled.recipe, width=0.5)
    msgspec.structs.replace(pooled, recipe=other).save(
        tmp_path / "report" / "speaker-independent.json"
    )
    args = ("--evidence", tmp_path, "--name", "bad", "--to", tmp_path, *road.data())
    assert train("promote", road.final.folder, *args) == 1
    assert "as it was then" in capsys.readouterr().err


# The training


def test_a_killed_training_goes_on_where_it_stopped(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "killed.toml"
    recipe.write_text(RECIPE.replace("epochs = 25", "epochs = 4"))
    program = f"""
import os, signal
from pathlib import Path
from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.features.cache import prepare
from undertone_training.learning.fit import fit
from undertone_training.corpora.noise import for_training
from undertone_training.learning.runs import Run, describe
from undertone_training.corpora.splits import splits

recipe = recipes.load({str(recipe)!r})
split = splits(scan(Path({str(road.home)!r})).clips, "speaker-independent", False, 2)[0]
info = describe(recipe, split, 0)
run = Run(Path({str(tmp_path)!r}, "killed", split.name, "seed0"))
noise = for_training(Path({str(road.home)!r}))
features = lambda side: prepare(
    side, recipe.mfcc, recipe.augmentation, noise, Path({str(road.cache)!r}), jobs=1
)

def die(epoch, logs):
    if epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)

fit(run, info, features(split.train), features(split.validation), die, checkpoint_every_s=0)
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert child.returncode == -signal.SIGKILL
    killed = Run(tmp_path / "killed" / "development-1" / "seed0")
    assert killed.epochs_done == 2
    assert not killed.finished
    before = killed.epochs()["loss"]
    # as a kill between the two files would leave it: the history one epoch ahead
    rows = killed.history.read_text().splitlines(keepends=True)
    killed.history.write_text("".join([*rows, "2" + rows[-1][1:]]))
    args = ("fit", "--recipe", recipe, "--runs", tmp_path, "--fold", 1, *road.data())
    assert train(*args) == 0
    assert killed.finished
    rows = killed.history.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2", "3"]
    assert killed.epochs()["loss"][:2] == before
    assert sorted(path.name for path in killed.folder.iterdir()) == [
        "calibration.json", "history.csv", "model.keras", "run.json",
    ]  # fmt: skip


def small(**changes: object) -> recipes.Recipe:
    """The road's recipe with another schedule or regularisation."""
    recipe = msgspec.convert({"name": "small", **tomllib.loads(RECIPE)}, recipes.Recipe)
    for part in ("schedule", "regularization"):
        values = {
            key: changes.pop(key) for key in list(changes) if hasattr(getattr(recipe, part), key)
        }
        changed = msgspec.structs.replace(getattr(recipe, part), **values)
        recipe = msgspec.structs.replace(recipe, **{part: changed})
    assert not changes
    return recipe


def batches(clips: list[ClipFeatures], seed: int = 0, **changes: object) -> TrainingBatches:
    recipe = small(**changes)
    lesson = lesson_of(information(clips, recipe), clips, (), ())
    return TrainingBatches(lesson, fit_normalization(clips, recipe), recipe, seed)


def information(clips: list[ClipFeatures], recipe: recipes.Recipe) -> RunInfo:
    """Of a run that trains on these clips and tests on nobody."""
    split = Split("all", "final", tuple(each.clip for each in clips), (), ())
    return msgspec.structs.replace(describe(recipe, split, 0), labels=EMOTIONS)


def test_the_batches_depend_on_seed_and_epoch_alone(clips: list[ClipFeatures]) -> None:
    going, resumed, other = batches(clips), batches(clips), batches(clips, seed=1)
    for _ in range(3):
        going.on_epoch_end()
    resumed.start_at(3)
    other.start_at(3)
    assert len(going) == len(clips) // 8
    for index in range(len(going)):
        for one, same in zip(going[index], resumed[index], strict=True):
            np.testing.assert_array_equal(one, same)
    assert not np.array_equal(going[0][0], other[0][0])
    going.on_epoch_end()
    assert not np.array_equal(going[0][0], resumed[0][0])


def test_masks_mixup_and_class_weights_do_what_they_say(clips: list[ClipFeatures]) -> None:
    plain = {
        "tempo": 0.0,
        "vocal_tract": 0.0,
        "time_masks": 0,
        "coefficient_masks": 0,
        "mixup": 0.0,
        "class_weights": False,
    }
    windows, targets, weights = batches(clips, **plain)[0]
    assert (windows != 0).all()
    assert set(np.unique(targets)) == {0.0, 1.0}
    assert (weights == 1).all()

    masked, *_ = batches(clips, **plain | {"time_masks": 1, "longest_time_mask": 30})[0]
    frames = (masked == 0).all(axis=2)
    assert frames.any(axis=1).sum() > 4
    assert frames.sum(axis=1).max() <= 30
    masked, *_ = batches(clips, **plain | {"coefficient_masks": 1})[0]
    assert (masked == 0).all(axis=1).any()

    _, mixed, _ = batches(clips, **plain | {"mixup": 1.0})[0]
    assert ((mixed > 0.01) & (mixed < 0.99)).any()
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)

    few = [each for each in clips if each.clip.emotion != "calm" or each.clip.speaker == "01"]
    uneven = batches(few, **plain | {"class_weights": True})
    drawn = [uneven[index] for index in range(len(uneven))]
    calm = np.concatenate([weights[targets[:, 1] == 1] for _, targets, weights in drawn])
    others = np.concatenate([weights[targets[:, 1] == 0] for _, targets, weights in drawn])
    assert len(set(others.tolist())) == 1
    if len(calm):  # the one calm clip may be in the batch that is not full
        np.testing.assert_allclose(calm, 10 * others[0], rtol=1e-5)


def test_a_batch_without_changes_holds_what_the_device_would_hear(
    clips: list[ClipFeatures],
) -> None:
    plain = {"tempo": 0.0, "vocal_tract": 0.0, "time_masks": 0, "coefficient_masks": 0}
    # each shorter than a window, and so repeated; half of them from their first frame
    own = [replace(each, copies=()) for each in clips if len(each.segments) == 1]
    own = [each for each in own if len(each.segments[0]) <= 64]
    recipe = small(**plain)
    normalization = fit_normalization(own, recipe)
    heard = [windows_of(each, recipe, normalization)[0] for each in own]
    drawn = [windows for index in range(6) for windows in batches(own, seed=index, **plain)[0][0]]
    same = [any(np.allclose(one, other, atol=1e-3) for other in heard) for one in drawn]
    assert 0.3 < np.mean(same) < 0.75


def test_tempo_and_vocal_tract_change_the_windows_and_not_their_size(
    clips: list[ClipFeatures],
) -> None:
    plain = {"tempo": 0.0, "vocal_tract": 0.0, "time_masks": 0, "coefficient_masks": 0}
    before, targets, _ = batches(clips, **plain)[0]
    for change in ({"tempo": 0.2}, {"vocal_tract": 0.1}):
        after, same_targets, _ = batches(clips, **plain | change)[0]
        assert after.shape == before.shape
        assert np.isfinite(after).all()
        assert not np.allclose(after, before)
        if "vocal_tract" in change:  # drawn after the stretches
            np.testing.assert_array_equal(targets, same_targets)
            np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-4)


def test_teachers_say_what_a_pupil_learns_of_known_and_strange_clips(
    road: Road, clips: list[ClipFeatures]
) -> None:
    recipe = small(mixup=0.0)
    taught = msgspec.structs.replace(
        recipe, distillation=recipes.Distillation(teachers=("quick",), weight=0.4)
    )
    heard = [each for each in clips if each.clip.clip_id in road.final.info.train]
    known, strange = heard[:-8], heard[-8:]
    info = information(heard, taught)
    lesson = lesson_of(info, known, strange, [road.final])
    own = lesson_of(information(heard, recipe), known, (), ())
    assert [len(each) for each in lesson.targets] == [len(variants_of(each)) for each in heard]
    label = classes_of(known, EMOTIONS)[0]
    np.testing.assert_allclose(lesson.targets[0].sum(axis=1), 1, rtol=1e-5)
    assert (lesson.targets[0][:, label] >= 0.6 - 1e-6).all()
    assert (own.targets[0][:, label] == 1).all()
    assert (lesson.n_core, lesson.n_turn) == (len(known), len(known) // 2)
    said = predict(
        strange, EMOTIONS, road.final.info.recipe, road.final.calibration.normalization,
        keras_logits(keras.models.load_model(road.final.model, compile=False)), 1.0,
    )  # fmt: skip
    ours = np.array([each[0] for each in lesson.targets[-8:]])
    np.testing.assert_allclose(ours, said.probabilities, atol=1e-4)
    batch = TrainingBatches(lesson, fit_normalization(known, taught), taught, 0)
    assert len(batch) == (len(known) + len(strange)) // 8


def test_a_teacher_that_knows_the_tested_speakers_may_not_teach(
    road: Road, clips: list[ClipFeatures]
) -> None:
    distillation = recipes.Distillation(teachers=("quick",))
    recipe = msgspec.structs.replace(small(), distillation=distillation)
    info = describe(recipe, splits([each.clip for each in clips], "speaker-independent")[0], 0)
    with pytest.raises(RunError, match="can't teach here: it was trained on speakers"):
        lesson_of(info, clips, (), [road.final])
    other = msgspec.structs.replace(information(clips, recipe), labels=EMOTIONS[:5])
    with pytest.raises(RunError, match="labels are not those"):
        lesson_of(other, clips, (), [road.final])


def test_a_training_begins_with_the_weights_of_another(
    road: Road, clips: list[ClipFeatures], tmp_path: Path
) -> None:
    known = [each for each in clips if each.clip.clip_id in road.final.info.train]
    quick = road.final.info.recipe
    still = msgspec.structs.replace(quick.schedule, epochs=1, learning_rate=1e-9, shape="constant")
    recipe = msgspec.structs.replace(quick, name="fine", begins_with="quick", schedule=still)
    info = msgspec.structs.replace(information(known, recipe), labels=road.final.info.labels)
    run = Run(tmp_path / "fine")
    fit(run, info, known, (), beginning=road.final)
    before, after = (
        keras.models.load_model(each.model, compile=False) for each in (road.final, run)
    )
    kernels = [
        [weight for weight in model.get_weights() if weight.ndim > 1] for model in (before, after)
    ]
    for one, same in zip(*kernels, strict=True):
        np.testing.assert_allclose(one, same, atol=1e-5)

    other = msgspec.structs.replace(recipe, convolutions=((8, 3, 2), (8, 3, 2), (8, 3, 2)))
    wrong = msgspec.structs.replace(info, recipe=other)
    with pytest.raises(RunError, match="its network has other layers"):
        fit(Run(tmp_path / "other"), wrong, known, (), beginning=road.final)
    stranger = msgspec.structs.replace(info, train_speakers=("01",))
    with pytest.raises(RunError, match="trained on speakers that this run is not"):
        fit(Run(tmp_path / "stranger"), stranger, known, (), beginning=road.final)


def test_what_was_learnt_on_another_corpus_is_begun_with(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, then = tmp_path / "elsewhere.toml", tmp_path / "then.toml"
    short = RECIPE.replace("epochs = 25", "epochs = 1")
    first.write_text('corpus = "tess"\n' + short)
    then.write_text('begins_with = "elsewhere"\nsteady_noise = "subtracted"\n' + short)
    command = ("--runs", tmp_path, *road.data(road.everyone))
    assert train("fit", "--recipe", then, *command, "--fold", 1) == 1
    assert "run `undertone-train fit --recipe elsewhere`" in capsys.readouterr().err
    assert train("fit", "--recipe", first, *command) == 0
    whole = Run(tmp_path / "elsewhere/pre-training/seed0")
    assert whole.info.corpora == ("tess",)
    assert whole.info.labels == EMOTIONS
    assert not (whole.info.test or whole.info.validation)
    assert train("fit", "--recipe", then, *command, "--fold", 1) == 0
    run = Run(tmp_path / "then/development-1/seed0")
    assert run.info.begun_with == whole.model_sha256
    assert run.info.corpora == ("ravdess", "tess")
    assert run.calibration.normalization.steady_noise == "subtracted"
    # it has heard TESS, which therefore tests nothing of it
    assert train("quantize", run.folder, *road.data(road.everyone)) == 0
    capsys.readouterr()
    cross = ("evaluate", run.folder, "--protocol", "cross-corpus", *road.data(road.everyone))
    assert train(*cross) == 1
    assert "There is no corpus beside ravdess, tess" in capsys.readouterr().err
    assert train("tune", "--recipe", first, *command, "--dry-run") == 2
    assert "learns from all of tess" in capsys.readouterr().err


def test_folds_that_hold_nobody_out_get_their_confidence_from_each_other(
    road: Road, clips: list[ClipFeatures], tmp_path: Path
) -> None:
    recipe = small(epochs=1)
    by_id = {each.clip.clip_id: each for each in clips}
    folds = []
    for number, split in enumerate(splits([each.clip for each in clips], "speaker-independent",
                                          n_validation_actors=0), start=1):  # fmt: skip
        folds.append(Run(tmp_path / split.name))
        train_side = [by_id[clip.clip_id] for clip in split.train]
        fit(folds[-1], describe(recipe, split, 0), train_side, [])
        assert folds[-1].calibration.temperature is None
        if number == 1:
            assert close(folds, lambda ids: [by_id[each] for each in ids]) == folds
            assert folds[0].calibration.confidence == (1.0, 0.0)
    asked: list[str] = []

    def features_of(ids: Sequence[str]) -> list[ClipFeatures]:
        asked.extend(ids)
        return [by_id[each] for each in ids]

    assert close(folds, features_of) == []
    assert sorted(asked) == sorted(each.clip.clip_id for each in clips)
    told = [fold.calibration for fold in folds]
    assert all(each.temperature and each.threshold for each in told)
    assert len({each.temperature for each in told}) == len(folds)
    assert close(folds, features_of) == []
    assert [fold.calibration for fold in folds] == told


@pytest.mark.parametrize(("watched", "best_of"), [("loss", min), ("accuracy", max)])
def test_early_stopping_remembers_the_best_epoch_of_an_interrupted_training(
    watched: str,
    best_of: Callable[[list[float]], float],
    road: Road,
    clips: list[ClipFeatures],
    tmp_path: Path,
) -> None:
    recipe = small(
        epochs=30, early_stopping=2, weight_averaging=0.0, shape="plateau", watched=watched
    )
    split = splits([each.clip for each in clips], "speaker-independent", False, 2)[0]
    by_id = {each.clip.clip_id: each for each in clips}
    train_side = [by_id[clip.clip_id] for clip in split.train]
    # with false emotions, so that the loss rises once the network learns the true ones
    validation = [
        replace(each, clip=replace(each.clip, emotion="happy" if index % 2 else "sad"))
        for index, each in enumerate(by_id[clip.clip_id] for clip in split.validation)
    ]
    training = Run(tmp_path)
    seen: list[float] = []

    def interrupt_past_the_best(epoch: int, logs: dict[str, float]) -> None:
        seen.append(logs[f"val_{watched}"])
        if seen.index(best_of(seen)) < epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(
            training,
            describe(recipe, split, 0),
            train_side,
            validation,
            interrupt_past_the_best,
            checkpoint_every_s=0,
        )
    assert training.best.exists()
    fit(training, describe(recipe, split, 0), train_side, validation)
    history = training.epochs()[f"val_{watched}"]
    assert history[: len(seen)] == pytest.approx(seen)
    assert len(history) == history.index(best_of(history)) + 1 + 2
    assert not training.best.exists()


def garbage(path: Path) -> None:
    path.write_bytes(b"poison")


def another_sound(path: Path) -> None:
    write(path, np.random.default_rng(len(path.name)).normal(0, 0.1, 32_000))


def absent(path: Path) -> None:
    path.unlink()


def change(data: Path, actor: int, how: Callable[[Path], None]) -> None:
    """Do something to each of an actor's eight clips."""
    clips = list(data.rglob(f"*-{actor:02}.flac"))
    assert len(clips) == 8
    for path in clips:
        how(path)


@pytest.fixture(scope="module")
def fitted(
    road: Road, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Calibration, list[np.ndarray]]]:
    """What is fitted on a copy of the recordings that was changed before the training."""

    def trained(
        spoil: Callable[[Path], None], protocol: str = "speaker-independent"
    ) -> tuple[Calibration, list[np.ndarray]]:
        folder = tmp_path_factory.mktemp("fitted")
        shutil.copytree(road.home, folder / "data")
        spoil(folder / "data")
        recipe = folder / "quick.toml"
        recipe.write_text(RECIPE.replace("epochs = 25", "epochs = 2"))
        args = ("fit", "--recipe", recipe, "--runs", folder, "--fold", 1, "--protocol", protocol)
        assert train(*args, *road.data(folder / "data")) == 0
        (path,) = folder.rglob("calibration.json")
        done = Run(path.parent)
        calibration = msgspec.structs.replace(done.calibration, fit_s=0.0)
        model = keras.models.load_model(done.model, compile=False)
        return calibration, model.get_weights()

    return trained


@pytest.fixture(scope="module")
def untouched(fitted: Any) -> tuple[Calibration, list[np.ndarray]]:
    calibration, weights = fitted(lambda data: None)
    return calibration, weights


@pytest.mark.parametrize("how", [garbage, another_sound, absent])
def test_no_bit_of_a_test_clip_reaches_what_is_fitted(
    how: Callable[[Path], None], fitted: Any, untouched: Any
) -> None:
    """Weights, normalisation, temperature and threshold are the same whatever is tested on."""

    def spoil(data: Path) -> None:
        change(data, 2, how)
        if how is not absent:  # a fold needs somebody to test
            change(data, 1, how)

    calibration, weights = fitted(spoil)
    assert calibration == untouched[0]
    for one, other in zip(weights, untouched[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_test_actors_reach_nothing_of_the_final_model(road: Road, fitted: Any) -> None:
    def join(data: Path) -> None:
        shutil.copytree(road.everyone / "ravdess", data / "strangers")

    alone, together = fitted(lambda data: None, "final"), fitted(join, "final")
    assert alone[0] == together[0]
    for one, other in zip(alone[1], together[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_clips_shape_all_and_validation_clips_the_confidence_alone(
    road: Road, fitted: Any, untouched: Any
) -> None:
    """So that the tests above can fail."""
    info = road.fold.info
    validating, training = (
        int(speakers[0]) for speakers in (info.validation_speakers, info.train_speakers)
    )
    calibration, weights = fitted(lambda data: change(data, validating, another_voice))
    assert calibration.normalization == untouched[0].normalization
    assert calibration.temperature != untouched[0].temperature
    for one, other in zip(weights, untouched[1], strict=True):
        np.testing.assert_array_equal(one, other)
    calibration, weights = fitted(lambda data: change(data, training, another_voice))
    assert calibration.normalization != untouched[0].normalization
    assert calibration.temperature != untouched[0].temperature
    assert any((one != other).any() for one, other in zip(weights, untouched[1], strict=True))


def another_voice(path: Path) -> None:
    """A clip in a voice that nobody has."""
    code = int(path.name[6:8])
    write(path, voice(samples.clips()[code - 1], 30))


def test_a_final_model_can_hold_no_actor_out(
    road: Road, tmp_path: Path, clips: list[ClipFeatures], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its confidence comes from folds that judged actors unheard, and only from all four."""
    temperature, threshold = calibrate([road.fold], lambda ids: road.features(named(road, ids)))
    assert 0.05 <= temperature <= 20
    assert 0 <= threshold <= 1
    recipe = recipes.load(road.recipe)
    everyone = splits(scan(road.home).clips, "final", recipe.song, n_validation_actors=0)[0]
    assert everyone.validation == ()
    quick = msgspec.structs.replace(
        recipe, schedule=msgspec.structs.replace(recipe.schedule, epochs=1)
    )
    run = Run(tmp_path / "all")
    fit(run, describe(quick, everyone, 0), clips, [], confidence=(1.25, 0.5))
    assert (run.calibration.temperature, run.calibration.threshold) == (1.25, 0.5)
    assert set(run.epochs()) == {"loss", "accuracy"}
    capsys.readouterr()
    args = ("fit", "--recipe", road.recipe, "--runs", tmp_path, "--confidence", road.quick)
    assert train(*args, "--protocol", "final", *road.data()) == 1
    assert "1 of the 4 development folds" in capsys.readouterr().err
    assert train(*args, *road.data()) == 2
    assert "--protocol final" in capsys.readouterr().err


def named(road: Road, ids: Sequence[str]) -> list[Clip]:
    by_id = {clip.clip_id: clip for clip in scan(road.home).clips}
    return [by_id[clip_id] for clip_id in ids]


# What goes wrong


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hops = 3", "unknown field `hops`"),
        ("[schedule]\nepoch = 3", "unknown field `epoch` - at `$.schedule`"),
        ('[schedule]\nepochs = "many"', "Expected `int`, got `str` - at `$.schedule.epochs`"),
        ("[schedule]\nearly_stopping = 5", "set one of them to 0"),
        ("width = 0", "at `$.width`"),
        ("width = ", "is not valid TOML"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    road: Road, tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text(content)
    assert train("fit", "--recipe", tmp_path / "mine.toml", *road.data()) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("prepare", "--dry-run", "--csv", "/dev/null/clips.csv"), 1, "another file with --csv"),
        (("prepare", "--cache", "/dev/null/cache"), 1, "another folder with --cache"),
        (("fit", "--fold", 1, "--seed", -1), 2, "--seed"),
    ],
)
def test_what_can_not_be_written_or_taken_is_one_sentence(
    arguments: tuple[object, ...],
    status: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_ravdess(tmp_path, (1,))
    assert train(arguments[0], "--data", tmp_path, *arguments[1:]) == status
    assert said in capsys.readouterr().err


def test_features_that_a_power_cut_damaged_are_made_anew(tmp_path: Path) -> None:
    write_ravdess(tmp_path / "data", (1,))
    clips = scan(tmp_path / "data").clips[:1]
    mfcc = recipes.load("smoke").mfcc
    first = prepare(clips, mfcc, None, None, tmp_path / "cache", jobs=1)
    (cached,) = (tmp_path / "cache").iterdir()
    for content in (b"", cached.read_bytes()[:200]):
        cached.write_bytes(content)
        (again,) = prepare(clips, mfcc, None, None, tmp_path / "cache", jobs=1)
        assert np.array_equal(again.segments[0], first[0].segments[0])


def test_a_misspelt_recipe_suggests_the_nearest(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("fit", "--recipe", "compct", *road.data()) == 2
    assert "did you mean compact?" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="can't be read"):
        recipes.load("nowhere.toml")


def test_an_edited_recipe_never_passes_for_the_trained_one(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quick.toml").write_text(RECIPE.replace("epochs = 25", "epochs = 26"))
    args = ("--runs", road.runs, "--fold", 1, *road.data())
    assert train("fit", "--recipe", tmp_path / "quick.toml", *args) == 1
    assert "another recipe called quick" in capsys.readouterr().err


def test_a_fold_that_is_not_there_is_wrong_usage(
    road: Road, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("fit", "--recipe", road.recipe, "--fold", 9, *road.data()) == 2
    assert "There is no fold 9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["quantize", "."], "There is no finished run"),
        (["evaluate", "."], "There is no finished run"),
        (["evaluate", "nowhere"], "There is no finished run"),
        (["promote", ".", "--evidence", ".", "--name", "x"], "run `undertone-train fit` first"),
        (["compare", "."], "run `undertone-train evaluate .` first"),
        (["prepare", "--data", "nowhere"], "There is no folder nowhere"),
        (["fit", "--data", "."], "There are no clips of a known corpus"),
    ],
)
def test_a_wrong_folder_is_one_sentence(
    args: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--data" not in args and args[0] != "compare":
        args = [*args, "--data", "."]
    assert train(*args) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_run_that_is_not_quantised_says_what_to_do(
    road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("run.json", "calibration.json", "model.keras", "history.csv"):
        shutil.copy(road.fold.folder / name, tmp_path)
    assert train("evaluate", tmp_path, *road.data()) == 1
    assert "run `undertone-train quantize` first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("protocol", "folds", "speakers", "said"),
    [
        ("speaker-independent", 4, 20, ""),
        ("speaker-independent", 1, 5, " (1 of 4 folds)"),
        ("speaker-independent", 4, 19, " (19 of 20 actors)"),
        ("published-folds", 5, 20, " (20 of 24 actors)"),
        ("final", 1, 4, ""),
    ],
)
def test_a_protocol_that_is_not_whole_says_so(
    protocol: str, folds: int, speakers: int, said: str
) -> None:
    assert shortfall(protocol, folds, speakers) == said


def test_seeds_that_were_tested_on_other_folds_are_not_averaged() -> None:
    def tested(seed: int, split: str) -> Outcome:
        run = SimpleNamespace(info=SimpleNamespace(seed=seed, split=split))
        return Outcome(run, "speaker-independent", {}, Cost(1, 1, 1, 1.0))  # type: ignore[arg-type]

    group = [tested(0, "a"), tested(1, "b"), tested(1, "a"), tested(2, "a"), tested(2, "b")]
    kept, reasons = same_folds(group)
    assert [[each.run.info.seed for each in runs] for runs in kept] == [[1, 1], [2, 2]]
    assert reasons == ["seed 0 is left out of the mean: it has a, and seed 1 has a, b"]


# The program


def test_compare_shows_a_row_for_each_report(
    road: Road, promoted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("compare", road.quick, promoted, "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)
    protocols = [row["protocol"] for row in rows]
    assert "speaker-independent (1 of 4 folds)" in protocols
    assert "live, no noise (1 of 4 folds)" in protocols
    assert all(row["parameters"] > 1000 and row["fit_s"] > 0 for row in rows)
    best_first = [(row["protocol"], -row["uar"]["mean"]) for row in rows]
    assert best_first == sorted(best_first)
    for form in ("table", "markdown"):
        assert train("compare", road.quick, promoted, "--format", form) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(rows) + (1 if form == "table" else 2)
    for name in ("figures.md", "figures.json"):
        assert train("compare", road.quick, promoted, "--output", tmp_path / name) == 0
        assert capsys.readouterr().out == f"{tmp_path / name}: {len(rows)} rows\n"
    assert (tmp_path / "figures.md").read_text().splitlines() == lines
    assert json.loads((tmp_path / "figures.json").read_text()) == rows
    assert train("compare", road.quick, "--output", tmp_path / "figures.csv") == 2
    assert "ends in none of .md, .json" in capsys.readouterr().err


def test_compare_tables_several_seeds_and_recipes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, uar, seeds in (("a", 0.6, (0, 1, 2)), ("b", 0.65, (0,))):
        figure = PooledFigures(
            *[Spread(uar, 0.012 if len(seeds) > 1 else None)] * 3, Spread(0.05, None), (0.5, 0.7)
        )
        recipe = msgspec.structs.replace(recipes.load("smoke"), name=name)
        Pooled(
            recipe, "speaker-independent", seeds, ("x",), {"float": figure}, Cost(1, None, 1, 95.4)
        ).save(tmp_path / name / "report" / "speaker-independent.json")  # fmt: skip
    assert train("compare", tmp_path, "--format", "markdown") == 0
    _, _, first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("| b | speaker-independent | 0 | float | 65.0 % | 50.0 to 70.0 % |")
    assert second.startswith("| a | speaker-independent | 0, 1, 2 | float | 60.0 ± 1.2 % |")
    assert second.endswith("| – | 0.00 | 95 s |")


def test_help_is_instant_and_has_examples() -> None:
    code = f"""
import sys
from undertone.cli import run
from undertone_training.cli import undertone_train
for name in ([], *([name] for name in {list(COMMANDS)!r})):
    assert run(undertone_train, "undertone-train", [*name, "--help"]) == 0
assert not {{"numpy", "tensorflow", "keras", "msgspec", "rich"}} & set(sys.modules), "heavy"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("Usage: undertone-train") == 1 + len(COMMANDS)
    assert done.stdout.count("Example") == 1 + len(COMMANDS)


def test_the_screen_belongs_to_the_program(road: Road) -> None:
    """No notice of TensorFlow or its converter, which write past Python's streams."""
    args = ["quantize", road.fold.folder, *road.data()]
    done = subprocess.run(
        [sys.executable, "-m", "undertone_training.cli", *map(str, args)],
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{road.fold.tflite}: {road.fold.tflite.stat().st_size / 1024:.1f} KB\n"
    assert all(line.startswith("features: ") for line in done.stderr.splitlines())
