"""The training of one network: its initial weights, interruptions, early stopping."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest
from miniature import RECIPE, Pipeline, info_for, small, train

from undertone_training.corpora.splits import splits
from undertone_training.errors import RunError
from undertone_training.features.cache import ClipFeatures
from undertone_training.learning.fit import fit
from undertone_training.learning.runs import Run, describe

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_a_killed_training_continues_where_it_stopped(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "killed.toml"
    recipe.write_text(RECIPE.replace("epochs = 25", "epochs = 4"))
    program = f"""
import os, signal
from pathlib import Path
from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.fit import fit
from undertone_training.corpora.noise import for_training
from undertone_training.jobs import Jobs
from undertone_training.learning.runs import Run, describe
from undertone_training.corpora.splits import splits

recipe = recipes.load({str(recipe)!r})
split = splits(scan(Path({str(pipeline.home)!r})).clips, "speaker-independent", False, 2)[0]
info = describe(recipe, split, 0)
run = Run(Path({str(tmp_path)!r}, "killed", split.name, "seed0"))
noise = for_training(Path({str(pipeline.home)!r}))
cache = FeatureCache(Path({str(pipeline.cache)!r}), Jobs(1))
features = lambda side: cache.compute(side, recipe, noise=noise)

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
    args = ("fit", "--recipe", recipe, "--runs", tmp_path, "--fold", 1, *pipeline.data())
    assert train(*args) == 0
    assert killed.finished
    rows = killed.history.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2", "3"]
    assert killed.epochs()["loss"][:2] == before
    assert sorted(path.name for path in killed.folder.iterdir()) == [
        "calibration.json", "history.csv", "model.keras", "run.json",
    ]  # fmt: skip


@pytest.mark.parametrize(("watched", "best_of"), [("loss", min), ("accuracy", max)])
def test_early_stopping_remembers_the_best_epoch_of_an_interrupted_training(
    watched: str,
    best_of: Callable[[list[float]], float],
    pipeline: Pipeline,
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
        replace(
            each, clip=msgspec.structs.replace(each.clip, emotion="happy" if index % 2 else "sad")
        )
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


def test_a_training_starts_from_the_weights_of_another(
    pipeline: Pipeline, clips: list[ClipFeatures], tmp_path: Path
) -> None:
    known = [each for each in clips if each.clip.clip_id in pipeline.final.info.train]
    quick = pipeline.final.info.recipe
    still = msgspec.structs.replace(quick.schedule, epochs=1, learning_rate=1e-9, shape="constant")
    recipe = msgspec.structs.replace(quick, name="fine", begins_with="quick", schedule=still)
    info = msgspec.structs.replace(info_for(known, recipe), labels=pipeline.final.info.labels)
    run = Run(tmp_path / "fine")
    fit(run, info, known, (), initial=pipeline.final)
    before, after = (
        keras.models.load_model(each.model, compile=False) for each in (pipeline.final, run)
    )
    kernels = [
        [weight for weight in model.get_weights() if weight.ndim > 1] for model in (before, after)
    ]
    for one, same in zip(*kernels, strict=True):
        np.testing.assert_allclose(one, same, atol=1e-5)

    other = msgspec.structs.replace(recipe, convolutions=((8, 3, 2), (8, 3, 2), (8, 3, 2)))
    wrong = msgspec.structs.replace(info, recipe=other)
    with pytest.raises(RunError, match="its network has other layers"):
        fit(Run(tmp_path / "other"), wrong, known, (), initial=pipeline.final)
    fewer = msgspec.structs.replace(info, train_speakers=("01",))
    with pytest.raises(RunError, match="trained on speakers that this run is not"):
        fit(Run(tmp_path / "fewer"), fewer, known, (), initial=pipeline.final)
