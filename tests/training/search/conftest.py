"""A real PostgreSQL server (Debian's package postgresql), for searches on many machines."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from mqtt_broker import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

HBA = """
local all all trust
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""


@dataclass
class Postgres:
    """A server on a free port of 127.0.0.1; only its user ``guarded`` needs a password."""

    folder: Path
    port: int = 0
    _numbers: Iterator[int] = field(default_factory=count)

    def create(self) -> None:
        self.port = free_port()
        data = self.folder / "data"
        self._run("initdb", "-D", data, "-A", "trust", "-U", "admin", "--no-sync", "--no-locale")
        (data / "pg_hba.conf").write_text(HBA)
        self.start()
        self.execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right'")
        self.execute("CREATE ROLE guest LOGIN")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -c fsync=off"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.folder / "data", "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "fast", "-w", "stop")

    def database(self) -> str:
        """The name of a new database."""
        name = f"searches{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def address(self, database: str, user: str = "admin") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def tables(self, address: str) -> int:
        """Number of tables in a database."""
        with psycopg.connect(address) as connection:
            found = connection.execute("SELECT FROM pg_tables WHERE schemaname = 'public'")
            return found.rowcount

    def _run(self, program: str, *arguments: object) -> None:
        # PostgreSQL refuses to run as root
        command = [str(PROGRAMS[-1] / program), *map(str, arguments)]
        user = "postgres" if os.geteuid() == 0 else None
        with (self.folder / "output").open("a") as output:  # the server keeps it open
            subprocess.run(
                command, user=user, cwd=self.folder, stdout=output, stderr=output, check=True
            )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if not PROGRAMS:
        pytest.skip("needs a PostgreSQL server (Debian's package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # that of pytest is closed to other users
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Postgres(folder)
    try:
        server.create()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder)
