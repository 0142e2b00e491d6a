"""Jobs in processes of this machine and on a real Dask cluster: results, failures, losses."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_cluster import (
    PATH,
    Cluster,
    always_killed,
    begin_and_wait,
    die_once_beside_another,
    fail_or_wait,
    killed_once,
    nothing,
    running_cluster,
    square,
    threads_of_numpy,
    wait_for,
)

import undertone
from undertone.errors import RuntimeMissingError, WorkerError
from undertone_training.errors import RunError
from undertone_training.jobs import Jobs
from undertone_training.lazy import Lazy
from undertone_training.lease import Lease

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With two workers; a test that kills one starts another."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as cluster:
        yield cluster


@pytest.fixture
def bare_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler alone."""
    with running_cluster(tmp_path, workers=0) as cluster:
        yield cluster


@pytest.fixture(params=["pool", "processes", "dask"])
def jobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setenv("PYTHONPATH", PATH)
    if request.param == "dask":
        return Jobs(scheduler=request.getfixturevalue("cluster").address)
    where = Jobs(2, load=nothing)
    return where.with_tensorflow if request.param == "processes" else where


def test_results_come_in_the_order_of_the_specifications(jobs: Jobs) -> None:
    assert list(jobs.map(square, range(7))) == [n * n for n in range(7)]
    assert list(jobs.map(square, [3])) == [9]


def test_a_specification_is_made_when_its_turn_has_nearly_come(jobs: Jobs, tmp_path: Path) -> None:
    made: list[int] = []
    made_while_waiting: list[int] = []

    def specification(number: int) -> Path:
        made.append(number)
        return tmp_path / "go"

    def go() -> None:
        made_while_waiting.append(len(made))
        (tmp_path / "go").touch()

    assert len(list(jobs.map(wait_for, Lazy(specification, range(12)), go))) == 12
    assert made_while_waiting[0] < 12
    assert made == [*range(12)]


def test_jobs_that_end_one_after_another_do_not_keep_from_looking_around(jobs: Jobs) -> None:
    """For new workers, or for a user who has cancelled."""

    class LookedAroundError(Exception):
        pass

    def look() -> None:
        raise LookedAroundError

    with pytest.raises(LookedAroundError):
        list(jobs.map(square, range(100_000), look))


def test_a_job_in_this_process_has_one_thread_as_in_others() -> None:
    assert list(Jobs(1).map(threads_of_numpy, [2, 3])) == [1, 1]
    assert list(Jobs(2).map(threads_of_numpy, [2])) == [1]


def test_the_first_exception_stops_the_jobs_that_run_and_cancels_the_others(
    jobs: Jobs, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="the first"):
        list(jobs.map(fail_or_wait, [tmp_path] * 9, stop=(tmp_path / "stop").touch))
    assert len(list(tmp_path.glob("waits-*"))) < 6


def test_a_job_whose_process_is_killed_is_run_again(jobs: Jobs, tmp_path: Path) -> None:
    names = [tmp_path / "a", tmp_path / "b"] if not jobs.scheduler else [tmp_path / "a"]
    assert list(jobs.map(killed_once, names)) == [each.name for each in names]


def test_a_killed_process_costs_its_own_job_only(jobs: Jobs, tmp_path: Path) -> None:
    list(jobs.map(die_once_beside_another, [tmp_path / "dies", tmp_path / "stays"]))
    assert [(tmp_path / name).read_text() for name in ("dies", "stays")] == ["xx", "x"]


@pytest.mark.parametrize("jobs", ["pool", "processes"], indirect=True)
def test_processes_that_are_killed_again_and_again_are_one_sentence(
    jobs: Jobs, tmp_path: Path
) -> None:
    with pytest.raises(WorkerError, match="probably because memory ran out"):
        list(jobs.map(always_killed, [tmp_path / "tries"] * 2))
    assert 3 <= len((tmp_path / "tries").read_text()) <= 6


