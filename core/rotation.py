"""Replacing the key that seals credentials: every sealed column is sealed anew.

A column is sealed when it is called `sealed` or ends in `_sealed`; that is the whole registry, so
that no table can be forgotten. The order makes a kill at any point harmless: the new key is on the
disk, before the old one, until nothing is sealed with the old one any more.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Column, Table, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import Base, Database
from core.secrets import SecretBox, SecretBoxError, new_key, read_keys, write_keys

_SETTLE_S = 2.0
"""A running hub reads the key file at its next use; what it sealed just before must be found."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done: how many values were sealed anew, and whether the old key is gone."""

    resealed: int
    old_key_removed: bool


def sealed_columns() -> Iterator[tuple[Table, Column[str]]]:
    """Yield every column that holds sealed text, of the tables that are imported."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name == "sealed" or column.name.endswith("_sealed"):
                yield table, column


async def rotate(database: Database, path: Path, *, settle_s: float = _SETTLE_S) -> Rotation:
    """Replace the key at `path`; goes on where an earlier attempt was cut off.

    A file that this account may not write (a credential of the service manager) is changed by
    whoever provides it: with the new key in its first line and the old one in its second,
    everything is sealed with the first, and the second may then be removed.

    Raises:
        SecretBoxError: the file cannot be written and holds one key only, or something in the
            database was sealed with a key that is not in it; nothing is lost.
    """
    keys = read_keys(path)
    if len(keys) == 1:
        try:
            write_keys(path, [new_key(), *keys])
        except OSError as error:
            raise SecretBoxError(
                f"The key file {path} cannot be written: {error.strerror}.",
                remedy="Put a new key in its first line and the old one in its second, restart "
                "the hub, and run this again.",
            ) from error
        keys = read_keys(path)
    await asyncio.sleep(settle_s)
    resealed = 0
    while found := await _reseal(database, SecretBox(*keys), Fernet(keys[0])):
        resealed += found
        await asyncio.sleep(settle_s)
    try:
        write_keys(path, keys[:1])
    except OSError:
        return Rotation(resealed, old_key_removed=False)
    return Rotation(resealed, old_key_removed=True)


async def _reseal(database: Database, box: SecretBox, newest: Fernet) -> int:
    """Seal anew, in one transaction, what `newest` does not open; return how many values."""
    count = 0
    async with database.transaction() as session:
        for table, column in sealed_columns():
            await _lock(session, table)
            keys = list(table.primary_key.columns)
            rows = (await session.execute(select(column, *keys).where(column != ""))).all()
            for sealed, *values in rows:
                if _opens(newest, sealed):
                    continue
                here = [key == value for key, value in zip(keys, values, strict=True)]
                fresh = box.seal(box.open(sealed))
                await session.execute(update(table).where(*here).values({column: fresh}))
                count += 1
    return count


async def _lock(session: AsyncSession, table: Table) -> None:
    """Keep others from writing to `table`; SQLite's transaction does so anyway."""
    if session.get_bind().dialect.name == "postgresql":
        name = session.get_bind().dialect.identifier_preparer.format_table(table)
        await session.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))


def _opens(box: Fernet, sealed: str) -> bool:
    try:
        box.decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True
