"""Brings a database to the current schema, and compares it with the models."""

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app.schema import MIGRATIONS
from app.tables import all_tables
from core.database import Database
from core.errors import HubError
from core.logging import redact_text

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
    """Run every migration that `database` lacks.

    Raises:
        HubError: the store cannot be reached, or holds a schema of a newer version.
    """
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_upgrade)
    except (SQLAlchemyError, CommandError, OSError) as error:
        reason = redact_text(str(error).splitlines()[0])
        raise HubError(
            f"The database could not be brought up to date: {reason}",
            remedy="Check `database.url`, the disk, and that no newer version made this database.",
        ) from error


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
