"""SQLite from an event loop with one trip to its thread for each statement, or with none.

SQLAlchemy's adapter of aiosqlite asks the connection's thread four times for a statement: for a
cursor, to execute, to fetch, and to close. Each trip wakes a thread that then waits for the
interpreter, which costs more than most of our statements do. Here the thread does all four at once
and hands back the rows. Cursors of the server's side (`stream`) are SQLAlchemy's own.

A connection that is `swift` spares the trip as well: its statements run on the event loop's own
thread. `Database` sets it where nothing can make them wait: within a transaction that holds the
write lock already, and for reads by key, which in WAL mode wait for nobody. What waits for the
disk (BEGIN, COMMIT and ROLLBACK) always takes the trip.

Relies on aiosqlite's `Connection._conn`, `._connection`, `._execute` and `._thread`, the former
of which SQLAlchemy's adapter relies on as well.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import aiosqlite
from sqlalchemy import Dialect, event
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import await_only

SHARED = sqlite3.threadsafety == 3
"""Whether this build of SQLite lets two threads use one connection, one after the other."""

FEW = 32
"""A swift connection runs a statement for so many rows without a trip; for more it takes one."""

IN_A_ROW = 8
"""After so many statements without a trip a swift connection lets the loop's other tasks go on."""

_Description = tuple[tuple[str, None, None, None, None, None, None], ...] | None
_Result = tuple[_Description, int, int | None, list[Any]]


class OneTripCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that holds the rows of its statement, and nothing of the driver's."""

    __slots__ = ("arraysize", "description", "lastrowid", "rowcount")

    _adapt_connection: "OneTripConnection"

    def __init__(self, adapt_connection: "OneTripConnection") -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows = deque()
        self.arraysize = 1
        self.description: Any = None
        self.lastrowid: Any = None
        self.rowcount: Any = -1

    def execute(self, operation: Any, parameters: Any = None) -> None:
        """Run a statement and take all its rows.

        Raises:
            sqlite3.Error: as the driver raises it; `OperationalError` on a closed connection.
        """
        self._keep(self._adapt_connection.ask(_execute, operation, parameters or ()))

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        """Run a statement for each of many rows; raises what `execute` raises."""
        rows = list(seq_of_parameters)
        few = len(rows) <= FEW
        self._keep(self._adapt_connection.ask(_executemany, operation, rows, few=few))

    def close(self) -> None:
        """Forget the rows; the driver's cursor was closed by the thread."""
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """Do nothing: there is nothing of the driver's to give back."""

    def _keep(self, result: _Result) -> None:
        self.description, self.rowcount, self.lastrowid, rows = result
        self._rows = deque(rows)


class OneTripConnection(AsyncAdapt_aiosqlite_connection):
    """A connection whose plain cursors make one trip; `swift` says whether they need none."""

    __slots__ = ("_answered", "_asked", "_in_a_row", "swift")

    _cursor_cls: type[AsyncAdapt_aiosqlite_cursor] = OneTripCursor

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.swift = False
        self._in_a_row = 0
        # Each is counted by one thread only. They differ while the thread is at work, which it
        # may be although nobody waits for it any more.
        self._asked = 0
        self._answered = 0

    def ask(
        self, function: Callable[..., _Result], operation: str, values: Any, *, few: bool = True
    ) -> _Result:
        """Return what `function` makes of the driver's connection and of the other arguments."""
        try:
            raw: sqlite3.Connection = self._connection._conn
            if self.swift and few and self._is_idle() and _never_waits(raw, operation):
                result = function(raw, operation, values)
                self._in_a_row = (self._in_a_row + 1) % IN_A_ROW
                await_only(_nothing() if self._in_a_row else asyncio.sleep(0))
                return result
            answer: _Result = self._trip(function, raw, operation, values)
            return answer
        except Exception as error:  # noqa: BLE001  # the adapter's way: it raises it again
            self._handle_exception(error)

    def commit(self) -> None:
        """Commit; without a transaction there is nothing to wait for."""
        self._end("commit")

    def rollback(self) -> None:
        """Roll back; without a transaction there is nothing to wait for."""
        self._end("rollback")

    def _end(self, name: str) -> None:
        raw: sqlite3.Connection | None = self._connection._connection
        if raw is None:
            return
        if self._is_idle() and not raw.in_transaction:
            # SQLAlchemy's bridge to asyncio insists on a wait.
            await_only(_nothing())
            return
        try:
            self._trip(getattr(raw, name))
        except Exception as error:  # noqa: BLE001  # the adapter's way: it raises it again
            self._handle_exception(error)

    def _is_idle(self) -> bool:
        """Say whether the thread has done all it was asked, cancelled or not."""
        return self._asked == self._answered

    def _trip(self, function: Callable[..., Any], *arguments: Any) -> Any:
        def answer() -> Any:
            try:
                return function(*arguments)
            finally:
                self._answered += 1

        waiting = self._connection._execute(answer)
        self._asked += 1
        return await_only(waiting)


def _execute(raw: sqlite3.Connection, operation: str, parameters: Sequence[Any]) -> _Result:
    cursor = raw.execute(operation, parameters)
    return _result(cursor)


def _executemany(raw: sqlite3.Connection, operation: str, rows: Sequence[Sequence[Any]]) -> _Result:
    return _result(raw.executemany(operation, rows))


def _result(cursor: sqlite3.Cursor) -> _Result:
    try:
        # Before the count: RETURNING counts only what has been fetched.
        rows = cursor.fetchall() if cursor.description is not None else []
        return cursor.description, cursor.rowcount, cursor.lastrowid, rows
    finally:
        cursor.close()


def _never_waits(raw: sqlite3.Connection, operation: str) -> bool:
    """Say whether a statement asks for no lock: what begins or is a transaction does."""
    return raw.in_transaction or operation.startswith("SELECT")


async def _nothing() -> None:
    """Be over at once."""


def use_one_trip(engine: AsyncEngine) -> None:
    """Let an engine of `sqlite+aiosqlite` make its connections of `OneTripConnection`."""

    def connect(
        dialect: Dialect, _record: Any, arguments: Any, options: dict[str, Any]
    ) -> OneTripConnection:
        if SHARED:
            options["check_same_thread"] = False
        made = aiosqlite.connect(*arguments, **options)
        # Nobody waits for it when the process ends.
        made._thread.daemon = True
        return OneTripConnection(dialect.loaded_dbapi, await_only(made))

    def give_back(connection: OneTripConnection | None, _record: Any) -> None:
        if connection is not None:
            connection.swift = False

    event.listen(engine.sync_engine, "do_connect", connect)
    event.listen(engine.sync_engine, "checkin", give_back)


def make_swift(connection: AsyncConnection) -> None:
    """Let statements of `connection` run on the event loop's thread until the pool has it back.

    Does nothing where the build of SQLite forbids it.
    """
    pooled = connection.sync_connection
    driver: object = None if pooled is None else pooled.connection.dbapi_connection
    if SHARED and isinstance(driver, OneTripConnection):
        driver.swift = True
