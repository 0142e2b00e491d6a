"""Test clips never influence what is fitted: poisoned, replaced or absent, they change nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
from miniature import RECIPE, Pipeline, train, voice, write

from undertone import samples
from undertone_training.learning.runs import Calibration, Run

pytestmark = [pytest.mark.xdist_group("tensorflow"), pytest.mark.usefixtures("_eager_training")]


def garbage(path: Path) -> None:
    path.write_bytes(b"poison")


def another_sound(path: Path) -> None:
    write(path, np.random.default_rng(len(path.name)).normal(0, 0.1, 32_000))


def another_voice(path: Path) -> None:
    """A clip in a voice that nobody has."""
    code = int(path.name[6:8])
    write(path, voice(samples.clips()[code - 1], 30))


def absent(path: Path) -> None:
    path.unlink()


def change(data: Path, actor: int, how: Callable[[Path], None]) -> None:
    """Do something to each of an actor's eight clips."""
    clips = list(data.rglob(f"*-{actor:02}.flac"))
    assert len(clips) == 8
    for path in clips:
        how(path)


Fitted = tuple[Calibration, list[np.ndarray]]


def fitted_by(run: Run) -> Fitted:
    """What is fitted in a training: calibration and weights."""
    model = keras.models.load_model(run.model, compile=False)
    return msgspec.structs.replace(run.calibration, fit_s=0.0), model.get_weights()


def assert_same(one: Fitted, other: Fitted) -> None:
    assert one[0] == other[0]
    for mine, yours in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(mine, yours)


@pytest.fixture(scope="module")
def fitted(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Fitted]:
    """What is fitted on a copy of the recordings that was changed before the training."""

    def trained(spoil: Callable[[Path], None], protocol: str = "speaker-independent") -> Fitted:
        folder = tmp_path_factory.mktemp("fitted")
        shutil.copytree(pipeline.home, folder / "data")
        spoil(folder / "data")
        recipe = folder / "quick.toml"
        recipe.write_text(RECIPE.replace("epochs = 25", "epochs = 2"))
        args = ("fit", "--recipe", recipe, "--runs", folder, "--fold", 1, "--protocol", protocol)
        assert train(*args, *pipeline.data(folder / "data")) == 0
        (path,) = folder.rglob("calibration.json")
        return fitted_by(Run(path.parent))

    return trained


@pytest.fixture(scope="module")
def untouched(fitted: Callable[..., Fitted]) -> Fitted:
    return fitted(lambda data: None)


@pytest.mark.parametrize("how", [garbage, another_sound, absent])
def test_no_test_clip_influences_what_is_fitted(
    how: Callable[[Path], None], fitted: Callable[..., Fitted], untouched: Fitted
) -> None:
    """Weights, normalisation, temperature and threshold are the same whatever is tested on."""

    def spoil(data: Path) -> None:
        change(data, 2, how)
        if how is not absent:  # a fold needs somebody to test
            change(data, 1, how)

    assert_same(fitted(spoil), untouched)


def test_the_test_actors_do_not_influence_the_final_model(
    pipeline: Pipeline, fitted: Callable[..., Fitted]
) -> None:
    def join(data: Path) -> None:
        shutil.copytree(pipeline.everyone / "ravdess", data / "test-actors")

    assert_same(fitted(lambda data: None, "final"), fitted(join, "final"))


@pytest.fixture
def shipped_again(shipping: Path, pipeline: Pipeline, tmp_path: Path) -> Callable[..., Fitted]:
    """What is fitted when one run of the shipping path is trained again on changed recordings."""

    def trained(split: str, spoil: Callable[[Path], None], *options: object) -> Fitted:
        folder = tmp_path / "again"
        shutil.copytree(shipping, folder)
        shutil.rmtree(folder / "ship" / split)
        spoil(folder / "data")
        args = ("--recipe", folder / "ship.toml", "--runs", folder, *pipeline.data(folder / "data"))
        assert train("fit", *args, *options) == 0
        return fitted_by(Run(folder / "ship" / split / "seed0"))

    return trained


def test_no_test_clip_influences_a_fold_of_the_shipping_path(
    shipping: Path, shipped_again: Callable[..., Fitted]
) -> None:
    """With a first stage, and with nobody held out for validation."""

    def spoil(data: Path) -> None:
        change(data, 1, garbage)
        change(data, 2, another_sound)

    before = fitted_by(Run(shipping / "ship" / "development-1" / "seed0"))
    assert before[0].temperature is None
    assert_same(shipped_again("development-1", spoil, "--fold", 1), before)


def test_the_test_actors_do_not_influence_what_ships(
    shipping: Path, shipped_again: Callable[..., Fitted], pipeline: Pipeline
) -> None:
    """Its confidence included, which comes from the folds."""

    def join(data: Path) -> None:
        shutil.copytree(pipeline.everyone / "ravdess", data / "test-actors")

    before = fitted_by(Run(shipping / "ship" / "final" / "seed0"))
    assert before[0].temperature is not None
    options = ("--protocol", "final", "--confidence", shipping / "ship")
    assert_same(shipped_again("final", join, *options), before)


def test_training_clips_influence_all_and_validation_clips_the_confidence_alone(
    pipeline: Pipeline, fitted: Callable[..., Fitted], untouched: Fitted
) -> None:
    """So that the tests above can fail."""
    info = pipeline.fold.info
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
