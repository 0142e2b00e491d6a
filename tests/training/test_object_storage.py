"""Object storage: local copies, what is exchanged, jobs on machines that share only a bucket."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from dask_cluster import running_cluster
from fsspec.implementations.memory import MemoryFileSystem
from miniature import ACTORS, RECIPE, train, write, write_ravdess

from mqtt_broker import free_port
from undertone.errors import RuntimeMissingError
from undertone_training import object_storage, recipe
from undertone_training.corpora import scan
from undertone_training.corpora.clip import AudioRef
from undertone_training.corpora.noise import for_training
from undertone_training.errors import RunError, StorageError
from undertone_training.features.cache import FeatureCache
from undertone_training.features.shards import state_of
from undertone_training.jobs import Jobs
from undertone_training.learning.runs import Run
from undertone_training.lease import Lease


class Machine:
    """A process with copies of its own, as another machine would have them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        self._state: tuple[dict[Any, Any], ...] = ({}, {}, {})

    def __enter__(self) -> "Machine":
        self._monkeypatch.setenv("XDG_CACHE_HOME", str(self._folder))
        names = ("_roots", "_objects", "_files")
        for name, value in zip(names, self._state, strict=True):
            self._monkeypatch.setattr(object_storage, name, value)
        return self

    def __exit__(self, *_: object) -> None:
        self._monkeypatch.undo()


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Machine]]:
    """Makes machines; the buckets are in memory."""
    made: list[Machine] = []

    def machine() -> Machine:
        made.append(Machine(tmp_path / f"machine{len(made)}", pytest.MonkeyPatch()))
        return made[-1]

    yield machine
    for each in made:
        each.__exit__()
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def here(machines: Callable[[], Machine]) -> Iterator[Machine]:
    with machines() as machine:
        yield machine


def put(url: str, content: bytes) -> None:
    fsspec.filesystem("memory").pipe_file(url, content)


def content(url: str) -> bytes:
    found: bytes = fsspec.filesystem("memory").cat_file(url)
    return found


def names(url: str) -> list[str]:
    return sorted(fsspec.filesystem("memory").find(url))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The objects whose content is got from now on."""
    found: list[str] = []
    get_file = MemoryFileSystem.get_file

    def noted(self: MemoryFileSystem, rpath: str, lpath: str, **options: Any) -> None:
        found.append(rpath.rpartition("/")[2])
        get_file(self, rpath, lpath, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", noted)
    return found


def test_of_a_listed_object_size_and_time_are_known_and_its_content_when_it_is_fetched(
    here: Machine, reads: list[str]
) -> None:
    put("memory://bucket/corpora/a/one.wav", b"sound")
    put("memory://bucket/corpora/two.wav", b"more sound")
    folder = object_storage.copy_of("memory://bucket/corpora/", kept=True)
    object_storage.expect(folder)
    one = folder / "a" / "one.wav"
    assert (one.stat().st_size, reads) == (5, [])
    assert object_storage.url_of(one) == "memory://bucket/corpora/a/one.wav"
    before = state_of(AudioRef(one))
    assert AudioRef(one).content() == b"sound"
    assert AudioRef(one).content() == b"sound"
    object_storage.expect(folder)
    assert state_of(AudioRef(one)) == before
    assert reads == ["one.wav"]


def test_a_changed_object_is_fetched_again_and_one_that_is_gone_is_no_longer_there(
    here: Machine,
) -> None:
    folder = object_storage.copy_of("memory://bucket", kept=True)
    for name in ("changed.wav", "gone.wav"):
        put(f"memory://bucket/{name}", b"before")
    object_storage.expect(folder)
    object_storage.fetch(folder.iterdir())
    put("memory://bucket/changed.wav", b"afterwards")
    fsspec.filesystem("memory").rm("/bucket/gone.wav")
    object_storage.expect(folder)
    assert [path.name for path in folder.iterdir()] == ["changed.wav"]
    assert AudioRef(folder / "changed.wav").content() == b"afterwards"


def test_names_that_lead_out_of_the_folder_are_left_out(here: Machine) -> None:
    for name in ("../../secret", "a//b.wav", "./c.wav", "good.wav"):
        MemoryFileSystem.store[f"/bucket/{name}"] = MemoryFileSystem.store.get(
            "/bucket/x"
        ) or _memory_file(b"x")
    folder = object_storage.copy_of("memory://bucket", kept=True)
    object_storage.expect(folder)
    assert [path.name for path in folder.rglob("*")] == ["good.wav"]
    assert not list(folder.parent.parent.rglob("secret"))


def _memory_file(content: bytes) -> Any:
    from fsspec.implementations.memory import MemoryFile

    return MemoryFile(fsspec.filesystem("memory"), "x", content)


def test_a_run_that_changes_is_put_and_brought_and_what_it_removes_is_removed(
    machines: Callable[[], Machine],
) -> None:
    one, other = machines(), machines()
    with one:
        folder = object_storage.copy_of("memory://bucket/runs", kept=False) / "quick"
        folder.mkdir(parents=True)
        (folder / "checkpoint-1.keras").write_bytes(b"1")
        (folder / "run.json").write_bytes(b"{}")
        object_storage.push()
    with other:
        there = object_storage.copy_of("memory://bucket/runs", kept=False) / "quick"
        assert there != folder
        object_storage.bring(there)
        assert sorted(path.name for path in there.iterdir()) == ["checkpoint-1.keras", "run.json"]
        (there / "checkpoint-1.keras").unlink()
        (there / "model.keras").write_bytes(b"model")
        object_storage.push(there)
    assert names("/bucket") == ["/bucket/runs/quick/model.keras", "/bucket/runs/quick/run.json"]
    with one:
        object_storage.bring(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["model.keras", "run.json"]
        object_storage.bring(folder / "run.json")
        assert (folder / "model.keras").exists()


def test_only_what_has_changed_is_put_in_the_order_in_which_it_was_written(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run whose process is killed meanwhile is as in a folder."""
    put("memory://bucket/runs/old", b"old")
    folder = object_storage.copy_of("memory://bucket/runs", kept=False)
    object_storage.bring(folder)
    for number, name in enumerate(("z", "a", "m")):
        (folder / name).write_bytes(b"new")
        os.utime(folder / name, ns=(number, number))
    done: list[str] = []
    monkeypatch.setattr(object_storage, "put", lambda file, path: done.append(path.name))
    object_storage.push()
    assert done == ["z", "a", "m"]
    object_storage.push()
    assert done == ["z", "a", "m"]


