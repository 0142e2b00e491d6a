"""One command from corpora to a bundle: its stages, interruptions, and what it leaves alone."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
from miniature import (
    RECIPE,
    SHORT,
    conversion_here,
    eager_training,
    train,
    voice,
    without_pictures,
    write,
    write_detector_corpora,
    write_ravdess,
    write_tess,
)

from undertone.recognition import bundle
from undertone.samples import clips
from undertone_training import recipe as recipes
from undertone_training.corpora.scan import CORPORA
from undertone_training.evaluation import backgrounds, evaluate, false_alarms, streaming
from undertone_training.evaluation.conditions import load_reports
from undertone_training.features.cache import FeatureCache
from undertone_training.jobs import Jobs
from undertone_training.learning.runs import Run
from undertone_training.learning.trainer import Trainer
from undertone_training.making import Context, Fit, stages_of

pytestmark = pytest.mark.xdist_group("tensorflow")

ONE_OF_EACH_FOLD = (1, 6, 11, 16)

STAGES = [
    "fit quick development-1",
    "fit quick development-2",
    "fit quick development-3",
    "fit quick development-4",
    "quantize quick 4 folds",
    "evaluate quick speaker-independent",
    "evaluate quick live",
    "fit quick final",
    "quantize quick final",
    "evaluate quick final noise",
    "evaluate quick final cross-corpus",
    "promote quick final as quick",
]


@dataclass(frozen=True)
class Place:
    """Where the corpora and the recipe are."""

    folder: Path

    def arguments(self, to: Path) -> list[object]:
        """Of a command that makes the bundle ``to/models/quick``."""
        return [
            "make", "quick", "--recipe", self.folder / "quick.toml", "--data",
            self.folder / "data", "--cache", self.folder / "cache", "--jobs", 1, "--runs",
            to / "runs", "--to", to / "models",
        ]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("make")
    write_ravdess(folder / "data" / "ravdess", ONE_OF_EACH_FOLD)
    write_tess(folder / "data" / "tess")
    longer = RECIPE.replace("epochs = 25", "epochs = 80")  # with fewer clips
    (folder / "quick.toml").write_text(f"validation_speakers = 0\n{longer}")
    return Place(folder)


@pytest.fixture(scope="module", autouse=True)
def _one_condition_and_sound() -> Iterator[None]:
    """Each of the protocols live and noise takes a minute with all of its sounds."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (evaluate, streaming):
            patch.setattr(module, "CONDITIONS", streaming.CONDITIONS[:1])
        patch.setattr(backgrounds, "DURATION_S", 24.0)
        patch.setattr(false_alarms, "NAMES", ("white noise",))
        yield


@dataclass(frozen=True)
class Making:
    """A bundle that was made, though the program was killed after the first training.

    first_ns: when the network of that training was written.
    """

    folder: Path
    first_ns: int

    def run(self, split: str) -> Run:
        return Run(self.folder / "runs" / "quick" / split / "seed0")


