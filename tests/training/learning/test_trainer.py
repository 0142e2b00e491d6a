"""One training after another: what is planned, trained, left alone or calibrated again."""

import shutil
from pathlib import Path
from typing import Literal

import pytest
from miniature import RECIPE, Pipeline, train

from undertone.emotions import EMOTIONS
from undertone.recognition.bundle import Activation
from undertone_training.corpora.clip import AudioRef, Clip
from undertone_training.corpora.splits import Split
from undertone_training.features.cache import FeatureCache
from undertone_training.learning.runs import Run, describe
from undertone_training.learning.trainer import Trainer, Training, shortcomings, splits_for
from undertone_training.metrics import Confidence
from undertone_training.recipe import Recipe, Regularization, Schedule

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_a_run_leaves_all_that_it_was_made_from(pipeline: Pipeline) -> None:
    info = pipeline.fold.info
    assert info.protocol == "speaker-independent"
    assert info.labels == EMOTIONS
    assert {name[-2:] for name in info.test} == {"01", "02"}
    assert not {"01", "02"} & {*info.train_speakers, *info.validation_speakers}
    assert len(pipeline.fold.epochs()["loss"]) == info.recipe.schedule.epochs
    assert not pipeline.fold.checkpoints()


def test_a_finished_run_is_left_as_it_is(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    before = pipeline.fold.model.stat().st_mtime_ns
    status = train(
        "fit", "--recipe", pipeline.recipe, "--runs", pipeline.runs, "--fold", 1, *pipeline.data()
    )
    assert status == 0
    assert "finished already" in capsys.readouterr().out
    assert pipeline.fold.model.stat().st_mtime_ns == before


def test_a_run_that_another_process_has_finished_meanwhile_gets_the_confidence(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    shutil.copytree(pipeline.fold.folder, tmp_path / "quick" / "development-1" / "seed0")
    run = Run(tmp_path / "quick" / "development-1" / "seed0")
    info, weights = run.info, run.model.read_bytes()
    training = Training(run, info, Split(info.split, info.protocol, (), (), ()), (), (), None)
    trainer = Trainer(tmp_path / "data", tmp_path, FeatureCache(tmp_path / "cache"))
    trainer.train(training, Confidence(1.25, 0.5, Activation(1.5, -0.25)))
    assert run.calibration.confidence == (1.25, 0.5)
    assert run.calibration.activation == Activation(1.5, -0.25)
    trainer.train(training)
    assert run.calibration.confidence == (1.25, 0.5)
    assert run.model.read_bytes() == weights


def test_other_vocal_tracts_leave_the_weights_and_need_another_calibration(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pipeline.fold.folder, tmp_path / "quick" / "development-1" / "seed0")
    run = Run(tmp_path / "quick" / "development-1" / "seed0")
    weights, before = run.model.read_bytes(), run.calibration
    recipe = tmp_path / "quick.toml"
    recipe.write_text(RECIPE.replace("frames = 64", "frames = 64\nvocal_tracts = [0.9, 1.1]"))
    asked = ("fit", "--recipe", recipe, "--runs", tmp_path, "--fold", 1, *pipeline.data())
    assert train(*asked, "--dry-run") == 0
    assert "would be recalibrated" in capsys.readouterr().out
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


@pytest.mark.usefixtures("_eager_training", "_conversion_here")
def test_a_training_can_start_from_a_run_on_another_corpus(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, then = tmp_path / "elsewhere.toml", tmp_path / "then.toml"
    short = RECIPE.replace("epochs = 25", "epochs = 1")
    first.write_text('corpus = "tess"\n' + short)
    then.write_text('begins_with = "elsewhere"\nsteady_noise = "subtracted"\n' + short)
    command = ("--runs", tmp_path, *pipeline.data(pipeline.everyone))
    assert train("fit", "--recipe", then, *command, "--fold", 1) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert f"needs a finished run of the recipe elsewhere, and {tmp_path}/elsewhere has" in error
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
    # it was trained on TESS, which therefore can't test it
    assert train("quantize", run.folder, *pipeline.data(pipeline.everyone)) == 0
    capsys.readouterr()
    cross = ("--protocol", "cross-corpus", *pipeline.data(pipeline.everyone))
    assert train("evaluate", run.folder, *cross) == 1
    assert "There is no corpus besides ravdess, tess" in capsys.readouterr().err
    assert train("tune", "--recipe", first, *command, "--dry-run") == 2
    assert "is trained on all of tess" in capsys.readouterr().err


def test_an_edited_recipe_is_not_taken_for_the_trained_one(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quick.toml").write_text(RECIPE.replace("epochs = 25", "epochs = 26"))
    args = ("--runs", pipeline.runs, "--fold", 1, *pipeline.data())
    assert train("fit", "--recipe", tmp_path / "quick.toml", *args) == 1
    assert "another recipe called quick" in capsys.readouterr().err


def clip_of(corpus: str, speaker: str, emotion: str, sex: Literal["male", "female"]) -> Clip:
    return Clip(
        corpus=corpus, clip_id=f"{corpus}-{speaker}-{emotion}", speaker=speaker, sex=sex,
        emotion=emotion, source=AudioRef(Path("x.wav")),
    )  # fmt: skip


def at_hand() -> list[Clip]:
    """RAVDESS without disgust, nEMO with it, and a corpus that no recipe names."""
    actors = [(f"{actor:02}", "female" if actor % 2 == 0 else "male") for actor in range(1, 25)]
    voiced = [emotion for emotion in EMOTIONS if emotion != "disgust"]
    return [
        *(clip_of("ravdess", name, emotion, sex) for name, sex in actors for emotion in voiced),
        *(clip_of("nemo", f"N{n}", emotion, "male") for n in range(4) for emotion in EMOTIONS),
        clip_of("tess", "OAF", "surprised", "female"),
    ]


def for_several(*beside: str, labels: tuple[str, ...]) -> Recipe:
    return Recipe(
        "mine",
        labels=labels,
        beside=beside,
        validation_speakers=2,
        regularization=Regularization(mixup=0.0),
        schedule=Schedule(epoch_windows=100 if beside else 0),
    )


@pytest.mark.parametrize("protocol", ["speaker-independent", "final", "leave-one-corpus-out"])
def test_a_recipe_is_trained_and_tested_on_its_labels_and_corpora_alone(protocol: str) -> None:
    recipe = for_several("nemo", labels=("neutral", "happy", "sad", "disgust"))
    for split in splits_for(recipe, protocol, at_hand()):
        for side in (split.train, split.validation, split.test):
            assert {clip.emotion for clip in side} <= set(recipe.labels)
            assert {clip.corpus for clip in side} <= {"ravdess", "nemo"}
        known = describe(recipe, split, 0).labels
        assert set(known) == {clip.emotion for clip in split.train}
        assert known == tuple(label for label in recipe.labels if label in known)  # their order
        calm = [clip for clip in split.train if clip.clip_id.endswith("-calm")]
        assert calm
        assert {clip.emotion for clip in calm} == {"neutral"}
    assert not splits_for(recipe, "final", at_hand(), validate=False)[0].validation


def test_an_emotion_that_no_corpus_of_the_recipe_has_is_reported() -> None:
    few = ("neutral", "happy", "disgust")
    assert list(shortcomings(for_several("nemo", labels=few), at_hand())) == []
    (said,) = shortcomings(for_several(labels=few), at_hand())
    assert said == "no RAVDESS clip here is disgust: the network can't recognise that"
    without = [clip for clip in at_hand() if clip.emotion != "happy"]
    (said,) = shortcomings(for_several("nemo", labels=few), without)
    assert said == "no training clip here is happy: the network can't recognise that"
    # calm clips are what there is of neutral
    calm = [clip for clip in at_hand() if clip.emotion in ("calm", "happy")]
    assert list(shortcomings(for_several(labels=("neutral", "happy")), calm)) == []
