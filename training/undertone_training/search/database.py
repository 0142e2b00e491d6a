"""Where the trials of a search are stored: a file, or a PostgreSQL server for many machines."""

import fcntl
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from undertone.support.installation import add_extra
from undertone_training.errors import RunError

if TYPE_CHECKING:
    import psycopg
    from psycopg.abc import ConnDict

FILE = "study.db"

_PATIENCE_S = 300
"""How long a server that has gone away is waited for."""

_TIMEOUT_S = 10
"""After what time without an answer a connection has failed, or is broken."""

_LOCK = int.from_bytes(b"undrtone")
"""PostgreSQL's advisory locks are numbers that programs agree upon."""

_SCHEME = "postgresql+psycopg://"
"""For SQLAlchemy; the address goes to psycopg as it is."""

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """What a search needs of the place of its trials.

    name: of the study in it. place: the study in words. elsewhere: how to choose another one.
    lost: a sentence if the database went away and was given up; otherwise empty.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def place(self) -> str: ...  # noqa: D102
    @property
    def elsewhere(self) -> str: ...  # noqa: D102
    @property
    def lost(self) -> str: ...  # noqa: D102

    def exists(self) -> bool:
        """Whether the study has been begun; creates nothing."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes out."""

    def storage(self, heartbeat_s: int, grace_s: int) -> RDBStorage:
        """Optuna's storage, within ``locked``: it can't create its tables twice at once."""

    def unusable(self, error: Exception) -> RunError:
        """What ``error`` by SQLAlchemy or Optuna means to the user."""


class FileDatabase:
    """``study.db`` in the folder of the search."""

    name = "undertone"
    lost = ""
    elsewhere = "choose another place with --study, or remove that folder"

    def __init__(self, folder: Path) -> None:
        """Raises RunError if the folder contains a search by an earlier version."""
        self._folder, self._path = folder, folder / FILE
        self.place = str(folder)
        if (folder / "study.log").exists() and not self._path.exists():
            raise RunError(
                f"{folder} contains a search by an earlier version: choose another place with "
                "--study, or remove that folder."
            )

    def exists(self) -> bool:
        """See ``Database``."""
        return self._path.exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See ``Database``; by a file."""
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def storage(self, heartbeat_s: int, grace_s: int) -> RDBStorage:
        """See ``Database``; SQLite, since Optuna's journal file has no heartbeat."""
        # not by a URL, which does not allow every folder name
        connect = partial(sqlite3.connect, self._path, timeout=60, check_same_thread=False)
        return RDBStorage(
            f"sqlite:///{FILE}",
            {"creator": connect},
            heartbeat_interval=heartbeat_s,
            grace_period=grace_s,
        )

    def unusable(self, error: Exception) -> RunError:
        """See ``Database``."""
        return RunError(
            f"{self._path} can't be used ({_reason(error)}): choose another place with --study."
        )


