"""The store: explicit transactions, times in UTC, and another process's lock outlived."""

import asyncio
import multiprocessing
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.connection import Connection
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError, StatementError

from access.tokens.models import ServiceToken
from core.clock import SystemClock
from core.database import Database
from core.ids import new_id

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def row(name: str, created_at: datetime = NOW) -> ServiceToken:
    return ServiceToken(
        id=new_id(),
        name=name,
        token_hash=new_id().hex,
        scopes=["signal.post", "名"],
        area="",
        created_at=created_at,
    )


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(ServiceToken.name).order_by(ServiceToken.id)))


async def test_a_transaction_commits_once_at_its_end(database: Database) -> None:
    async with database.transaction() as session:
        session.add(row("kept"))
        await session.flush()
        assert await names(database) == [], "nobody else sees it before the end"
    assert await names(database) == ["kept"]


async def test_an_error_or_a_cancellation_undoes_everything(database: Database) -> None:
    async def failing() -> None:
        async with database.transaction() as session:
            session.add(row("lost"))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    inside = asyncio.Event()

    async def cancelled() -> None:
        async with database.transaction() as session:
            session.add(row("lost too"))
            await session.flush()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(cancelled())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction() as session:
        session.add(row("after"))
    assert await names(database) == ["after"]


async def test_what_a_reader_changes_is_not_kept(database: Database) -> None:
    async with database.read() as session:
        session.add(row("read only"))
    assert await names(database) == []


async def test_times_come_back_in_utc_and_sort_by_time(database: Database) -> None:
    east = timezone(timedelta(hours=8))
    moments = [NOW, NOW + timedelta(microseconds=1), (NOW - timedelta(seconds=1)).astimezone(east)]
    async with database.transaction() as session:
        session.add_all(row(str(number), moment) for number, moment in enumerate(moments))
    async with database.read() as session:
        found = list(await session.scalars(select(ServiceToken).order_by(ServiceToken.created_at)))
        assert [item.created_at for item in found] == sorted(moments)
        assert {item.created_at.utcoffset() for item in found} == {timedelta(0)}
        later = select(func.count()).where(ServiceToken.created_at > NOW.astimezone(east))
        assert await session.scalar(later) == 1
        assert found[0].scopes == ["signal.post", "名"]


async def test_a_time_without_a_zone_never_reaches_the_store(database: Database) -> None:
    naive = row("naive", NOW.replace(tzinfo=None))
    async with database.transaction() as session:
        session.add(naive)
        with pytest.raises(StatementError, match="naive"):
            await session.flush()
        await session.rollback()
        session.expunge_all()


async def test_many_writers_at_once_all_get_through(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as session:
            count = await session.scalar(select(func.count()).select_from(ServiceToken))
            session.add(row(f"{number}-{count}"))

    await asyncio.gather(*(write(number) for number in range(40)))
    assert len(await names(database)) == 40


async def test_sqlite_is_durable_and_checks_keys(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    async with database.read() as session:
        settings = [
            (await session.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]
    await database.close()


def _hold_lock(path: str, seconds: float, ready: Connection) -> None:
    """Runs in another process: takes SQLite's write lock and keeps it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    ready.send("locked")
    ready.poll(seconds)
    connection.execute("COMMIT")


@pytest.mark.faults
async def test_sqlite_locked_by_another_process_for_five_seconds(
    sqlite_url: str,
) -> None:
    database = Database(sqlite_url)
    impatient = Database(sqlite_url, busy_timeout_s=0.2)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    path = str(database.url.database)
    holder = context.Process(target=_hold_lock, args=(path, 5.0, theirs), daemon=True)
    holder.start()
    assert await asyncio.to_thread(ours.recv) == "locked"
    clock = SystemClock()
    began = clock.monotonic()

    assert await names(database) == [], "readers do not wait for a writer"
    with pytest.raises(OperationalError, match="locked"):
        async with impatient.transaction():
            pass
    async with database.transaction() as session:
        session.add(row("waited"))
    assert clock.monotonic() - began > 3, "the lock was really held meanwhile"
    assert await names(database) == ["waited"]
    await asyncio.to_thread(holder.join)
    assert holder.exitcode == 0
    await database.close()
    await impatient.close()


@pytest.mark.parametrize(
    "value", [["名", "\U0001f525"], ["x" * 10_000], ['"\\\u2028'], [1, 2.5, None, {"1": [True]}]]
)
async def test_a_document_comes_back_as_it_was_written(database: Database, value: Any) -> None:
    kept = row("document")
    kept.scopes = value
    async with database.transaction() as session:
        session.add(kept)
    async with database.read() as session:
        assert (await session.scalars(select(ServiceToken.scopes))).one() == value


async def test_sqlite_keeps_what_orjson_does_not_take(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    kept = row("large")
    odd: Any = [2**70, "\ud800"]
    kept.scopes = odd
    async with database.transaction() as session:
        await session.run_sync(lambda sync: ServiceToken.metadata.create_all(sync.connection()))
        session.add(kept)
    async with database.read() as session:
        assert (await session.scalars(select(ServiceToken.scopes))).one() == odd
    await database.close()
