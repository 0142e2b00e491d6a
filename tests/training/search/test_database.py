"""A search in a PostgreSQL database, with a made-up figure for each trial, and what goes wrong."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from miniature import SPACE, load_space
from sqlalchemy import Engine, event

from undertone_training import recipe as recipes
from undertone_training.corpora.splits import DEVELOPMENT_FOLDS
from undertone_training.errors import RunError
from undertone_training.search.database import ServerDatabase
from undertone_training.search.study import Search, Specification, Trial


@pytest.fixture
def specification(tmp_path: Path) -> Specification:
    return Specification(recipes.load("smoke"), load_space(tmp_path, SPACE), 0, "clips")


def evaluate(trial: Trial) -> Iterator[float]:
    for _ in DEVELOPMENT_FOLDS:
        yield 1 - trial.recipe.regularization.dropout


def say_nothing(sentence: str) -> None:
    raise AssertionError(sentence)


def test_several_searches_share_a_database(
    postgres: Any, tmp_path: Path, specification: Specification
) -> None:
    address = postgres.address(postgres.database())

    def search(folder: str, seed: int) -> Search:
        database = ServerDatabase(address, tmp_path / folder, say_nothing)
        assert database.exists() == (folder in begun)
        begun.add(folder)
        seeded = msgspec.structs.replace(specification, seed=seed)
        return Search(tmp_path / folder, seeded, database)

    begun: set[str] = set()
    search("one", 0).run(2, evaluate)
    search("two", 1).run(3, evaluate)
    assert (search("one", 0).finished, search("two", 1).finished) == (2, 3)
    assert not (tmp_path / "one" / "study.db").exists()
    alone = Search(tmp_path / "alone", specification)
    alone.run(2, evaluate)
    assert search("one", 0).results() == alone.results()
    with pytest.raises(
        RunError,
        match=f"the study one in {address} contains a search with another seed: choose another "
        "name with --study",
    ):
        search("one", 2)


PROGRAM = """
import sys
from pathlib import Path
from undertone_training import recipe
from undertone_training.search import space
from undertone_training.search.database import ServerDatabase
from undertone_training.search.study import Search, Specification

folder, address = Path(sys.argv[1]), sys.argv[2]
smoke = recipe.load("smoke")
specification = Specification(smoke, space.load(folder / "mine.toml", smoke), 0, "clips")

def evaluate(trial):
    print(trial.recipe.name, flush=True)
    for fold in range(4):
        yield 1 - trial.recipe.regularization.dropout

