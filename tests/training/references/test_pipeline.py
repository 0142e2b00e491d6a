"""A reference system goes through the same steps as our own recipes."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from miniature import ACTORS, train, write_ravdess

from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.corpora.splits import splits
from undertone_training.errors import RunError
from undertone_training.evaluation.results import Pooled
from undertone_training.export.bundle import bundle_of
from undertone_training.export.quantize import quantize_runs
from undertone_training.features.cache import FeatureCache
from undertone_training.jobs import Jobs
from undertone_training.learning.runs import Run
from undertone_training.references.features import ReferenceFeatures

pytestmark = pytest.mark.xdist_group("references")


def data(folder: Path) -> tuple[object, ...]:
    return ("--data", folder / "data", "--cache", folder / "cache", "--jobs", 1)


def test_a_reference_system_is_trained_quantised_and_tested(systems: Path, dependent: Run) -> None:
    info = dependent.info
    assert not {*info.train} & {*info.validation, *info.test}
    assert len(info.validation) == pytest.approx(0.15 * 64, abs=1)
    report = Pooled.load(
        systems / "runs/mfcc-cnn/report/speaker-dependent-speech-8-emotions-split-seed-0.json"
    )
    assert report.protocol == "speaker-dependent (speech, 8 emotions, split seed 0)"
    assert list(report.forms) == ["float", "int8"]


def test_random_splits_are_the_same_for_the_same_seed(systems: Path, dependent: Run) -> None:
    clips = scan(systems / "data").clips
    one, again, other = (splits(clips, "speaker-dependent", seed=seed) for seed in (0, 0, 1))
    assert one == again != other
    assert {clip.clip_id for clip in one[1].test} == {*dependent.info.test}


def test_the_cache_holds_what_was_computed(systems: Path) -> None:
    recipe = recipes.load(systems / "mfcc-cnn.toml")
    clips = scan(systems / "data").clips[:2]
    before = len(list((systems / "cache").iterdir()))
    first, _ = FeatureCache(systems / "cache", Jobs(1)).compute(clips, recipe)
    np.testing.assert_array_equal(
        first.segments[0], ReferenceFeatures("mfcc-mean").compute(clips[0].source.read())
    )
    assert len(list((systems / "cache").iterdir())) in (before, before + 2)


def test_a_reference_system_is_no_bundle(
    systems: Path, dependent: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError, match="can't run on the device"):
        bundle_of(dependent, "x")
    folder = systems / "runs/mfcc-cnn/development-1"
    assert train("evaluate", folder, "--protocol", "live", *data(systems)) == 1
    assert "can't run on the device" in capsys.readouterr().err


def test_an_interrupted_training_goes_on(systems: Path, tmp_path: Path) -> None:
    longer = (systems / "mfcc-cnn.toml").read_text().replace("epochs = 1", "epochs = 3")
    path = tmp_path / "longer.toml"
    path.write_text(longer.replace("early_stopping = 1", "early_stopping = 9"))
    from undertone_training.corpora import scan
    from undertone_training.learning.fit import fit
    from undertone_training.learning.runs import describe

    recipe = recipes.load(path)
    split = splits(scan(systems / "data").clips, "speaker-dependent")[1]
    one, two = (
        FeatureCache(systems / "cache", Jobs(1)).compute(side, recipe)
        for side in (split.train, split.validation)
    )
    interrupted = Run(tmp_path / "run")

    def interrupt(epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    info = describe(recipe, split, 0)
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, info, one, two, interrupt, checkpoint_every_s=0)
    assert interrupted.epochs_done == 2
    done = []
    fit(interrupted, info, one, two, lambda epoch, logs: done.append(epoch))
    assert done == [2]
    assert len(interrupted.epochs()["loss"]) == 3


def test_a_corpus_without_an_emotion_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ravdess(tmp_path / "data", ACTORS)
    for surprised in (tmp_path / "data").rglob("03-01-08-*"):
        surprised.unlink()
    args = ("--protocol", "speaker-dependent", "--runs", tmp_path, "--dry-run", *data(tmp_path))
    assert train("fit", "--recipe", "mfcc-cnn", *args) == 0
    assert "no RAVDESS clip here is surprised" in capsys.readouterr().err
    assert train("fit", "--recipe", "cnn-bilstm-multi", *args) == 0
    assert "has no VGGish embeddings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lacking", "status", "sentence"),
    [
        ((1, 2), 0, "development-1: no test clip is surprised, which its figures leave out"),
        (ACTORS[2:], 1, "The split development-1 has no training clip that is surprised"),
    ],
)
def test_a_fold_without_an_emotion_is_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lacking: Sequence[int],
    status: int,
    sentence: str,
) -> None:
    write_ravdess(tmp_path / "data", ACTORS)
    for actor in lacking:
        (tmp_path / f"data/Actor_{actor:02}/03-01-08-01-01-01-{actor:02}.flac").unlink()
    args = ("--fold", 1, "--runs", tmp_path, "--dry-run", *data(tmp_path))
    assert train("fit", "--recipe", "mfcc-cnn", *args) == status
    *others, said = capsys.readouterr().err.strip().splitlines()
    assert sentence in said
    assert all("the data folder lacks the actors" in other for other in others)


def test_one_actor_alone_makes_no_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ravdess(tmp_path / "data", [1])
    assert train("fit", "--recipe", "mfcc-cnn", *data(tmp_path)) == 1
    assert "are not in the data folder" in capsys.readouterr().err


def test_a_misspelt_system_is_suggested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("fit", "--recipe", "cnn-bigur", *data(tmp_path)) == 2
    assert "did you mean 'cnn-bigru'?" in capsys.readouterr().err


def test_what_can_not_be_quantised_is_tested_as_float(systems: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs/mfcc-cnn/development-1/seed0"
    shutil.copytree(systems / "runs/mfcc-cnn/development-1/seed0", folder)
    run, lost = Run(folder), "model.keras"
    model = keras.Sequential([keras.Input((1, 40)), keras.layers.Lambda(lambda x: x)])
    (folder / lost).unlink()
    model.save(folder / lost)  # no converter opens it: it holds code
    clips = FeatureCache(systems / "cache", Jobs(1)).compute(
        scan(systems / "data").clips[:2], recipes.load(systems / "mfcc-cnn.toml")
    )
    ((_, reason),) = quantize_runs([(run, clips)])
    assert reason
    assert run.unquantized.read_text().strip() == reason
    shutil.copy(systems / "runs/mfcc-cnn/development-1/seed0/model.keras", folder / lost)
    assert train("evaluate", folder, *data(systems)) == 0
    report = json.loads((folder / "report/test/figures.json").read_text())
    assert list(report["forms"]) == ["float"]
