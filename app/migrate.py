"""Brings a database to the current schema, and compares it with the models."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from app.process import Pulse
from app.tables import all_tables
from core.database import Database
from core.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
_POSTGRES_LOCK = 0x43485542  # any number that nothing else of the product uses


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Several nodes may start at once; the second one waits and finds nothing to do.
        connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _POSTGRES_LOCK})
        connection.commit()
    command.upgrade(_config(connection), "head")
    connection.commit()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _POSTGRES_LOCK})
        connection.commit()


async def upgrade(database: Database) -> None:
    """Run every migration that `database` lacks."""
    async with database.engine.connect() as connection:
        await connection.run_sync(_upgrade)


async def migrate_child(settings: Settings, _pulse: Pulse | None = None) -> None:
    """The one-shot child of the supervisor that runs before all others."""
    database = Database(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    try:
        await upgrade(database)
    finally:
        await database.close()


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, all_tables()))


async def differences(database: Database) -> list[Any]:
    """Return what alembic would change to make `database` equal the models."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(_differences)


def _revise(connection: Connection, message: str) -> None:
    command.revision(_config(connection), message=message, autogenerate=True)


async def revise(database: Database, message: str) -> None:
    """Write a new migration file from the difference between `database` and the models."""
    await upgrade(database)
    async with database.engine.connect() as connection:
        await connection.run_sync(_revise, message)
