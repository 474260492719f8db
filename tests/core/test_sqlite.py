"""SQLite with one trip for each statement: what the driver says and raises comes through."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import Database
from core.sqlite import FEW, IN_A_ROW, SHARED

THINGS = Table(
    "thing",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(20), nullable=False, unique=True),
)
SHORT = pytest.mark.parametrize("short", [False, True], ids=["one-trip", "no-trip"])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    """Return an empty store with the one table."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/things.db", busy_timeout_s=0.2)
    async with database.engine.begin() as connection:
        await connection.run_sync(THINGS.metadata.create_all)
    yield database
    await database.close()


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(select(THINGS.c.name).order_by(THINGS.c.id)))


async def add(session: AsyncSession, *things: str) -> None:
    await session.execute(insert(THINGS), [{"name": name} for name in things])


@SHORT
async def test_what_the_driver_says_of_a_statement_comes_through(
    store: Database, *, short: bool
) -> None:
    async with store.transaction(short=short) as session:
        connection = await session.connection()
        first: Any = await connection.exec_driver_sql("INSERT INTO thing (name) VALUES ('one')")
        assert (first.lastrowid, first.rowcount) == (1, 1)
        second: Any = await connection.execute(insert(THINGS).values(name="two"))
        assert second.inserted_primary_key == (2,)
        both: Any = await connection.execute(update(THINGS).values(name=THINGS.c.name + "!"))
        assert both.rowcount == 2
        returned = await connection.execute(
            insert(THINGS).returning(THINGS.c.id, THINGS.c.name), [{"name": "a"}, {"name": "b"}]
        )
        assert sorted(returned.all()) == [(3, "a"), (4, "b")]
        rows = await connection.execute(text("SELECT id, name AS called FROM thing ORDER BY id"))
        assert list(rows.keys()) == ["id", "called"]
        assert rows.fetchone() == (1, "one!")
        assert rows.fetchmany(2) == [(2, "two!"), (3, "a")]
        assert rows.fetchall() == [(4, "b")]
        none = await connection.execute(select(THINGS).where(THINGS.c.id == 99))
        assert none.one_or_none() is None
    assert await names(store) == ["one!", "two!", "a", "b"]


@SHORT
@pytest.mark.parametrize("count", [FEW, FEW + 1, 5000])
async def test_many_rows_are_written_whole(store: Database, count: int, *, short: bool) -> None:
    async with store.transaction(short=short) as session:
        written: Any = await (await session.connection()).exec_driver_sql(
            "INSERT INTO thing (name) VALUES (?)", [(str(number),) for number in range(count)]
        )
        assert written.rowcount == count
    assert await names(store) == [str(number) for number in range(count)]


@SHORT
async def test_errors_keep_their_classes(store: Database, *, short: bool) -> None:
    async with store.transaction(short=short) as session:
        await add(session, "one")
        for statement, kind, original in (
            ("INSERT INTO thing (name) VALUES ('one')", IntegrityError, sqlite3.IntegrityError),
            ("SELECT * FROM nothing", OperationalError, sqlite3.OperationalError),
            ("SELECT ?", ProgrammingError, sqlite3.ProgrammingError),
        ):
            with pytest.raises(kind) as caught:
                await (await session.connection()).exec_driver_sql(statement)
            assert type(caught.value.orig) is original
            assert not caught.value.connection_invalidated
        inner = await session.begin_nested()
        await add(session, "two", "three")
        with pytest.raises(IntegrityError):
            await add(session, "one")
        await inner.rollback()
        await add(session, "four")
    assert await names(store) == ["one", "four"]


@SHORT
async def test_a_result_is_streamed_a_part_at_a_time(store: Database, *, short: bool) -> None:
    async with store.transaction() as session:
        await add(session, *(str(number) for number in range(1000)))
    seen = []
    async with store.read(short=short) as session:
        result = await session.stream_scalars(
            select(THINGS.c.name).order_by(THINGS.c.id), execution_options={"yield_per": 100}
        )
        async for name in result:
            seen.append(name)
            if len(seen) == 150:
                break
        await result.close()
        assert await session.scalar(select(THINGS.c.id).where(THINGS.c.name == "7")) == 8
    assert seen == [str(number) for number in range(150)]


def statements_of(database: Database) -> list[tuple[str, str]]:
    """Return a list to which SQLite itself adds each statement with the thread it ran on."""
    ran: list[tuple[str, str]] = []

    def note(connection: Any, _record: Any) -> None:
        def seen(statement: str) -> None:
            here = threading.current_thread() is threading.main_thread()
            ran.append((statement.split(maxsplit=1)[0], "loop" if here else "thread"))

        raw: sqlite3.Connection = connection.driver_connection._conn
        raw.set_trace_callback(seen)

    event.listen(database.engine.sync_engine, "connect", note)
    return ran