def test_a_scheduler_may_be_without_workers_restart_and_go_away(
    bare_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undertone_training.cluster._TIMEOUT_S", 1)
    said: list[str] = []

    def say(what: str) -> None:
        said.append(what)
        if "no worker" in what:
            bare_cluster.start_worker()

    def restart_it_once() -> None:
        if (tmp_path / "begun").exists() and not (tmp_path / "go").exists():
            bare_cluster.kill_scheduler()
            bare_cluster.start_scheduler()
            (tmp_path / "go").touch()

    jobs = Jobs(scheduler=bare_cluster.address, say=say, patience_s=0.6)
    found = list(jobs.map(begin_and_wait, [tmp_path] * 2, restart_it_once))
    assert found == ["done", "done"]
    lacking, gone, again = said
    assert "has no worker: waiting for one, as `dask worker tcp://" in lacking
    assert "has gone away; waiting for it, for up to 0.01 minutes" in gone
    assert again == lacking  # a worker ends with its scheduler
    (tmp_path / "begun").unlink()
    (tmp_path / "go").unlink()

    def kill_it() -> None:
        if (tmp_path / "begun").exists():
            bare_cluster.kill_scheduler()

    with pytest.raises(RunError, match=r"not answered for 0\.01 minutes: the same command"):
        list(jobs.map(begin_and_wait, [tmp_path] * 2, kill_it))
    assert said[-1] == gone


def test_a_worker_with_another_version_is_refused(bare_cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "undertone-0.0.1.dist-info").mkdir()
    (tmp_path / "undertone-0.0.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: undertone\nVersion: 0.0.1\n"
    )
    bare_cluster.start_worker(str(tmp_path))
    ours = re.escape(undertone.__version__)
    with pytest.raises(RunError, match=rf"has Undertone 0\.0\.1, and this is {ours}: install"):
        list(Jobs(scheduler=bare_cluster.address).map(begin_and_wait, [tmp_path]))
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "127.0.0.1:99999"])
def test_a_scheduler_that_is_not_there_is_one_sentence(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("undertone_training.cluster._TIMEOUT_S", 0.2)
    with pytest.raises(RunError, match=f"There is no Dask scheduler at {address}: start one"):
        list(Jobs(scheduler=address).map(square, [1]))


@pytest.mark.parametrize(
    ("scheme", "settings", "says"),
    [
        ("tls", {}, "needs a certificate: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        ("tls", {f"tls.{name}": "x" for name in ("ca-file", "client.cert")}, "can't be read"),
        ("tcp", {"require-encryption": True}, "give an address that begins with tls://, not tcp"),
    ],
)
def test_tls_that_is_set_wrongly_is_one_sentence(
    scheme: str, settings: dict[str, object], says: str
) -> None:
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({f"distributed.comm.{key}": value for key, value in settings.items()}),
        pytest.raises(RunError, match=says),
    ):
        list(Jobs(scheduler=f"{scheme}://127.0.0.1:1").map(square, [1]))


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeMissingError, match=r"not installed: run .*\.\[cluster\]"):
        list(Jobs(scheduler="tcp://127.0.0.1:1").map(square, [1]))


def test_a_lease_ends_with_whoever_waits_or_when_it_is_not_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    monkeypatch.setattr("undertone_training.lease.time.monotonic", lambda: clock_s[0])
    lease = Lease(tmp_path / "runs")
    for clock_s[0] in (0.0, 50.0, 100.0):
        lease.renew()
        lease.require()
    clock_s[0] = 159.0
    lease.require()
    clock_s[0] = 161.0
    with pytest.raises(RunError, match="has not been heard of for a minute"):
        lease.require()
    lease.renew()
    lease.require()
    lease.end()
    with pytest.raises(RunError):
        lease.require()
    assert not list((tmp_path / "runs").iterdir())


def test_what_the_units_and_the_containers_start_are_commands_of_dask() -> None:
    pytest.importorskip("distributed")
    import yaml
    from distributed.cli import dask_scheduler, dask_worker

    folder = Path(__file__).parents[2] / "packaging" / "cluster"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    lines = [service["command"] for service in compose["services"].values()]
    for unit in folder.glob("*.service"):
        lines += re.findall(r"^ExecStart=\S*/(dask .+)$", unit.read_text(), re.M)
    assert len(lines) == 4
    for line in lines:
        _, what, *arguments = shlex.split(line)
        main = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[what]
        main.make_context(what, arguments)