@pytest.fixture(scope="module")
def making(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Making:
    folder = tmp_path_factory.mktemp("made")
    arguments = place.arguments(folder)
    program = [sys.executable, "-m", "undertone_training.cli", *map(str, arguments)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert "trained in" in child.stdout.readline()
        child.kill()
    killed = Making(folder, 0)
    assert killed.run("development-1").finished
    assert not killed.run("development-2").finished
    first_ns = killed.run("development-1").model.stat().st_mtime_ns
    with conversion_here(), without_pictures():
        assert train(*arguments) == 0
    return replace(killed, first_ns=first_ns)


@pytest.fixture(scope="module")
def made(making: Making) -> Path:
    """The folder of the runs and of the bundle."""
    return making.folder


def graph(printed: str) -> list[tuple[str, list[int], str]]:
    """Of each stage its title, the numbers of those that it needs, and its state."""
    head, *lines = printed.splitlines()
    starts = [head.index(word) for word in ("stage", "needs", "state")]
    rows = [
        [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for line in lines
    ]
    return [
        (title, [int(n) for n in re.findall(r"\d+", needs)], state) for title, needs, state in rows
    ]


def dry_run(
    capsys: pytest.CaptureFixture[str], *arguments: object
) -> list[tuple[str, list[int], str]]:
    capsys.readouterr()
    assert train(*arguments, "--dry-run") == 0
    return graph(capsys.readouterr().out)


def test_the_stages_of_a_shipped_bundle_follow_from_what_its_recipe_begins_with(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", place.folder / "data", "--runs", tmp_path / "runs", "--to", tmp_path)
    stages = dry_run(capsys, "make", "ravdess8-tiny", *data)
    folds = [f"development-{fold}" for fold in (1, 2, 3, 4)]
    assert [title for title, _, _ in stages] == [
        *(f"fit tiny {fold}" for fold in folds),
        *(f"fit tiny-noise {fold}" for fold in folds),
        "quantize tiny-noise 4 folds",
        "evaluate tiny-noise speaker-independent",
        "evaluate tiny-noise live",
        "fit tiny final",
        "fit tiny-noise final",
        "quantize tiny-noise final",
        "evaluate tiny-noise final noise",
        "evaluate tiny-noise final cross-corpus",
        "promote tiny-noise final as ravdess8-tiny",
    ]
    needs = {title: [stages[number - 1][0] for number in others] for title, others, _ in stages}
    assert needs["fit tiny-noise development-2"] == ["fit tiny development-2"]
    assert needs["fit tiny-noise final"] == [
        *(f"fit tiny-noise {fold}" for fold in folds),
        "fit tiny final",
    ]
    assert all(max(others, default=0) <= before for before, (_, others, _) in enumerate(stages))
    assert {state for _, _, state in stages} == {"to do"}
    assert not list(tmp_path.iterdir())


def test_folds_are_trained_side_by_side_if_several_processes_are_asked_for(
    place: Place, tmp_path: Path
) -> None:
    def together(jobs: Jobs) -> list[str]:
        trainer = Trainer(
            place.folder / "data", tmp_path, FeatureCache(place.folder / "cache", jobs)
        )
        recipe = recipes.load(place.folder / "quick.toml")
        first, *later = stages_of("quick", recipe, Context(trainer, tmp_path, 0), recipes.load)
        assert isinstance(first, Fit)
        return [first.title, *(each.title for each in first.side_by_side(later))]

    assert together(Jobs(2)) == STAGES[:4]  # the final one has its confidence from them
    assert together(Jobs(1)) == together(Jobs()) == STAGES[:1]


def test_a_recipe_of_several_corpora_is_tested_by_leaving_each_of_them_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_detector_corpora(tmp_path)
    for name in ("casia/liuchanhg/angry/201.wav", "ased/n1-01-01-01-50.wav"):
        write(tmp_path / name, voice(clips()[0], 3))
    stages = dry_run(capsys, "make", "everyday-compact", "--data", tmp_path)
    assert [title for title, _, _ in stages] == [
        "fit everyday-compact without-cremad",
        "fit everyday-compact without-nemo",
        "fit everyday-compact without-ravdess",
        "quantize everyday-compact 3 folds",
        "evaluate everyday-compact leave-one-corpus-out",
        "evaluate everyday-compact cross-corpus",
        "fit everyday-compact final",
        "quantize everyday-compact final",
        "evaluate everyday-compact final noise",
        "evaluate everyday-compact final cross-corpus",
        "evaluate everyday-compact final known-voice",
        "evaluate everyday-compact final degraded",
        "promote everyday-compact final as everyday-compact",
    ]


def test_the_corpora_left_out_the_known_voice_and_degraded_sound_are_tested(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    write_ravdess(data / "ravdess", ONE_OF_EACH_FOLD)
    for number, speaker in enumerate(("EB0", "TP0")):
        for index, emotion in enumerate(("neutral", "happiness", "sadness", "anger", "fear")):
            name = f"nemo/{speaker}_{emotion}_1.flac"
            write(data / name, voice(clips()[(0, 2, 3, 4, 5)[index]], 3 + number))
    for name in ("casia/liuchanhg/angry/201.wav", "ased/a5-01-01-01-50.wav"):
        write(data / name, voice(clips()[4], 3))
    (tmp_path / "several.toml").write_text(
        f'beside = ["nemo"]\nvalidation_speakers = 0\n{SHORT}epoch_windows = 40\n'
    )
    trainer = Trainer(data, tmp_path / "runs", FeatureCache(tmp_path / "cache", Jobs(1)))
    recipe = recipes.load(tmp_path / "several.toml")
    *stages, _ = stages_of("mine", recipe, Context(trainer, tmp_path, 0), recipes.load)
    with eager_training(), conversion_here(), without_pictures():
        for stage in stages:
            assert not stage.done, stage.title
            stage.run()
            assert stage.done, stage.title
    found = {}
    for run in map(Run, (tmp_path / "runs/several").glob("*/seed0")):
        for protocol, report in load_reports(run.report, run.tflite_sha256).items():
            tested = [(each.corpus, each.condition) for each in report.conditions]
            found[run.info.split, protocol] = tested
    assert found.pop(("final", "degraded"))[0] == ("ased", "as recorded")
    assert found == {
        ("without-nemo", "cross-corpus"): [("nemo", "leave-one-corpus-out")],
        ("without-ravdess", "cross-corpus"): [("ravdess", "leave-one-corpus-out")],
        ("final", "cross-corpus"): [("casia", "zero-shot"), ("ased", "zero-shot")],
        ("final", "known-voice"): [("casia", "0 s known"), ("ased", "0 s known")],
    }


def test_the_bundle_has_the_figures_of_every_stage(made: Path) -> None:
    loaded = bundle.load(made / "models" / "quick")
    assert loaded.manifest.training.train_speakers == ("01", "06", "11", "16")
    assert loaded.manifest.confidence_threshold > 0
    extra = loaded.manifest.figures["extra"]
    assert extra["splits"] == [f"development-{fold}" for fold in (1, 2, 3, 4)]
    assert {"live", "noise", "seeds"} <= extra.keys()
    assert "| tess | zero-shot | 14 | 2 |" in (made / "models/quick/README.md").read_text()


def test_what_is_made_is_not_made_again(
    place: Place, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in made.rglob("*")}

    before = times()
    assert train(*place.arguments(made)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        f"{name}: done already" for name in STAGES
    ]
    assert times() == before


def test_a_killed_making_continues_to_the_weights_of_an_uninterrupted_one(
    place: Place, making: Making, tmp_path: Path
) -> None:
    assert making.run("development-1").model.stat().st_mtime_ns == making.first_ns
    fit = ["fit", *place.arguments(tmp_path)[2:-2], "--fold", 2]
    assert train(*fit) == 0
    alone = Run(tmp_path / "runs" / "quick" / "development-2" / "seed0")
    ours, theirs = (
        keras.models.load_model(run.model, compile=False).get_weights()
        for run in (making.run("development-2"), alone)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


FIGURES_AND_BUNDLE = [
    "evaluate quick final noise",
    "evaluate quick final cross-corpus",
    "promote quick final as quick",
]


def _without_confidence(calibration: Path) -> None:
    """As ``fit --protocol final`` leaves it without --confidence."""
    run = Run(calibration.parent)
    run.save(msgspec.structs.replace(run.calibration, temperature=None, threshold=None))


@pytest.mark.parametrize(
    ("name", "change", "again"),
    [
        ("quantization.json", Path.unlink, ["quantize quick final", *FIGURES_AND_BUNDLE]),
        ("calibration.json", Path.touch, FIGURES_AND_BUNDLE),
        (
            "calibration.json",
            _without_confidence,
            ["fit quick final", "quantize quick final", *FIGURES_AND_BUNDLE],
        ),
    ],
    ids=["lost", "another calibration", "trained without --confidence"],
)
def test_only_what_depends_on_a_changed_file_is_to_be_done(
    place: Place,
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    change: Callable[[Path], None],
    again: list[str],
) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)  # with the times of the files
    change(tmp_path / "runs/quick/final/seed0" / name)
    stages = dry_run(capsys, *place.arguments(tmp_path))
    assert [title for title, _, state in stages if state != "done"] == again


def test_runs_of_fit_are_taken_but_not_with_other_first_weights(
    shipping: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(shipping, tmp_path, dirs_exist_ok=True)
    arguments = (
        "make", "mine", "--recipe", tmp_path / "ship.toml", "--data", tmp_path / "data",
        "--runs", tmp_path,
    )  # fmt: skip
    assert train(*arguments, "--dry-run") == 1
    assert "ship learns from tess, whose terms give no licence" in capsys.readouterr().err
    monkeypatch.setitem(CORPORA, "tess", replace(CORPORA["tess"], licence="CC BY 4.0"))
    stages = dry_run(capsys, *arguments)
    assert stages[0] == ("fit first pre-training", [], "done")
    assert ("fit ship final", [1, 2, 3, 4, 5], "done") in stages
    first = Run(tmp_path / "first" / "pre-training" / "seed0").model
    first.write_bytes(first.read_bytes() + b"x")
    assert train(*arguments, "--dry-run") == 1
    assert "was trained from other weights than those in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("nothing",), 2, "There is no bundle called nothing: known are everyday-compact,"),
        (("ravdess8-tiny", "--recipe", "smoke"), 2, "made by the recipe tiny-noise"),
        (("../models", "--recipe", "smoke"), 2, "can't name a bundle"),
        (("mine", "--recipe", "nemo"), 1, "nemo is a first stage for other recipes"),
        (("everyday-compact",), 1, "no clip of cremad in the data folder: add the corpus"),
        (("ravdess8-tiny", "--data", "nowhere"), 1, "There is no folder nowhere"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(
    arguments: tuple[str, ...],
    status: int,
    says: str,
    place: Place,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train("make", "--data", place.folder / "data", *arguments, "--dry-run") == status
    assert says in " ".join(capsys.readouterr().err.split())
