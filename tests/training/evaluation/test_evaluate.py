"""The command evaluate: which clips, which reports, and what they say of themselves."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from miniature import Pipeline, assert_drawn, train

from undertone_training.evaluation.conditions import load_reports
from undertone_training.evaluation.results import Pooled

# the first test looks at the pictures, which the pipeline has drawn before
pytestmark = [pytest.mark.xdist_group("tensorflow"), pytest.mark.usefixtures("_without_pictures")]


def test_evaluate_writes_what_it_says(pipeline: Pipeline) -> None:
    pooled = Pooled.load(pipeline.quick / "report" / "speaker-independent.json")
    assert pooled.protocol == "speaker-independent (1 of 4 folds)"
    assert (pooled.seeds, pooled.splits) == ((0,), ("development-1",))
    assert list(pooled.forms) == ["float", "int8"]
    assert pooled.forms["int8"].uar.deviation is None
    assert pooled.cost.model_bytes == pipeline.fold.tflite.stat().st_size
    for folder in (
        pipeline.fold.report / "test",
        pipeline.quick / "report/speaker-independent/seed0",
    ):
        content = json.loads((folder / "figures.json").read_text())
        assert content["protocol"].startswith("speaker-independent")
        assert content["speakers"] == ["01", "02"]
        assert content["forms"]["int8"]["uar"] == pooled.forms["int8"].uar.mean
        assert_drawn(folder / "confusion-int8.png")
        assert_drawn(folder / "embedding.png")
        parts = (folder / "breakdown.csv").read_text()
        assert re.findall("^int8,(.*?),8,", parts, re.M) == [
            "speaker,01", "speaker,02", "sex,female", "sex,male",
        ]  # fmt: skip


def test_a_final_run_without_its_test_actors_is_left_out(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not list(pipeline.quick.glob("report/*final*"))
    assert train("evaluate", pipeline.final.folder, *pipeline.data()) == 1
    assert "test actors 21-24 are not in the data folder" in capsys.readouterr().err


def test_a_final_run_is_tested_on_the_test_actors_wherever_they_are(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline.quick / "final"
    assert train("evaluate", folder, *pipeline.data(pipeline.everyone)) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert Path(last.removesuffix(": written")).is_file()
    (path,) = (folder / "report").glob("*.json")
    pooled = Pooled.load(path)
    assert pooled.protocol == "speaker-independent, final (actors 21, 22 only)"
    report = json.loads((pipeline.final.report / "test" / "figures.json").read_text())
    assert report["speakers"] == ["21", "22"]
    assert report["forms"]["float"]["n_clips"] == 16


def test_another_corpus_is_tested_on_the_labels_that_it_shares(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline.quick / "development-1"
    args = ("evaluate", folder, "--protocol", "cross-corpus", *pipeline.data(pipeline.everyone))
    assert train(*args) == 0
    report = pipeline.fold.report / "cross-corpus-tess" / "figures.json"
    assert f"{report.with_name('report.html')}: written" in capsys.readouterr().out
    int8 = json.loads(report.read_text())["forms"]["int8"]
    assert (int8["n_clips"], int8["absent"]) == (14, ["calm"])
    assert Pooled.load(folder / "report/cross-corpus-tess.json").protocol == "cross-corpus (tess)"
    (found,) = load_reports(pipeline.fold.report, sha256_of(pipeline))["cross-corpus"].conditions
    assert (found.corpus, found.condition, found.n_clips) == ("tess", "zero-shot", 14)
    assert found.four_emotions is not None
    assert train("compare", pipeline.fold.folder) == 0  # which leaves that file out


def sha256_of(pipeline: Pipeline) -> str:
    return hashlib.sha256(pipeline.fold.tflite.read_bytes()).hexdigest()


def test_degraded_tests_the_speakers_that_a_run_held_out(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("evaluate", pipeline.fold.folder, "--protocol", "degraded", "--sample", 4)
    assert train(*args, *pipeline.data()) == 0
    report = load_reports(pipeline.fold.report, sha256_of(pipeline))["degraded"]
    assert {each.n_clips for each in report.conditions} == {4}
    assert report.conditions[0].condition == "as recorded"
    assert "a sample of ravdess: 4 of 16 clips, drawn with seed 0" in report.notes
    assert "these are the clips that speaker-independent held out" in report.notes
    assert train(*args, "--corpus", "tess", *pipeline.data(pipeline.everyone)) == 0
    report = load_reports(pipeline.fold.report, sha256_of(pipeline))["degraded"]
    assert "all tested speakers are new to the model (tess)" in report.notes


def test_no_other_corpus_is_one_sentence(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    cross = ("--protocol", "cross-corpus", *pipeline.data())
    assert train("evaluate", pipeline.fold.folder, *cross) == 1
    assert "no corpus besides ravdess" in capsys.readouterr().err


def test_live_figures_are_kept_apart_by_protocol_and_noise(
    pipeline: Pipeline, promoted: Path
) -> None:
    reports = sorted(path.name for path in (pipeline.quick / "report").glob("live*.json"))
    assert reports == [
        "live-from-afar.json",
        "live-music-at-10-db-snr.json",
        "live-no-noise.json",
        "live-room-noise-at-10-db-snr.json",
    ]
    quiet = Pooled.load(pipeline.quick / "report" / "live-no-noise.json")
    assert quiet.splits == ("development-1",)
    assert quiet.live is not None
    assert quiet.live.clips == 16
    assert quiet.live.missed_clips <= 2


def test_validation_figures_say_so(pipeline: Pipeline) -> None:
    assert train("evaluate", pipeline.final.folder, "--split", "validation", *pipeline.data()) == 0
    content = json.loads((pipeline.final.report / "validation" / "figures.json").read_text())
    assert content["protocol"] == "final (validation actors)"
    assert content["speakers"] == list(pipeline.final.info.validation_speakers)


def test_a_bundle_is_tested_on_held_out_speakers_through_the_device_path(
    pipeline: Pipeline, promoted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("evaluate", promoted, "--to", tmp_path, *pipeline.data(pipeline.everyone)) == 0
    (path,) = tmp_path.glob("*/figures.json")
    assert f"{path.with_name('report.html')}: written" in capsys.readouterr().out
    content = json.loads(path.read_text())
    assert content["speakers"] == ["21", "22"]
    assert list(content["forms"]) == ["int8"]
    assert train("evaluate", promoted, "--to", tmp_path, *pipeline.data()) == 1
    assert "test actors 21-24 are not" in capsys.readouterr().err
    cross = ("--protocol", "cross-corpus", "--to", tmp_path, *pipeline.data(pipeline.everyone))
    assert train("evaluate", promoted, *cross) == 0
    assert (tmp_path / "cross-corpus-tess" / "figures.json").is_file()
    assert train("evaluate", promoted, "--protocol", "live", *pipeline.data()) == 2
