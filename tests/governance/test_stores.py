"""The stores that the tests run on are the real ones, and each test has one of its own."""

from sqlalchemy import text

from core.database import Database


async def test_commits_are_durable_on_both_stores(database: Database) -> None:
    async with database.read() as session:
        if database.is_sqlite:
            assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
            assert await session.scalar(text("PRAGMA synchronous")) == 2
        else:
            assert await session.scalar(text("SHOW fsync")) == "on"
            assert await session.scalar(text("SHOW synchronous_commit")) == "on"
