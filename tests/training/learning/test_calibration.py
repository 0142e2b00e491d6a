"""Temperature and threshold: from other folds, never from the clips that a run is tested on."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from miniature import Pipeline, train

from undertone.recognition.bundle import Activation
from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.corpora.splits import splits
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.calibration import (
    HeldOut,
    calibrate,
    fit_on_held_out,
    predict_held_out,
)
from undertone_training.learning.fit import fit
from undertone_training.learning.runs import Run, describe, find_runs
from undertone_training.metrics import Confidence

pytestmark = pytest.mark.xdist_group("tensorflow")

FeaturesOf = Callable[[Run], list[ClipFeatures]]


def predictions_with(features_of: FeaturesOf) -> HeldOut:
    return lambda runs: [predict_held_out(run, features_of(run)) for run in runs]


GIVEN = Confidence(1.25, 0.5, Activation(1.5, -0.25))


@pytest.fixture
def folds(shipping: Path, tmp_path: Path) -> list[Run]:
    """The four development folds of a recipe that holds nobody out, uncalibrated."""
    shutil.copytree(shipping / "ship", tmp_path / "ship", ignore=shutil.ignore_patterns("final"))
    return find_runs(tmp_path / "ship")


@pytest.fixture(scope="module")
def held_out(clips: list[ClipFeatures]) -> FeaturesOf:
    by_id = {each.clip.clip_id: each for each in clips}

    def features_of(run: Run) -> list[ClipFeatures]:
        """With zeros in place of the pitch, if the run has it."""
        more = run.info.recipe.frame_width - clips[0].segments[0].shape[1]
        return [
            replace(each, segments=tuple(np.pad(s, ((0, 0), (0, more))) for s in each.segments))
            for each in (by_id[clip_id] for clip_id in run.info.test)
        ]

    return features_of


def confidences(runs: list[Run]) -> list[tuple[float, float]]:
    return [run.calibration.confidence for run in runs]


def test_a_fold_gets_its_confidence_from_the_others(
    folds: list[Run], held_out: FeaturesOf, clips: list[ClipFeatures]
) -> None:
    assert all(run.calibration.temperature is None for run in folds)
    assert calibrate(folds[:1], predictions_with(held_out)) == folds[:1]
    assert folds[0].calibration.confidence == (1.0, 0.0)
    asked: list[str] = []

    def counted(run: Run) -> list[ClipFeatures]:
        asked.extend(run.info.test)
        return held_out(run)

    assert calibrate(folds, predictions_with(counted)) == []
    assert sorted(asked) == sorted(each.clip.clip_id for each in clips)
    found = confidences(folds)
    assert all(temperature and threshold for temperature, threshold in found)
    assert len(set(found)) == len(folds)
    assert calibrate(folds, predictions_with(held_out)) == []
    assert confidences(folds) == found


def test_the_clips_that_a_fold_is_tested_on_are_not_what_it_is_calibrated_on(
    folds: list[Run], held_out: FeaturesOf
) -> None:
    first = folds[0].folder
    assert calibrate(folds, predictions_with(held_out)) == []
    before = confidences(folds)
    for run in folds:
        run.save(msgspec.structs.replace(run.calibration, temperature=None, threshold=None))

    def spoilt(run: Run) -> list[ClipFeatures]:
        features = held_out(run)
        if run.folder != first:
            return features
        noise = np.random.default_rng(0)
        return [
            replace(each, segments=tuple(noise.normal(0, 9, s.shape) for s in each.segments))
            for each in features
        ]

    assert calibrate(folds, predictions_with(spoilt)) == []
    after = confidences(folds)
    assert after[0] == before[0]
    assert all(one != other for one, other in zip(after[1:], before[1:], strict=True))


def test_a_run_that_held_no_clip_out_is_not_asked_for_predictions(
    folds: list[Run], held_out: FeaturesOf
) -> None:
    """As a first stage, or a final run without the clips of the test actors."""
    without, other = folds[:2]
    without.save(msgspec.structs.replace(without.info, test=()))
    assert calibrate([without, other], predictions_with(held_out)) == [other]
    assert without.calibration.temperature


@pytest.mark.usefixtures("_eager_training")
def test_a_final_model_can_hold_no_actor_out(
    pipeline: Pipeline,
    tmp_path: Path,
    clips: list[ClipFeatures],
    held_out: FeaturesOf,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its confidence comes from the predictions of folds for held-out actors, and of all four."""
    temperature, threshold, activation, _ = fit_on_held_out(
        [pipeline.fold], predictions_with(held_out)
    )
    assert 0.05 <= temperature <= 20
    assert 0 <= threshold <= 1
    assert activation.scale > 0
    recipe = recipes.load(pipeline.recipe)
    everyone = splits(scan(pipeline.home).clips, "final", recipe.song, n_validation_actors=0)[0]
    assert not everyone.validation
    quick = msgspec.structs.replace(
        recipe, schedule=msgspec.structs.replace(recipe.schedule, epochs=1)
    )
    run = Run(tmp_path / "all")
    fit(run, describe(quick, everyone, 0), clips, [], confidence=GIVEN)
    calibration = run.calibration
    assert (calibration.temperature, calibration.threshold, calibration.activation) == GIVEN[:3]
    assert set(run.epochs()) == {"loss", "accuracy"}
    capsys.readouterr()
    args = ("fit", "--recipe", pipeline.recipe, "--runs", tmp_path, "--confidence", pipeline.quick)
    assert train(*args, "--protocol", "final", *pipeline.data()) == 1
    assert "1 of the 4 folds of quick are trained" in capsys.readouterr().err
    assert train(*args, *pipeline.data()) == 2
    assert "--protocol final" in capsys.readouterr().err