class ServerDatabase:
    """A PostgreSQL database, in which the study has the name of the folder of the search.

    Optuna creates and claims trials in transactions; only what it would do twice needs the lock.
    A server that does not answer at first is an error; one that has answered is waited for.
    """

    elsewhere = "choose another name with --study"

    def __init__(
        self,
        address: str,
        folder: Path,
        say: Callable[[str], None],
        patience_s: float = _PATIENCE_S,
    ) -> None:
        """Take the server's address; ``say`` is told that it has gone away.

        Raises RunError for the address of anything else, and if the folder contains ``study.db``.
        """
        try:
            import psycopg
        except ImportError as error:
            raise RunError(
                f"psycopg, which speaks to the database, is not installed: {add_extra('cluster')}."
            ) from error
        try:
            if not address.startswith(("postgresql://", "postgres://")):
                raise ValueError
            parts = psycopg.conninfo.conninfo_to_dict(address)
        except (ValueError, psycopg.ProgrammingError):
            raise RunError(  # without the address, which may contain a password
                "the storage is no address of a PostgreSQL database: give "
                "postgresql://USER@HOST/DATABASE."
            ) from None
        if (folder / FILE).exists():
            raise RunError(
                f"{folder} contains a search without --storage: choose another place with --study."
            )
        self.name = folder.resolve().name
        self.address = _shown(parts)
        self.place = f"the study {self.name} in {self.address}"
        self.lost = ""
        self._address, self._say, self._patience_s = address, say, patience_s
        self._was_there = self._away = False
        self._back_s = -float("inf")
        self._waits = ContextVar("waits", default=True)

    def exists(self) -> bool:
        """See ``Database``."""
        count = text("SELECT count(*) FROM studies WHERE study_name = :name")
        try:
            with self._engine().connect() as connection:
                return inspect(connection).has_table("studies") and bool(
                    connection.scalar(count, {"name": self.name})
                )
        except DatabaseError as error:
            raise self.unusable(error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See ``Database``; by a lock that ends with the transaction, or with the process."""
        with self._engine().begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield

    def storage(self, heartbeat_s: int, grace_s: int) -> RDBStorage:
        """See ``Database``; one that outlives a connection."""
        try:
            return _ServerStorage(self, heartbeat_s, grace_s)
        except RuntimeError as error:  # its tables are those of another version
            raise RunError(f"{self.address} can't be used ({_reason(error)}).") from error

    def unusable(self, error: Exception) -> RunError:
        """See ``Database``."""
        return RunError(
            f"{self.address} can't be used ({_reason(error)}): check the address, the password in "
            "PGPASSWORD or ~/.pgpass, and the user's rights."
        )

    def connect(self) -> "psycopg.Connection":
        """Connect to the server; waits until it is back if it has gone away.

        Raises RunError if it does not come back.
        """
        import psycopg

        deadline_s, pause_s = time.monotonic() + self._patience_s, 0.5
        said = False
        while True:
            try:
                connection = self._open()
            except psycopg.OperationalError as error:
                self._away = True
                if self.lost or not self._was_there or not self._waits.get():
                    raise
                if time.monotonic() > deadline_s:
                    self.lost = (
                        f"{self.address} has not answered for {self._patience_s / 60:g} minutes: "
                        "the same command continues the search when it does."
                    )
                    raise RunError(self.lost) from error
                if not said:
                    said = True
                    self._say(
                        f"{self.address} does not answer; waiting for it, for up to "
                        f"{self._patience_s / 60:g} minutes"
                    )
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _TIMEOUT_S)
                continue
            if self._away and self._was_there:
                self._back_s = time.monotonic()
            self._was_there, self._away = True, False
            return connection

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Let an absent server be an error of psycopg at once, in this thread."""
        token = self._waits.set(False)
        try:
            yield
        finally:
            self._waits.reset(token)

    def back_for(self, seconds: float) -> bool:
        """Whether the server, as far as this process knows, was not away for so long."""
        return time.monotonic() - self._back_s > seconds

    def _open(self) -> "psycopg.Connection":
        import psycopg

        connection = psycopg.connect(
            self._address,
            connect_timeout=_TIMEOUT_S,
            tcp_user_timeout=1000 * _TIMEOUT_S,
            client_encoding="utf8",  # an old database may state none, and would deliver bytes
        )
        # heartbeats are stored without a zone: summer time would stop all hearts at once
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()
        return connection

    def _engine(self) -> Engine:
        return create_engine(_SCHEME, creator=self.connect, poolclass=NullPool)


def _through(method: Callable[P, T]) -> Callable[P, T]:
    """``method``, again if the server went away in the middle of it, when it is back."""

    @wraps(method)
    def repeated(*args: P.args, **others: P.kwargs) -> T:
        for _ in range(4):
            try:
                return method(*args, **others)
            except StorageInternalError as error:
                if not isinstance(error.__cause__, OperationalError):
                    raise
        return method(*args, **others)

    return repeated


_REPEATED = (
    "get_study_id_from_name",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_trial",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "set_trial_state_values",
    "_get_trials",
    "_get_stale_trial_ids",
    "_set_trial_param",
)
"""What is called during a search; ``_create_new_trial`` is repeated by Optuna itself."""


class _ServerStorage(RDBStorage):
    """Optuna's storage with connections that are tested before use, and methods that are repeated.

    A heartbeat is skipped while the server is away: the thread that writes them has to live.
    """

    def __init__(self, server: ServerDatabase, heartbeat_s: int, grace_s: int) -> None:
        self._server = server
        super().__init__(
            _SCHEME,
            {"creator": server.connect, "pool_pre_ping": True},
            heartbeat_interval=heartbeat_s,
            grace_period=grace_s,
        )
        for method in _REPEATED:
            setattr(self, method, _through(getattr(self, method)))

    def record_heartbeat(self, trial_id: int) -> None:
        with suppress(StorageInternalError), self._server.without_waiting():
            super().record_heartbeat(trial_id)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        # after the server was away, living processes need the time to write their heartbeats
        stale = super()._get_stale_trial_ids(study_id)
        return stale if self._server.back_for(self.grace_period or 0) else []


def _reason(error: Exception) -> str:
    """The database's own words, without the statement."""
    if isinstance(error, StorageInternalError):
        error = error.__cause__ if isinstance(error.__cause__, DatabaseError) else error
    words = str(error.orig if isinstance(error, DatabaseError) else error)
    return " ".join(words.strip().partition("\n")[0].split())


def _shown(parts: "ConnDict") -> str:
    """The address without a password and without options."""
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"