sys.stdin.readline()
study = folder / "study"
Search(study, specification, ServerDatabase(address, study, print)).run(8, evaluate)
"""


def test_two_processes_begin_one_search_at_once_and_share_it(
    postgres: Any, tmp_path: Path, specification: Specification
) -> None:
    address = postgres.address(postgres.database())
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=300)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted([*said[0], *said[1]]) == [f"smoke-{number:03}" for number in range(8)]
    folder = tmp_path / "study"
    search = Search(folder, specification, ServerDatabase(address, folder, say_nothing))
    assert search.finished == 8


def test_a_server_that_goes_away_is_waited_for_and_no_fold_is_lost(
    postgres: Any, tmp_path: Path, specification: Specification
) -> None:
    undisturbed = Search(tmp_path / "undisturbed", specification)
    undisturbed.run(3, evaluate)
    said: list[str] = []
    trained: list[tuple[str, int]] = []

    def back(sentence: str) -> None:
        said.append(sentence)
        postgres.start()

    def stopping(trial: Trial) -> Iterator[float]:
        for fold, uar in enumerate(evaluate(trial)):
            trained.append((trial.recipe.name, fold))
            if trained[-1] in (("smoke-001", 1), ("smoke-001", 3)):  # 3: the trial's end
                postgres.stop()
            yield uar

    address = postgres.address(postgres.database())
    database = ServerDatabase(address, tmp_path / "study", back)
    search = Search(tmp_path / "study", specification, database)
    search.run(3, stopping)
    assert said == [f"{address} does not answer; waiting for it, for up to 5 minutes"] * 2
    assert search.results() == undisturbed.results()
    assert trained == [(f"smoke-{number:03}", fold) for number in range(3) for fold in range(4)]


@pytest.mark.parametrize("words", ["INSERT INTO trial_intermediate_values", "UPDATE trials SET"])
def test_a_connection_that_breaks_in_the_middle_of_a_statement_costs_nothing(
    postgres: Any, tmp_path: Path, specification: Specification, words: str
) -> None:
    address = postgres.address(postgres.database())
    search = Search(
        tmp_path / "study", specification, ServerDatabase(address, tmp_path / "study", say_nothing)
    )
    broken: list[str] = []
    trained: list[str] = []

    def breaking(connection: Any, cursor: Any, statement: str, *others: object) -> None:
        if not broken and words in statement:
            broken.append(statement)
            postgres.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                f"WHERE pid = {cursor.connection.info.backend_pid}"
            )

    def counted(trial: Trial) -> Iterator[float]:
        trained.append(trial.recipe.name)
        yield from evaluate(trial)

    event.listen(Engine, "before_cursor_execute", breaking)
    try:
        search.run(2, counted)
    finally:
        event.remove(Engine, "before_cursor_execute", breaking)
    assert broken
    assert trained == ["smoke-000", "smoke-001"]
    assert [(each.state, each.folds) for each in search.results()] == [("complete", 4)] * 2


def test_a_server_that_stays_away_ends_the_search_which_continues_later(
    postgres: Any, tmp_path: Path, specification: Specification
) -> None:
    address = postgres.address(postgres.database())
    folder = tmp_path / "study"

    def stopping(trial: Trial) -> Iterator[float]:
        for fold, uar in enumerate(evaluate(trial)):
            if (trial.recipe.name, fold) == ("smoke-001", 2):
                postgres.stop()
            yield uar

    database = ServerDatabase(address, folder, lambda sentence: None, patience_s=0)
    search = Search(folder, specification, database, 1, 1)
    try:
        with pytest.raises(RunError, match="the same command continues the search"):
            search.run(2, stopping)
    finally:
        postgres.start()
    tried: list[str] = []
    again = Search(folder, specification, ServerDatabase(address, folder, say_nothing), 1, 1)
    assert again.finished == 1
    again.run(2, evaluate, on_trial_end=lambda one: tried.append(one.name))
    assert tried == ["smoke-001"]


def test_heartbeats_survive_an_absent_server_and_kill_nobody_after_it(
    postgres: Any, tmp_path: Path, specification: Specification
) -> None:
    address = postgres.address(postgres.database())
    database = ServerDatabase(address, tmp_path, say_nothing)
    with database.locked():
        storage = database.storage(heartbeat_s=1, grace_s=60)
    study = storage.create_new_study([], "study")
    trial = storage.create_new_trial(study)
    storage.record_heartbeat(trial)
    beats = "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '61 s'"
    with psycopg.connect(address) as connection:
        connection.execute(beats)
    assert storage._get_stale_trial_ids(study) == [trial]
    postgres.stop()
    try:
        storage.record_heartbeat(trial)
    finally:
        postgres.start()
    assert storage._get_stale_trial_ids(study) == []
    storage.record_heartbeat(trial)
    with psycopg.connect(address) as connection:
        (fresh,) = connection.execute(
            "SELECT heartbeat > now() AT TIME ZONE 'UTC' - interval '30 s' FROM trial_heartbeats"
        ).fetchone() or (False,)
    assert fresh


def test_the_time_zones_of_machines_do_not_matter(
    postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = ServerDatabase(postgres.address(postgres.database()), tmp_path, say_nothing)
    monkeypatch.setenv("PGTZ", "America/New_York")
    with database.locked():
        west = database.storage(heartbeat_s=1, grace_s=60)
    study = west.create_new_study([], "study")
    west.record_heartbeat(west.create_new_trial(study))
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    with database.locked():
        east = database.storage(heartbeat_s=1, grace_s=60)
    assert east._get_stale_trial_ids(study) == []


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://guarded:secret@127.0.0.1:{port}/postgres", "password authentication failed"),
        ("postgresql://admin:secret@127.0.0.1:{port}/missing", '"missing" does not exist'),
        ("postgresql://guest:secret@127.0.0.1:{port}/postgres", "permission denied for schema"),
        ("postgresql://admin:secret@127.0.0.1:1/postgres", "refused"),
        ("postgresql://admin:secret@nowhere.invalid/postgres", "nowhere.invalid"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence_without_the_password(
    postgres: Any, tmp_path: Path, specification: Specification, address: str, says: str
) -> None:
    address = address.format(port=postgres.port)
    with pytest.raises(RunError) as error:
        Search(tmp_path, specification, ServerDatabase(address, tmp_path, say_nothing))
    sentence = str(error.value)
    assert sentence.startswith(f"{address.replace(':secret', '')} can't be used (")
    assert says in sentence
    assert "secret" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "address",
    ["mysql://me:secret@host/searches", "postgresql://me:secret@[/searches", "searches"],
)
def test_only_postgresql_is_a_storage(tmp_path: Path, address: str) -> None:
    with pytest.raises(RunError, match="give postgresql://USER@HOST/DATABASE") as error:
        ServerDatabase(address, tmp_path, say_nothing)
    assert "secret" not in str(error.value)


def test_the_folder_of_a_search_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").touch()
    with pytest.raises(RunError, match="contains a search without --storage"):
        ServerDatabase("postgresql://me@host/searches", tmp_path, say_nothing)