@pytest.mark.skipif(not SHARED, reason="this SQLite is built for one thread a connection")
async def test_only_what_never_waits_runs_on_the_loops_thread(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/things.db")
    async with database.engine.begin() as connection:
        await connection.run_sync(THINGS.metadata.create_all)
    await database.close()
    ran = statements_of(database)
    async with database.transaction(short=True) as session:
        await add(session, "one")
        async with session.begin_nested():
            await add(session, *(str(number) for number in range(FEW)))
        await add(session, *(f"more {number}" for number in range(FEW + 1)))
    assert [run for run in ran if run[0] != "PRAGMA"] == [
        ("BEGIN", "thread"),
        ("INSERT", "loop"),
        ("SAVEPOINT", "loop"),
        *[("INSERT", "loop")] * FEW,
        ("RELEASE", "loop"),
        *[("INSERT", "thread")] * (FEW + 1),
        ("COMMIT", "thread"),
    ]
    ran.clear()
    assert len(await names(database)) == 2 * FEW + 2
    async with database.transaction() as session:
        await add(session, "another")
    where = {thread for _, thread in ran}
    assert where == {"thread"}, "the pool's connection is as it was before"
    ran.clear()
    async with database.read(short=True) as session:
        await session.execute(select(THINGS))
        await session.execute(update(THINGS).values(name=THINGS.c.name + "?"))
        await session.execute(select(THINGS))
    assert ran == [("SELECT", "loop"), ("UPDATE", "thread"), ("SELECT", "loop")]
    await database.close()


@SHORT
async def test_cancelled_in_the_middle_of_a_statement_it_leaves_no_lock(
    store: Database, *, short: bool
) -> None:
    await names(store)
    path = str(store.url.database)
    patient = Database(str(store.url), busy_timeout_s=30.0)
    async with patient.engine.connect():
        pass
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = asyncio.Event()
    event.listen(patient.engine.sync_engine, "before_cursor_execute", lambda *_: asked.set())

    async def wait_for_the_lock() -> None:
        async with patient.transaction(short=short) as session:
            await add(session, "never")

    task = asyncio.create_task(wait_for_the_lock())
    await asked.wait()
    await asyncio.sleep(0)
    task.cancel()
    # Its thread waits for the lock still, and gets it now.
    other.execute("COMMIT")
    other.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.transaction(short=short) as session:
        await add(session, "after")
    async with patient.transaction(short=short) as session:
        await add(session, "again")
    assert await names(store) == ["after", "again"]
    await patient.close()


@SHORT
async def test_cancelled_between_statements_it_is_rolled_back(
    store: Database, *, short: bool
) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with store.transaction(short=short) as session:
            await add(session, "never")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.transaction(short=short) as session:
        await add(session, "after")
    assert await names(store) == ["after"]


@SHORT
async def test_a_writer_that_rolls_back_itself_goes_on_outside_of_the_lock(
    store: Database, *, short: bool
) -> None:
    async with store.transaction(short=short) as session:
        await add(session, "never")
        await session.rollback()
        assert list(await session.scalars(select(THINGS.c.name))) == []
        other = sqlite3.connect(str(store.url.database), isolation_level=None, timeout=0.0)
        other.execute("INSERT INTO thing (name) VALUES ('another writer')")
        other.close()
    assert await names(store) == ["another writer"]


@SHORT
async def test_others_go_on_while_a_transaction_does_a_lot(store: Database, *, short: bool) -> None:
    steps = 0

    async def step() -> None:
        nonlocal steps
        while True:
            steps += 1
            await asyncio.sleep(0)

    async with store.transaction(short=short) as session:
        task = asyncio.create_task(step())
        for number in range(10 * IN_A_ROW):
            await add(session, str(number))
        assert steps >= 9
        task.cancel()
    assert len(await names(store)) == 10 * IN_A_ROW


async def test_closing_ends_the_threads_of_the_connections(store: Database) -> None:
    before = set(threading.enumerate())
    fresh = Database(str(store.url))
    async with fresh.transaction(short=True) as session:
        await add(session, "one")
    mine = set(threading.enumerate()) - before
    assert mine
    await fresh.close()
    for thread in mine:
        await asyncio.to_thread(thread.join, 10.0)
        assert not thread.is_alive()
    assert await names(fresh) == ["one"], "a closed store opens again by itself"
    await fresh.close()


async def test_a_connection_that_has_gone_says_so(store: Database) -> None:
    async with store.read(short=True) as session:
        connection = await session.connection()
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.close()
        with pytest.raises(OperationalError) as caught:
            await session.execute(select(THINGS))
        assert caught.value.connection_invalidated
    assert await names(store) == []
