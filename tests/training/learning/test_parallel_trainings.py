"""Trainings as jobs: on processes and on a cluster, interrupted and killed, to the same weights."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from dask_cluster import Cluster, running_cluster
from miniature import RECIPE, Pipeline, train

from undertone_training.cli.common import feature_cache
from undertone_training.corpora import scan
from undertone_training.learning import calibration
from undertone_training.learning.runs import Run, find_runs
from undertone_training.lease import Lease

pytestmark = pytest.mark.xdist_group("tensorflow")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=1) as cluster:
        yield cluster


def test_interrupted_and_killed_on_a_cluster_a_training_has_the_weights_of_processes(
    pipeline: Pipeline,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quick.toml").write_text(RECIPE)
    where = ("--data", pipeline.home, "--cache", pipeline.cache)
    fit = ("fit", "--recipe", "quick.toml", *where, "--fold", 1)
    assert train(*fit, "--runs", "here", "--jobs", 2) == 0
    assert "1 training: 25 of 25 " in capsys.readouterr().err
    # here the folder of runs is not absolute, and a worker's current folder is another one
    there = Run(Path("there/quick/development-1/seed0"))
    on_the_cluster = (*fit, "--runs", "there", "--scheduler", cluster.address)
    renew = Lease.renew

    def interrupt(lease: Lease) -> None:
        renew(lease)
        if there.latest_epoch[0] > 1:
            raise KeyboardInterrupt

    def kill(lease: Lease) -> None:
        renew(lease)
        if there.latest_epoch[0] > before and len(cluster.workers) == 1:
            assert not there.finished
            cluster.kill_worker()
            cluster.start_worker()

    monkeypatch.setattr(Lease, "renew", interrupt)
    assert train(*on_the_cluster) == 130
    assert not there.finished
    assert not list(Path("there").glob(".*"))
    before = there.latest_epoch[0]
    monkeypatch.setattr(Lease, "renew", kill)
    capsys.readouterr()
    assert train(*on_the_cluster) == 0
    assert len(cluster.workers) == 2
    assert f"{there.folder.absolute()}: trained in " in capsys.readouterr().out
    epochs = [row.partition(",")[0] for row in there.history.read_text().splitlines()[1:]]
    assert epochs == [str(epoch) for epoch in range(25)]
    one, other = (
        keras.models.load_model(run.model, compile=False).get_weights()
        for run in (there, Run(Path("here/quick/development-1/seed0")))
    )
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_is_evaluated_on_a_cluster_as_here(
    pipeline: Pipeline, cluster: Cluster, tmp_path: Path
) -> None:
    copy = Run(tmp_path / "quick" / "development-1" / "seed0")
    shutil.copytree(pipeline.fold.folder, copy.folder)
    shutil.rmtree(copy.report)
    where = ("--data", pipeline.home, "--cache", pipeline.cache)
    assert train("evaluate", tmp_path, *where, "--scheduler", cluster.address) == 0
    ours, theirs = (run.report / "test" / "figures.json" for run in (copy, pipeline.fold))
    assert ours.read_bytes() == theirs.read_bytes()


def test_confidence_comes_from_jobs_on_a_cluster_and_is_the_same_to_the_last_bit(
    pipeline: Pipeline, shipping: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = scan(shipping / "data").clips
    folds = find_runs(shipping / "ship")[:2]
    here = calibration.from_cache(clips, feature_cache(pipeline.cache, None))
    expected = calibration.fit_on_held_out(folds, here)
    monkeypatch.delattr(calibration, "predict_held_out")  # nothing is predicted in this process
    there = calibration.from_cache(clips, feature_cache(pipeline.cache, None, cluster.address))
    assert calibration.fit_on_held_out(folds, there) == expected
