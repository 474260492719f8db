"""Sees that a database has the current schema, and spares whoever opens it the way to see it.

Alembic, with every table of the product, takes longer to import than most commands run. So the
newest migration's name is read out of the files, and Alembic is asked only where the database
names another.
"""

import re
from functools import cache
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
_REVISION = re.compile(r'^revision = "(\w+)"$', re.MULTILINE)
_AFTER = re.compile(r'^down_revision = "(\w+)"$', re.MULTILINE)


@cache
def newest_revision() -> str | None:
    """Return the migration that no other one follows; None unless there is exactly one."""
    texts = [file.read_text("utf-8") for file in (MIGRATIONS / "versions").glob("*.py")]
    followed = {name for each in texts for name in _AFTER.findall(each)}
    last = {name for each in texts for name in _REVISION.findall(each)} - followed
    return last.pop() if len(last) == 1 else None


async def is_current(database: Database) -> bool:
    """Tell whether `database` has the schema of this version; False where it cannot be asked."""
    try:
        async with database.engine.connect() as connection:
            found = await connection.execute(text("SELECT version_num FROM alembic_version"))
            return found.scalars().all() == [newest_revision()]
    except (SQLAlchemyError, OSError):
        return False  # the migration meets the same trouble, and says what it is


async def bring_up_to_date(database: Database) -> None:
    """Run every migration that `database` lacks.

    Raises:
        HubError: the store cannot be reached, or holds a schema of a newer version.
    """
    if not await is_current(database):
        from app.migrate import upgrade

        await upgrade(database)
