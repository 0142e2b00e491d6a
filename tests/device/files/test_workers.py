"""Recordings classified by several processes: `undertone classify --jobs`."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from undertone.bench.memory import status_bytes
from undertone.cli import run, undertone
from undertone.errors import BundleError, WorkerError
from undertone.files.batch import ClassifierConfig, classify_files
from undertone.files.workers import Workers, in_new_process
from undertone.recognition import bundle
from undertone.samples import clips


def config(name="ravdess8-tiny"):
    return ClassifierConfig(bundle.load(name).folder)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Good ones, a damaged one among them, and one that is not there."""
    folder = tmp_path_factory.mktemp("recordings")
    for number, clip in enumerate(clips()[:4]):
        (folder / f"{2 * number}.flac").symlink_to(clip)
    (folder / "3.wav").write_bytes(b"RIFF")
    return [*sorted(folder.iterdir()), folder / "gone.wav"]


def test_several_processes_give_the_results_of_one_in_the_order_of_the_files(recordings, capsys):
    arguments = ["classify", *map(str, recordings), "--format", "json", "--model", "ravdess8-tiny"]
    assert run(undertone, "undertone", arguments) == 1
    alone = capsys.readouterr().out
    assert run(undertone, "undertone", [*arguments, "--jobs", "3"]) == 1
    assert capsys.readouterr().out == alone
    found = [json.loads(line) for line in alone.splitlines()]
    assert [Path(one["path"]) for one in found] == recordings
    assert [bool(one.get("error")) for one in found] == [False, False, True, False, False, True]


def test_far_more_files_than_may_wait_come_in_order(recordings):
    paths = [recordings[2], recordings[5]] * 50
    assert [one.path for one in classify_files(paths, config(), jobs=2)] == paths


def test_earlier_files_make_no_difference(recordings):
    first, second = recordings[:2]
    found = list(classify_files([first, second, first, first], config()))
    assert found[0].verdict.verdict == found[2].verdict.verdict
    for again in found[2:]:
        assert repr(again) == repr(found[0])
    assert repr(found[1]) != repr(found[0])


def test_files_leave_nothing_in_memory():
    assert in_new_process(_growth_bytes, clips()[0]) < 2**20


def _growth_bytes(clip):
    """How much memory 100 files take that 100 before them did not."""
    resident = []
    for number, _ in enumerate(classify_files([clip] * 200, config())):
        if number in (99, 199):
            resident.append(status_bytes("VmRSS"))
    return resident[1] - resident[0]


def test_whoever_stops_looking_stops_the_workers(recordings):
    before = processes()
    results = classify_files(recordings * 100, config(), jobs=2)
    next(results)
    assert len(processes() - before) >= 2
    results.close()
    assert not {pid for pid in processes() - before if is_worker(pid)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_missing_model_is_reported_as_by_one_process(recordings, tmp_path, jobs):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.load("ravdess8-tiny").folder, folder)
    wanted = ClassifierConfig(folder)
    (folder / bundle.MODEL_FILE).unlink()
    with pytest.raises(BundleError, match="can't be read"):
        list(classify_files(recordings, wanted, jobs))


def test_a_worker_that_is_killed_is_reported():
    with pytest.raises(WorkerError, match="killed"):
        in_new_process(os.abort)


def test_what_a_worker_raises_comes_through():
    with pytest.raises(BundleError, match="There is no bundle called nowhere"):
        in_new_process(bundle.load, "nowhere")


def test_a_new_process_has_nothing_of_this_one():
    assert in_new_process(os.getppid) == os.getpid()
    with Workers(1) as workers:
        assert workers.submit(os.getpid).result() != os.getpid()


@pytest.fixture
def listening_to_many(recordings):
    """The program, in a session of its own, in the middle of 3,000 files."""
    files = list(map(str, recordings[:2])) * 1500
    options = ["--format", "json", "--jobs", "2", "--model", "ravdess8-tiny"]
    process = subprocess.Popen(
        [sys.executable, "-m", "undertone.cli", "classify", *options, *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("kill", [os.killpg, os.kill], ids=["by Ctrl-C", "alone"])
def test_an_interrupt_ends_everything_at_once(listening_to_many, kill):
    workers = children(listening_to_many.pid)
    assert len(workers) >= 2
    kill(listening_to_many.pid, signal.SIGINT)
    _, err = listening_to_many.communicate(timeout=60)
    assert listening_to_many.returncode == 130
    assert err.strip() == b""
    assert ended(workers)


def test_workers_do_not_outlive_a_killed_parent(listening_to_many):
    workers = children(listening_to_many.pid)
    listening_to_many.kill()
    listening_to_many.communicate(timeout=60)
    assert ended(workers)


def test_a_terminal_sees_a_bar_and_a_pipe_does_not(recordings, tmp_path):
    command = [sys.executable, "-m", "undertone.cli", "classify", *map(str, recordings[:2])]
    command += ["--jobs", "2", "--model", "ravdess8-tiny"]
    piped = subprocess.run(command, capture_output=True, timeout=120)
    assert piped.stderr == b""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    shown = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=terminal, env=environment, timeout=120
    )
    os.close(terminal)
    assert shown.stdout == piped.stdout
    assert b"classifying" in os.read(controller, 65536)
    os.close(controller)


def processes():
    return set(children(os.getpid()))


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_worker(pid):
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def ended(pids):
    """Whether all of them end within a minute, as nothing else makes them."""
    deadline = time.monotonic() + 60
    while any(is_worker(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True
