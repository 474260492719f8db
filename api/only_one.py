"""Being the only one of several API processes that does something.

On SQLite there is one API process. On PostgreSQL the one that holds an advisory lock does it; the
lock belongs to a connection, so that it is free again when its process dies, however it dies.
"""

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from core.database import Database


class OnlyOne:
    """Whether this process is the one that does the thing with the number `key`."""

    def __init__(self, database: Database, key: int) -> None:
        self._database = database
        self._key = key
        self._engine: AsyncEngine | None = None
        self._connection: AsyncConnection | None = None

    async def is_me(self) -> bool:
        """Return whether it is; tries to become it. A store that is away makes it nobody."""
        if self._database.is_sqlite:
            return True
        try:
            if self._connection is not None:
                await self._connection.execute(text("SELECT 1"))
                return True
            return await self._try()
        except (SQLAlchemyError, OSError):
            await self.release()
            return False

    async def _try(self) -> bool:
        # Its own connection: one of the pool's would be missing there for ever.
        self._engine = self._engine or create_async_engine(
            self._database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        connection = await self._engine.connect()
        try:
            got = await connection.scalar(
                text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
            )
        except BaseException:
            await connection.close()
            raise
        if not got:
            await connection.close()
            return False
        self._connection = connection
        return True

    async def release(self) -> None:
        """Let another process do it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close()
            except (SQLAlchemyError, OSError):
                # It is gone, and the lock with it.
                await connection.invalidate()
