"""Every query of the ledger but those of the verifier, which reads without the ORM."""

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.chain import GENESIS
from access.ledger.models import LedgerEntry, LedgerHead

_HEAD = 1


async def locked_head(session: AsyncSession) -> tuple[int, bytes]:
    """Return number and hash of the newest entry, locked until the commit; makes the row once.

    On SQLite the whole transaction is the lock (BEGIN IMMEDIATE).
    """
    query = select(LedgerHead.seq, LedgerHead.hash).where(LedgerHead.id == _HEAD).with_for_update()
    row = (await session.execute(query)).one_or_none()
    if row is None:
        values = {"id": _HEAD, "seq": 0, "hash": GENESIS}
        if session.get_bind().dialect.name == "postgresql":
            # Two first writers at once: the second waits here and then finds the row.
            await session.execute(
                insert_postgresql(LedgerHead).values(values).on_conflict_do_nothing()
            )
        else:
            await session.execute(insert(LedgerHead).values(values))
        row = (await session.execute(query)).one()
    return row.seq, row.hash


async def add(session: AsyncSession, values: dict[str, object]) -> None:
    """Write one entry and make it the head."""
    await session.execute(insert(LedgerEntry).values(values))
    await session.execute(
        update(LedgerHead)
        .where(LedgerHead.id == _HEAD)
        .values(seq=values["seq"], hash=values["hash"])
    )


async def head(session: AsyncSession) -> tuple[int, bytes]:
    """Return number and hash of the newest entry without locking it; (0, GENESIS) if none."""
    query = select(LedgerHead.seq, LedgerHead.hash).where(LedgerHead.id == _HEAD)
    row = (await session.execute(query)).one_or_none()
    return (row.seq, row.hash) if row is not None else (0, GENESIS)


async def entry(session: AsyncSession, seq: int) -> LedgerEntry | None:
    """Return the entry `seq`."""
    return await session.get(LedgerEntry, seq)
