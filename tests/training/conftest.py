"""The whole pipeline, run once from recordings to a bundle, for the tests of its steps."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from miniature import (
    ACTORS,
    FIRST_STAGE,
    RECIPE,
    SHIPPING,
    TEST_ACTORS,
    Pipeline,
    conversion_here,
    eager_training,
    train,
    without_pictures,
    write,
    write_ravdess,
    write_tess,
)

import undertone_training.references.features  # noqa: F401  so that every recipe can be read
from undertone_training.evaluation import streaming
from undertone_training.evaluation.false_alarms import FalseAlarms, NoiseReport
from undertone_training.features.cache import ClipFeatures

CONDITIONS = tuple(
    each
    for each in streaming.CONDITIONS
    if not each.name.endswith(("in a room", "20 dB SNR", "5 dB SNR"))
)
"""Of the protocol live: one of each kind, since each takes seconds."""


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Prepared, fitted, quantised and evaluated: a final run, and one of the first fold."""
    folder = tmp_path_factory.mktemp("pipeline")
    everyone = folder / "corpora"
    made = Pipeline(
        everyone, everyone / "home", folder / "cache", folder / "quick.toml", folder / "runs",
        folder / "models",
    )  # fmt: skip
    write_ravdess(made.home / "ravdess", ACTORS)
    write_ravdess(everyone / "ravdess", TEST_ACTORS)
    write_tess(everyone / "tess")
    for seed, name in enumerate(("rain", "river")):  # one to train with, one to test in
        noise = np.random.default_rng(seed).normal(0, 0.05, 48_000)
        write(made.home / "noise" / f"{name}.flac", noise)
    made.recipe.write_text(RECIPE)
    assert train("prepare", "--recipe", made.recipe, "--corpus", "ravdess", *made.data()) == 0
    fit = ("fit", "--recipe", made.recipe, "--runs", made.runs, *made.data())
    assert train(*fit, "--protocol", "final") == 0
    assert train(*fit, "--fold", 1) == 0
    assert train("quantize", made.runs, *made.data()) == 0
    assert train("evaluate", made.runs, *made.data()) == 0
    return made


@pytest.fixture(scope="session")
def promoted(pipeline: Pipeline) -> Path:
    """The final run's bundle, with the figures of the protocols live and noise on its card."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("evaluate", "streaming"):
            patch.setattr(f"undertone_training.evaluation.{module}.CONDITIONS", CONDITIONS)
        patch.setattr("undertone_training.evaluation.backgrounds.DURATION_S", 24.0)
        assert train("evaluate", pipeline.quick, "--protocol", "live", *pipeline.data()) == 0
    sound = FalseAlarms("x", "made sounds", False, 1200.0, 2, 1)
    sha256 = hashlib.sha256(pipeline.final.tflite.read_bytes()).hexdigest()
    NoiseReport(sha256, (-20.0,), (sound,)).save(pipeline.final.report)
    status = train(
        "promote", pipeline.final.folder, "--evidence", pipeline.quick, "--name", "quick",
        "--to", pipeline.models, *pipeline.data(),
    )  # fmt: skip
    assert status == 0
    return pipeline.models / "quick"


@pytest.fixture(scope="session")
def shipping(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data``, recipes, and runs: a first stage, the folds of ``ship``, its final
    run, whose confidence comes from the folds; the folds have none yet.
    """
    folder = tmp_path_factory.mktemp("shipping")
    shutil.copytree(pipeline.home, folder / "data")
    shutil.copytree(pipeline.everyone / "tess", folder / "data" / "tess")
    (folder / "first.toml").write_text(FIRST_STAGE)
    (folder / "ship.toml").write_text(SHIPPING)
    fit = ("fit", "--runs", folder, *pipeline.data(folder / "data"), "--recipe")
    final = ("--protocol", "final", "--confidence", folder / "ship")
    with eager_training():
        assert train(*fit, folder / "first.toml") == 0
        assert train(*fit, folder / "ship.toml") == 0
        assert train(*fit, folder / "ship.toml", *final) == 0
    return folder


@pytest.fixture(scope="session")
def clips(pipeline: Pipeline) -> list[ClipFeatures]:
    """Every training actor's clip as the gate cuts it, with its augmented copy."""
    return list(pipeline.features())


@pytest.fixture(scope="module")
def _eager_training() -> Iterator[None]:
    """For the tests of a module that train for an epoch or two in this process."""
    with eager_training():
        yield


@pytest.fixture(scope="module")
def _conversion_here() -> Iterator[None]:
    """For the tests of a module that quantise, but don't test that."""
    with conversion_here():
        yield


@pytest.fixture(scope="module")
def _without_pictures() -> Iterator[None]:
    """For the tests of a module that evaluate and look at the figures alone."""
    with without_pictures():
        yield
