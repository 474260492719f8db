"""Both stores for real: SQLite in a file, and a PostgreSQL server of this test session.

`store_url` gives a test an empty store with all tables, once on each; `database` opens it.
Tables are made once per session into a template that is cloned for each test.
"""

import asyncio
import ctypes
import importlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.database import Base, Database

REPOSITORY = Path(__file__).resolve().parents[2]
_PACKAGES_WITH_TABLES = ("access", "camera_hub", "analytics", "governance")
_PR_SET_PDEATHSIG = 1
_MOST_DROPPING = 4


def import_all_models() -> None:
    """Import every `models.py` of the product, so that `Base.metadata` holds all tables."""
    for package in _PACKAGES_WITH_TABLES:
        for path in sorted((REPOSITORY / package).rglob("models.py")):
            importlib.import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))


def run_apart(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run `coroutine` to its end in a loop of its own, away from the test's loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, coroutine).result()


async def create_tables(url: str) -> None:
    """Create all tables of the product in the empty store at `url`."""
    import_all_models()
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
    finally:
        await database.close()


class PostgresServer:
    """A PostgreSQL cluster in a temporary directory, reachable by its Unix socket only."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # Not below pytest's own directory: that one is closed to the account of the server.
        self.directory = Path(tempfile.mkdtemp(prefix="camera-hub-pg-"))
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._user: str | None = None
        self._numbers = count(1)
        self._dropping: deque[subprocess.Popen[bytes]] = deque()
        if os.geteuid() == 0:
            self._user = "postgres"
            account = pwd.getpwnam(self._user)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
        self.directory.chmod(0o755)
        self._command("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres",
                      "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip

    def _command(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / name), *arguments],
            cwd=self.directory, user=self._user, group=self._user,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{name} failed: {done.stderr or done.stdout}")

    def start(self) -> None:
        """Start the server and wait until it answers. fsync is on, as in earnest.

        Call it from the main thread: the server dies with the thread that started it.
        """
        log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen(
            [str(self._binaries / "postgres"), "-D", str(self._data),
             "-k", str(self.directory), "-c", "listen_addresses=", "-c", "fsync=on",
             "-c", "max_connections=120", "-c", "shared_buffers=64MB"],
            cwd=self.directory, user=self._user, group=self._user, stdout=log, stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # one async-signal-safe system call
        )  # fmt: skip
        log.close()
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        probe = [str(self._binaries / "pg_isready"), "-q", "-h", str(self.directory)]
        while subprocess.run(probe, check=False).returncode != 0:
            if self._process.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text(errors="replace"))
            time.sleep(0.02)

    def kill(self) -> None:
        """Stop at once, without a checkpoint, as a power cut does (recovery follows)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def close(self) -> None:
        """Stop the server and remove its directory."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        for dropping in self._dropping:
            dropping.wait()  # it ends with its server
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, name: str) -> str:
        """Return the SQLAlchemy URL of the database `name`."""
        return f"postgresql+asyncpg://postgres@/{name}?host={self.directory}"

    def sql(self, statement: str) -> None:
        """Run one statement in the maintenance database."""
        self._command("psql", "-h", str(self.directory), "-U", "postgres", "-q",
                      "-v", "ON_ERROR_STOP=1", "-c", statement)  # fmt: skip

    def create(self, template: str | None = None) -> str:
        """Create a database (a clone of `template` if given) and return its name."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def drop(self, name: str) -> None:
        """Let a database be dropped, ending what is still connected.

        Nobody waits for it, for it costs a checkpoint; no more than a few are under way.
        """
        while len(self._dropping) >= _MOST_DROPPING:
            self._dropping.popleft().wait()
        statement = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        command = ["psql", "-h", str(self.directory), "-U", "postgres", "-q", "-c", statement]
        self._dropping.append(
            subprocess.Popen(
                [str(self._binaries / command[0]), *command[1:]], cwd=self.directory,
                user=self._user, group=self._user, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip


def _die_with_parent() -> None:
    # A killed test session must leave no server behind.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _postgres_binaries() -> Path | None:
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(found, key=lambda p: int(p.parent.name), default=None)


ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For a test of what no store does differently: it runs once instead of twice."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL server, started at first use."""
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: run `apt install postgresql` to test both stores")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Name of a PostgreSQL database with all tables and no rows."""
    name = postgres_server.create()
    run_apart(create_tables(postgres_server.url(name)))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a SQLite file with all tables and no rows."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    run_apart(create_tables(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """URL of a fresh SQLite store with all tables, for tests that need only one store."""
    path = tmp_path / "camera-hub.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """URL of a fresh PostgreSQL store with all tables."""
    name = postgres_server.create(postgres_template)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh store with all tables; the test runs once on each store (see `ON_SQLITE`)."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url = request.getfixturevalue(name)
    assert isinstance(url, str)
    return url


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    """The store of `store_url`, open."""
    database = Database(store_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when the test moves it."""
    return ManualClock()
