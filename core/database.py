"""The database: one code for SQLite (embedded) and PostgreSQL (scaled).

SQLite runs in WAL mode with synchronous=FULL, so that a commit that returned is
on the disk. Writers take the write lock at the start (BEGIN IMMEDIATE): a lock
that is upgraded halfway fails at once instead of waiting. Within one process
writers queue on an asyncio lock, which is fair; between processes they wait on
SQLite's busy timeout.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import JSON, DateTime, Dialect, MetaData, String, event, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from core.errors import UnavailableError
from core.sqlite import make_swift, use_one_trip


class Base(DeclarativeBase):
    """Base of every table; names constraints so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite keeps a fixed-width ISO text, so that it sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database; use the injected clock")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
        assert isinstance(parsed, datetime)
        return parsed if parsed.tzinfo is UTC else parsed.astimezone(UTC)


def _to_json(value: Any) -> str:
    """Return `value` as JSON; what orjson does not take (large integers, lone surrogates) too."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return json.dumps(value)


def _from_json(text: str | bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


JsonValue = JSON().with_variant(JSONB(), "postgresql")
"""Column type for a JSON document (JSONB on PostgreSQL)."""


async def insert_rows(
    session: AsyncSession, model: type[Base], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write many rows of one table in one go, in this order, given by their columns.

    What the session itself has not written yet stays so: flush it before what refers to it.
    """
    if rows:
        await (await session.connection()).execute(insert(model), list(rows))


class StoreGoneError(UnavailableError):
    """The SQLite file was removed or replaced while it was in use (503)."""

    code = "store-away"


class Database:
    """An engine with the two ways of using it: `read()` and `transaction()`."""

    def __init__(self, url: str, *, busy_timeout_s: float = 15.0, pool_size: int = 5) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": 10,
            "json_serializer": _to_json,
            "json_deserializer": _from_json,
        }
        if self.is_sqlite:
            options["connect_args"] = {"timeout": busy_timeout_s}
        else:
            options["pool_pre_ping"] = True
        self.engine: AsyncEngine = create_async_engine(self.url, **options)
        if self.is_sqlite:
            use_one_trip(self.engine)
            event.listen(self.engine.sync_engine, "connect", _sqlite_pragmas)
            event.listen(self.engine.sync_engine, "connect", self._remember_file)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._writer = asyncio.Lock()
        self._file: tuple[int, int] | None = None

    @asynccontextmanager
    async def read(self, *, short: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a session for reading. Nothing may be changed in it.

        Args:
            short: the block only looks up a few rows by an index. On SQLite it then does so on
                the event loop's own thread, which nothing else uses meanwhile.

        Raises:
            StoreGoneError: the SQLite file was removed or replaced while it was open.
        """
        self._check_file()
        async with self._sessions() as session:
            if short and self.is_sqlite:
                make_swift(await session.connection())
            yield session

    @asynccontextmanager
    async def transaction(self, *, short: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a session that is committed when the block ends well, once and only here.

        Args:
            short: each statement of the block takes a moment only. On SQLite they then run on the
                event loop's own thread: the lock is held, so that they wait for nobody. Beginning
                and committing, which wait, never do.

        Raises:
            StoreGoneError: the SQLite file was removed or replaced while it was open.
        """
        if not self.is_sqlite:
            async with self._sessions() as session, session.begin():
                yield session
            return
        async with self._writer, self._sessions() as session:
            self._check_file()
            connection = await session.connection()
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            if short:
                make_swift(connection)
            try:
                yield session
                self._check_file()
            except BaseException:
                await session.rollback()
                raise
            await session.commit()

    def _remember_file(self, _connection: Any, _record: Any) -> None:
        if self._file is None:
            self._file = _identity(self.url.database)

    def _check_file(self) -> None:
        """Refuse to go on with a file that nothing names any more.

        SQLite would: it writes on to a file that was removed, and each commit of it would be lost.
        """
        if self._file is not None and _identity(self.url.database) != self._file:
            raise StoreGoneError(
                "The database's file was removed or replaced while it was in use.",
                remedy="Put the file back (or restore the backup) and restart the hub.",
            )

    async def ping(self) -> None:
        """Run a trivial query; raises what the driver raises if the store is away."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _identity(path: str | None) -> tuple[int, int] | None:
    """Return what tells the file at `path` from any other, or None if it is not there."""
    if not path or path == ":memory:":
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: `transaction()` says when and how.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
