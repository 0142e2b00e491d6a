"""Which runs become bundles, and what the bundle contains."""

import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest
from miniature import Pipeline, assert_drawn, train

from undertone import cli as device_cli
from undertone import samples
from undertone.bench.model import describe
from undertone.cli import run
from undertone.emotions import EMOTIONS
from undertone.recognition import bundle
from undertone_training import recipe as recipes
from undertone_training.corpora import scan
from undertone_training.corpora.licences import licence_of_weights
from undertone_training.corpora.splits import Split
from undertone_training.evaluation.conditions import ConditionFigures, ConditionsReport
from undertone_training.evaluation.results import Pooled
from undertone_training.learning import runs
from undertone_training.learning.runs import Run
from undertone_training.networks import build
from undertone_training.promotion import Candidate, conditions_of

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_the_promoted_bundle_serves_the_device(
    promoted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = bundle.load(promoted)
    assert loaded.manifest.labels == EMOTIONS
    assert loaded.manifest.figures["extra"]["seeds"]["numbers"] == [0]
    assert loaded.manifest.figures["extra"]["parameters"] == describe(promoted).parameters
    assert "(1 of 4 folds)" in (promoted / "README.md").read_text()
    assert "live, room noise at 10 dB SNR" in (promoted / "README.md").read_text()
    assert "| noise, made sounds | 20 | 2 | 1 |" in (promoted / "README.md").read_text()
    path = str(samples.clips()[0])
    args = ["classify", path, "--model", str(promoted), "--format", "json"]
    assert run(device_cli.undertone, "undertone", args) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == path
    assert said["label"] in EMOTIONS


def test_the_command_of_a_bundle_names_the_folder_of_its_folds(shipping: Path) -> None:
    run = Run(shipping / "ship" / "final" / "seed0")
    assert Candidate(run, shipping / "ship", Path(), {}).command("ship") == (
        "undertone-train fit --recipe ship --protocol final --confidence runs/ship --seed 0"
    )


def test_the_command_of_a_bundle_that_ships_makes_it(pipeline: Pipeline) -> None:
    run, info = Mock(), pipeline.final.info
    found = Candidate(run, pipeline.quick, Path(), {})
    run.info = msgspec.structs.replace(info, recipe=recipes.load("tiny-noise"))
    assert found.command("ravdess8-tiny") == "undertone-train make ravdess8-tiny"
    assert "fit --recipe tiny-noise" in found.command("my-model")
    run.info = msgspec.structs.replace(run.info, seed=3)
    assert found.command("ravdess8-tiny") == "undertone-train make ravdess8-tiny --seed 3"
    changed = msgspec.structs.replace(run.info.recipe, song=False)  # a file of the same name
    run.info = msgspec.structs.replace(run.info, recipe=changed)
    assert "fit --recipe tiny-noise" in found.command("ravdess8-tiny")


def test_a_promoted_bundle_has_a_whole_report(promoted: Path) -> None:
    report = promoted / "report"
    assert {"figures.json", "report.html"} <= {path.name for path in report.iterdir()}
    assert_drawn(report / "confusion-int8.png")
    assert_drawn(report / "training.png")


def test_figures_of_other_corpora_go_with_the_bundle(
    pipeline: Pipeline, promoted: Path, tmp_path: Path
) -> None:
    other = ("--protocol", "cross-corpus", *pipeline.data(pipeline.everyone))
    assert train("evaluate", pipeline.final.folder, *other) == 0
    args = ("--evidence", pipeline.quick, "--name", "quick", "--to", tmp_path, *pipeline.data())
    assert train("promote", pipeline.final.folder, *args) == 0
    report = pipeline.final.report / "cross-corpus.json"
    assert (tmp_path / "quick/report/cross-corpus.json").read_bytes() == report.read_bytes()
    assert "| tess | zero-shot | 14 | 2 |" in (tmp_path / "quick/README.md").read_text()
    report.unlink()


def test_the_corpora_that_the_folds_left_out_have_their_rows_beside_the_others(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    def tested(split: str, seed: int, *rows: tuple[str, str]) -> Run:
        """A run of a recipe for several corpora, with a report of these and their conditions."""
        run = Run(tmp_path / split / f"seed{seed}")
        shutil.copytree(pipeline.final.folder, run.folder)
        info = json.loads((run.folder / "run.json").read_text()) | {"seed": seed}
        info["recipe"] = msgspec.to_builtins(recipes.load("everyday-tiny"))
        (run.folder / "run.json").write_text(json.dumps(info))
        conditions = tuple(
            ConditionFigures(corpus, condition, 9, 3, None, None, None, 0, 6, 3, 0.1)
            for corpus, condition in rows
        )
        notes = (f"a sample of {rows[0][0]}", "the same for all")
        ConditionsReport("cross-corpus", run.tflite_sha256, conditions, notes).save(run.report)
        return run

    final = tested("final", 0, ("casia", "zero-shot"))
    tested("without-nemo", 0, ("nemo", "leave-one-corpus-out"))
    tested("without-nemo", 1, ("other seed", "leave-one-corpus-out"))
    tested("without-ravdess", 0, ("ravdess", "leave-one-corpus-out"), ("casia", "zero-shot"))
    report = conditions_of(final, tmp_path)["cross-corpus"]
    assert [(each.corpus, each.condition) for each in report.conditions] == [
        ("casia", "zero-shot"),
        ("nemo", "leave-one-corpus-out"),
    ]
    assert report.notes == ("a sample of casia", "the same for all", "a sample of nemo")
    assert report.model_sha256 == final.tflite_sha256


@pytest.mark.parametrize("name", ["", "a/b", "../up", "Über", "-x"])
def test_an_impossible_name_is_wrong_usage(
    pipeline: Pipeline, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("promote", pipeline.final.folder, "--evidence", pipeline.quick, f"--name={name}")
    assert train(*args, "--to", pipeline.models, *pipeline.data()) == 2
    assert "can't name a bundle" in capsys.readouterr().err


def test_an_int8_model_unlike_its_float_model_is_refused_with_the_figures(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "seed0"
    shutil.copytree(pipeline.final.folder, folder)
    build(pipeline.final.info.recipe, 8).save(folder / "model.keras")  # other weights
    args = ("--evidence", pipeline.quick, "--name", "bad", "--to", tmp_path, *pipeline.data())
    assert train("promote", folder, *args) == 1
    said = capsys.readouterr()
    assert "own clips: UAR float 0." in said.out
    assert "98% are needed" in said.err
    assert not (tmp_path / "bad").exists()


def test_an_int8_model_that_loses_on_held_out_speakers_is_refused_with_the_figures(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(pipeline.quick / "report", tmp_path / "report")
    path = tmp_path / "report" / "speaker-independent.json"
    content = json.loads(path.read_text())
    for form, uar in (("float", 0.596), ("int8", 0.59)):
        content["forms"][form]["uar"]["mean"] = uar
    path.write_text(json.dumps(content))
    args = ("--evidence", tmp_path, "--name", "bad", "--to", tmp_path, *pipeline.data())
    assert train("promote", pipeline.final.folder, *args) == 1
    assert "UAR is 0.5900 against 0.5960" in capsys.readouterr().err


def test_weights_that_learnt_from_a_corpus_without_a_licence_are_refused(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "seed0"
    shutil.copytree(pipeline.final.folder, folder)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"corpora": ["casia", "nemo", "ravdess"]}))
    args = ("--evidence", pipeline.quick, "--name", "bad", "--to", tmp_path, *pipeline.data())
    assert train("promote", folder, *args) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "learnt from casia, whose terms give no licence for weights" in said
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("changed", ["gate", "detector"])
def test_a_run_behind_another_gate_than_the_device_is_refused(
    changed: str, pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "seed0"
    shutil.copytree(pipeline.final.folder, folder)
    run = json.loads((folder / "run.json").read_text())
    other = {"gate": run["gate"] | {"pause_s": 0.9}, "detector": "0" * 64}
    (folder / "run.json").write_text(json.dumps(run | {changed: other[changed]}))
    to = tmp_path / "models"
    args = ("--evidence", pipeline.quick, "--name", "bad", "--to", to, *pipeline.data())
    assert train("promote", folder, *args) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "trained behind another speech gate than the device's: train it again" in said
    assert not to.exists() or not list(to.iterdir())


def test_the_corpora_of_the_detector_count_for_the_licence(promoted: Path) -> None:
    manifest = bundle.load(promoted).manifest
    assert manifest.training.corpora == ("ravdess",)
    assert {"cremad", "nemo"} <= {*manifest.detector.corpora}
    assert manifest.training.licence == "CC BY-NC-SA 4.0; ODbL 1.0"


def test_what_teachers_learnt_from_counts_as_learnt(pipeline: Pipeline) -> None:
    info = pipeline.final.info
    clips = tuple(clip for clip in scan(pipeline.home).clips if clip.corpus == "ravdess")
    teacher = Mock(model_sha256="0" * 64)
    teacher.info = msgspec.structs.replace(info, corpora=("casia", "ravdess"))
    found = runs.describe(info.recipe, Split("final", "final", clips, (), ()), 0, [teacher])
    assert found.corpora == ("casia", "ravdess")
    assert licence_of_weights(["ravdess", "cremad", "nemo"]) == "CC BY-NC-SA 4.0; ODbL 1.0"
    assert licence_of_weights(["ravdess", "family"]) == "CC BY-NC-SA 4.0; own recordings"


def test_only_a_final_run_with_its_own_evidence_is_promoted(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--evidence", pipeline.quick, "--name", "bad", "--to", tmp_path, *pipeline.data())
    assert train("promote", pipeline.fold.folder, *args) == 1
    assert "promote a run of `undertone-train fit --protocol final`" in capsys.readouterr().err
    pooled = Pooled.load(pipeline.quick / "report" / "speaker-independent.json")
    shutil.copytree(pipeline.quick / "report", tmp_path / "report")
    other = msgspec.structs.replace(pooled.recipe, width=0.5)
    msgspec.structs.replace(pooled, recipe=other).save(
        tmp_path / "report" / "speaker-independent.json"
    )
    args = ("--evidence", tmp_path, "--name", "bad", "--to", tmp_path, *pipeline.data())
    assert train("promote", pipeline.final.folder, *args) == 1
    assert "earlier version of the recipe" in capsys.readouterr().err