def test_what_is_removed_while_it_is_brought_is_no_error(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("checkpoint-1", "model"):
        put(f"memory://bucket/runs/{name}", b"x")
    folder = object_storage.copy_of("memory://bucket/runs", kept=False)
    get = MemoryFileSystem.get

    def after_a_removal(self: MemoryFileSystem, *args: Any, **options: Any) -> None:
        if self.exists("/bucket/runs/checkpoint-1"):
            self.rm("/bucket/runs/checkpoint-1")
        get(self, *args, **options)

    monkeypatch.setattr(MemoryFileSystem, "get", after_a_removal)
    object_storage.bring(folder)
    assert [path.name for path in folder.iterdir()] == ["model"]


def test_a_path_that_is_sent_names_the_copy_and_the_version_on_the_machine_where_it_arrives(
    machines: Callable[[], Machine], tmp_path: Path
) -> None:
    one, other = machines(), machines()
    with one, pytest.MonkeyPatch.context():
        put("memory://bucket/a.wav", b"old")
    with other:
        stale = object_storage.copy_of("memory://bucket", kept=True)
        object_storage.expect(stale)
        assert AudioRef(stale / "a.wav").content() == b"old"
    put("memory://bucket/a.wav", b"new sound")
    with one:
        folder = object_storage.copy_of("memory://bucket", kept=True)
        object_storage.expect(folder)
        own = object_storage.copy_of("memory://bucket/runs", kept=False)
        sent = pickle.dumps((AudioRef(folder / "a.wav"), own, tmp_path))
    with other:
        arrived, runs, elsewhere = pickle.loads(sent)
        assert arrived.path == stale / "a.wav"
        assert arrived.content() == b"new sound"
        assert (object_storage.url_of(runs), elsewhere) == ("memory://bucket/runs", tmp_path)


def test_a_lease_in_a_bucket_ends_with_whoever_waits(machines: Callable[[], Machine]) -> None:
    one, other = machines(), machines()
    with one:
        lease = Lease(object_storage.copy_of("memory://bucket/runs", kept=False))
        sent = pickle.dumps(lease)
    with other:
        job = pickle.loads(sent)
        job.require()
    with one:
        lease.end()
    with other, pytest.raises(RunError, match="has not been heard of"):
        job.require()
    assert names("/bucket") == []


def write_corpora(folder: Path, actors: Sequence[int]) -> None:
    write_ravdess(folder / "ravdess", actors)
    for seed, name in enumerate(("rain", "river")):  # one to train with, one to test in
        noise = np.random.default_rng(seed).normal(0, 0.05, 48_000)
        write(folder / "noise" / f"{name}.flac", noise)


def upload(folder: Path) -> None:
    """Corpora into a bucket in memory: an archive, a table, files of noise and of RAVDESS."""
    home = folder / "home"
    write_corpora(home, (1, 2))
    actor = home / "ravdess" / "Actor_01"
    with zipfile.ZipFile(home / "ravdess" / "Actor_01.zip", "w") as archive:
        for path in actor.iterdir():
            archive.write(path, path.name)
    shutil.rmtree(actor)
    own = home / "own" / "mine"
    own.mkdir(parents=True)
    shutil.copy(home / "ravdess/Actor_02/03-01-05-01-01-01-02.flac", own / "x.flac")
    (own.parent / "mine.csv").write_text("path,speaker,emotion\nmine/x.flac,me,angry\n")
    fsspec.filesystem("memory").put(f"{home}/", "/bucket/corpora/", recursive=True)


def prepared(data: str | Path, cache: str | Path, **options: Any) -> list[tuple[Any, ...]]:
    """Clips and frames, as ``prepare`` computes them in this process."""
    data, cache = (
        object_storage.copy_of(each, kept=True) if isinstance(each, str) else each
        for each in (data, cache)
    )
    clips = scan(data).clips
    features = FeatureCache(cache, Jobs(1), **options).compute(
        clips, recipe.load("smoke"), noise=for_training(data)
    )
    return [
        (each.clip.clip_id, [*map(bytes, each.segments)], [*map(bytes, each.copies)])
        for each in features
    ]


def test_features_of_a_bucket_are_those_of_a_folder_and_the_second_time_no_sound_is_read(
    machines: Callable[[], Machine], reads: list[str], tmp_path: Path
) -> None:
    """On another machine, too, which gets the shards instead."""
    upload(tmp_path)
    where = ("memory://bucket/corpora", "memory://bucket/features")
    expected = prepared(tmp_path / "home", tmp_path / "features")
    with machines() as one:
        assert prepared(*where) == expected
    reads.clear()
    with one:
        assert prepared(*where) == expected
        assert reads == []
    with machines():
        assert prepared(*where) == expected
    shards = [path.name for path in map(Path, names("/bucket/features")) if path.suffix == ".arrow"]
    noise = [path.name for path in for_training(tmp_path / "home").files]
    assert len(shards) > 2
    assert sorted(reads) == sorted(
        [
            *shards,
            "Actor_01.zip",
            "mine.csv",
            *noise,
        ]
    )


def test_a_damaged_shard_is_computed_again_for_everybody(
    machines: Callable[[], Machine], tmp_path: Path
) -> None:
    upload(tmp_path)
    where = ("memory://bucket/corpora", "memory://bucket/features")
    with machines():
        expected = prepared(*where)
    shard = next(name for name in names("/bucket/features") if name.endswith(".arrow"))
    whole = content(shard)
    put(shard, whole[:1000])
    said: list[str] = []
    with machines():
        assert prepared(*where, say=said.append) == expected
    assert len(said) == 1
    assert "is damaged" in said[0]
    assert content(shard) == whole


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nothing://bucket", r"nothing://bucket can't be used: .*not known"),
        ("s3://me:secret@bucket/x", r"s3://me:…@bucket/x can't be used: give the name of a bucket"),
        ("s3://", r"can't be used: give the name of a bucket"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence(
    url: str, sentence: str, here: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("prepare", "--data", url) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "secret" not in printed
    with pytest.raises(StorageError, match=sentence):
        object_storage.expect(object_storage.copy_of(url, kept=True))


def test_a_missing_package_is_named(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    object_storage._store.cache_clear()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    folder = object_storage.copy_of("gs://bucket", kept=True)
    with pytest.raises(StorageError, match="gcsfs"):
        object_storage.expect(folder)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(RuntimeMissingError, match=r"fsspec, .* is not installed: .*cluster"):
        object_storage.expect(folder)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileNotFoundError("bucket"), "check the name of the bucket"),
        (PermissionError(errno.EACCES, "Access Denied"), "Access Denied.*check the credentials"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device.*make room"),
        (RuntimeError("Could not connect to the endpoint"), "not connect.*check the network"),
    ],
)
def test_errors_of_the_storage_are_one_sentence_with_what_to_do(
    error: Exception, sentence: str, here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    put("memory://bucket/a.wav", b"sound")
    folder = object_storage.copy_of("memory://bucket", kept=True)
    object_storage.expect(folder)
    monkeypatch.setattr(MemoryFileSystem, "get", fail)
    with pytest.raises(StorageError, match=rf"^memory://bucket/a.wav can't be used \(.*{sentence}"):
        AudioRef(folder / "a.wav").content()


def test_paths_of_copies_are_shown_as_urls(here: Machine) -> None:
    runs = object_storage.copy_of("memory://bucket/runs", kept=False)
    data = object_storage.copy_of("memory://bucket/corpora", kept=True)
    text = f"{runs}/quick: trained on {data}, not on /srv/corpora"
    assert object_storage.readable(text) == (
        "memory://bucket/runs/quick: trained on memory://bucket/corpora, not on /srv/corpora"
    )
    mounted = object_storage.copy_of("file:///mnt/bucket", kept=True)
    assert object_storage.readable(str(mounted)) == "file:///mnt/bucket"


@pytest.fixture(params=["file", "s3"])
def bucket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Any]]:
    """A URL that several processes can use, and its file system."""
    if request.param == "file":
        yield f"file://{tmp_path}/bucket", fsspec.filesystem("file")
        return
    object_storage._store.cache_clear()
    for package in ("s3fs", "moto.server"):
        pytest.importorskip(package)
    port = free_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log
        )
    try:
        deadline_s = time.monotonic() + 60
        while True:
            try:
                system = fsspec.filesystem("s3", skip_instance_cache=True)
                system.mkdir("bucket")
                break
            except Exception:
                assert time.monotonic() < deadline_s
        yield "s3://bucket", system
    finally:
        server.kill()
        server.wait()


