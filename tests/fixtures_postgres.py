"""A private PostgreSQL for the tests, and databases on it and on SQLite.

Load it from the topmost conftest: ``pytest_plugins = ["fixtures_postgres"]``. The server runs in a folder of its own,
as an unprivileged user, and listens on a socket in that folder alone; where PostgreSQL's programs are missing, its
tests are skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = "/usr/lib/postgresql"


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A server; ``folder`` holds its socket and its data."""

    folder: Path
    user: str
    programs: Path
    account: str | None

    def execute(self, statements: str) -> None:
        """Run some statements as the database's owner, each a transaction of its own."""
        with self.connect() as connection:
            connection.execute(statements)

    def connect(self) -> psycopg.Connection:
        """Return a connection as the database's owner, without transactions but for those that are begun."""
        return psycopg.connect(host=str(self.folder), user=self.user, dbname="postgres", autocommit=True)

    def url(self, database: str) -> str:
        """Return the address of a database in SQLAlchemy's spelling."""
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.run("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "start")

    def crash(self) -> None:
        """End it as a crash does: nobody is told, and what was committed is found in its log at the next start."""
        self.run("pg_ctl", "-w", "-s", "-m", "immediate", "stop")

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on its data."""
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(
            command,
            user=self.account,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            umask=0o077,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def _programs() -> Path:
    found = sorted(Path(PROGRAMS).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.skip("PostgreSQL's initdb is not installed; on Debian: apt-get install postgresql")
    return Path(on_path).parent


def _unprivileged() -> str | None:
    """Return the user to become, since PostgreSQL refuses to run as root; ``None`` to stay who we are."""
    if os.geteuid() != 0:
        return None
    return next(entry.pw_name for entry in pwd.getpwall() if entry.pw_name in {"postgres", "nobody"})


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server for the whole run, and stop it at the end."""
    programs, account = _programs(), _unprivileged()
    # Not in pytest's folder: the other user could not get in, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="uncrop-pg-"))
    if account is not None:
        shutil.chown(folder, account)
    server = PostgresServer(folder=folder, user="uncrop", programs=programs, account=account)
    try:
        server.run("initdb", "-U", "uncrop", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (folder / "data/postgresql.conf").open("a") as file:
            # Durability is SQLite's and PostgreSQL's business; here it would only cost time.
            file.write(
                f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\nmax_connections = 60\n"
            )
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Return the address of an empty PostgreSQL database."""
    # Emptying one database takes a tenth of the time of making another. A connection that a test has left open would
    # be waited for, and fails the next test instead.
    postgres_server.execute(
        "SET lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public;DROP SCHEMA IF EXISTS dbos CASCADE"
    )
    return postgres_server.url("postgres")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the address of an SQLite file that does not exist yet, in a folder that does not either."""
    return f"sqlite+aiosqlite:///{tmp_path / 'made' / 'uncrop.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the address of an empty database: once on SQLite, once on PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url