@pytest.mark.xdist_group("tensorflow")
def test_on_machines_that_share_only_a_bucket_an_interrupted_and_killed_training_has_the_weights(
    bucket: tuple[str, Any],
    machines: Callable[[], Machine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import keras

    url, system = bucket
    write_corpora(tmp_path / "corpora", ACTORS)
    system.put(f"{tmp_path}/corpora/", f"{url}/corpora/", recursive=True)
    # so long that it is still under way a second after it has begun
    (tmp_path / "quick.toml").write_text(RECIPE.replace("epochs = 25", "epochs = 100"))
    chosen = ("--recipe", tmp_path / "quick.toml")
    fit = ("fit", *chosen, "--fold", 1)
    here = ("--data", tmp_path / "corpora", "--cache", tmp_path / "features")
    assert train(*fit, *here, "--runs", tmp_path / "runs", "--jobs", 2) == 0
    expected = Run(tmp_path / "runs/quick/development-1/seed0")
    there = f"{url}/runs/quick/development-1/seed0"

    def begun() -> bool:
        """Whether a worker that still lives has trained an epoch."""
        (folder,) = [tmp_path / f"worker{number}" for number in (len(cluster.workers) - 1,)]
        files = folder.rglob("history.csv")
        return any(each.read_text().count("\n") > 2 for each in files)

    def start_worker() -> None:
        folder = tmp_path / f"worker{len(cluster.workers)}"
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
            patch.setenv("TMPDIR", str(folder))
            cluster.start_worker()

    renew = Lease.renew

    def interrupt(lease: Lease) -> bool:
        if begun():
            raise KeyboardInterrupt
        return renew(lease)

    def kill(lease: Lease) -> bool:
        if len(cluster.workers) == 3 and begun():
            cluster.kill_worker()
            start_worker()
        return renew(lease)

    with running_cluster(tmp_path, workers=0) as cluster, machines():
        where = ("--data", f"{url}/corpora", "--cache", f"{url}/features")
        where = (*where, "--scheduler", cluster.address)
        start_worker()
        start_worker()
        assert train("prepare", *chosen, *where) == 0
        assert all(list((tmp_path / f"worker{n}").rglob("*.arrow")) for n in (0, 1))
        cluster.workers[0].kill()
        monkeypatch.setattr(Lease, "renew", interrupt)
        assert train(*fit, *where, "--runs", f"{url}/runs") == 130
        deadline_s = time.monotonic() + 60
        left: list[str] = []
        while not any("/checkpoint-" in name and name.endswith(".keras") for name in left):
            assert time.monotonic() < deadline_s  # the job ends after its epoch
            system.invalidate_cache()
            left = system.find(there)
        assert not any(name.endswith("model.keras") for name in left)
        cluster.kill_worker()
        start_worker()
        monkeypatch.setattr(Lease, "renew", kill)
        capsys.readouterr()
        assert train(*fit, *where, "--runs", f"{url}/runs") == 0
        assert len(cluster.workers) == 4
        assert f"{there}: trained in " in capsys.readouterr().out
        assert train("prepare", *chosen, *where) == 0
    system.get(f"{there}/", str(tmp_path / "got"), recursive=True)
    got = Run(next((tmp_path / "got").rglob("model.keras")).parent)
    assert got.history.read_text().count("\n") == expected.history.read_text().count("\n")
    assert not got.checkpoint_files()
    one, other = (
        keras.models.load_model(run.model, compile=False).get_weights() for run in (got, expected)
    )
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not [name for name in system.find(f"{url}/runs") if "waiting" in name]
