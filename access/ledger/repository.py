"""Every query of the ledger but those of the verifier, which reads without the ORM."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.schemas import AccountBrief
from access.ledger.chain import GENESIS
from access.ledger.checkpoints import Checkpoint
from access.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead
from access.ledger.verifying import RowTuple
from access.policy.areas import in_areas
from core.database import Base

_HEAD = 1


# Plain statements, made once: an entry costs each viewing three of them.
_ENTRIES = Base.metadata.tables[LedgerEntry.__tablename__]
_HEADS = Base.metadata.tables[LedgerHead.__tablename__]
_LOCKED_HEAD = select(_HEADS.c.seq, _HEADS.c.hash).where(_HEADS.c.id == _HEAD).with_for_update()
_ADD = insert(_ENTRIES)
_MOVE_HEAD = (
    update(_HEADS)
    .where(_HEADS.c.id == _HEAD)
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"))
)


async def locked_head(session: AsyncSession) -> tuple[int, bytes]:
    """Return number and hash of the newest entry, locked until the commit; makes the row once.

    On SQLite the whole transaction is the lock (BEGIN IMMEDIATE).
    """
    connection = await session.connection()
    row = (await connection.execute(_LOCKED_HEAD)).one_or_none()
    if row is None:
        values = {"id": _HEAD, "seq": 0, "hash": GENESIS}
        make = insert_postgresql if _is_postgresql(session) else insert_sqlite
        # Two first writers at once: the second waits here and then finds the row.
        await connection.execute(make(_HEADS).values(values).on_conflict_do_nothing())
        row = (await connection.execute(_LOCKED_HEAD)).one()
    return row.seq, row.hash


async def add_all(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    """Write entries that follow each other and make the last one the head."""
    connection = await session.connection()
    await connection.execute(_ADD, list(rows))
    last = rows[-1]
    await connection.execute(_MOVE_HEAD, {"new_seq": last["seq"], "new_hash": last["hash"]})


async def head(session: AsyncSession) -> tuple[int, bytes]:
    """Return number and hash of the newest entry without locking it; (0, GENESIS) if none."""
    query = select(LedgerHead.seq, LedgerHead.hash).where(LedgerHead.id == _HEAD)
    row = (await session.execute(query)).one_or_none()
    return (row.seq, row.hash) if row is not None else (0, GENESIS)


async def hash_of(session: AsyncSession, seq: int) -> bytes | None:
    """Return the stored hash of the entry `seq`; None if it is not there."""
    return await session.scalar(select(LedgerEntry.hash).where(LedgerEntry.seq == seq))


async def newest_of_kind(session: AsyncSession, kind: str) -> LedgerEntry | None:
    """Return the newest entry of `kind`."""
    query = (
        select(LedgerEntry)
        .where(LedgerEntry.kind == kind)
        .order_by(LedgerEntry.seq.desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def raw_after(session: AsyncSession, seq: int, limit: int) -> list[RowTuple]:
    """Return at most `limit` entries after `seq` in order, as the verifier takes them."""
    columns = LedgerEntry.__table__.columns
    query = select(*columns).where(LedgerEntry.seq > seq).order_by(LedgerEntry.seq).limit(limit)
    return [
        tuple(value.encode() if isinstance(value, str) else value for value in row)
        for row in await session.execute(query)
    ]


async def page(  # every filter of the list
    session: AsyncSession,
    *,
    areas: Sequence[str],
    kind: str | None = None,
    actor_id: str | None = None,
    subject: str | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[LedgerEntry]:
    """Return at most `limit` entries of `areas`, newest first, older than `before`."""
    query = select(LedgerEntry).where(in_areas(LedgerEntry.area, areas))
    if kind is not None:
        query = query.where(LedgerEntry.kind == kind)
    if actor_id is not None:
        query = query.where(LedgerEntry.actor_id == actor_id)
    if subject is not None:
        query = query.where(LedgerEntry.subject == subject)
    if before is not None:
        query = query.where(LedgerEntry.seq < before)
    return (await session.scalars(query.order_by(LedgerEntry.seq.desc()).limit(limit))).all()


async def names(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, AccountBrief]:
    """Return who these accounts are; the ledger itself holds ids only."""
    query = select(Account.id, Account.username, Account.display_name).where(Account.id.in_(ids))
    return {
        row.id: AccountBrief(id=row.id, username=row.username, display_name=row.display_name)
        for row in await session.execute(query)
    }


async def head_at(session: AsyncSession) -> int | None:
    """Return when the newest entry was made, in microseconds since 1970 UTC."""
    query = select(LedgerEntry.at).order_by(LedgerEntry.seq.desc()).limit(1)
    return await session.scalar(query)


async def add_checkpoint(session: AsyncSession, checkpoint: Checkpoint) -> None:
    """Keep a checkpoint, unless another process has signed the same entry meanwhile."""
    make = insert_postgresql if _is_postgresql(session) else insert_sqlite
    await session.execute(
        make(LedgerCheckpoint)
        .values(
            seq=checkpoint.seq,
            hash=checkpoint.hash,
            at=checkpoint.at_us,
            key_id=checkpoint.key_id,
            signature=checkpoint.signature,
        )
        .on_conflict_do_nothing()
    )


async def newest_checkpoint(session: AsyncSession) -> Checkpoint | None:
    """Return the checkpoint that covers most."""
    query = select(LedgerCheckpoint).order_by(LedgerCheckpoint.seq.desc()).limit(1)
    row = (await session.scalars(query)).one_or_none()
    return None if row is None else _checkpoint(row)


async def checkpoints_after(session: AsyncSession, seq: int, limit: int) -> list[Checkpoint]:
    """Return at most `limit` checkpoints of entries after `seq`, in order."""
    query = (
        select(LedgerCheckpoint)
        .where(LedgerCheckpoint.seq > seq)
        .order_by(LedgerCheckpoint.seq)
        .limit(limit)
    )
    return [_checkpoint(row) for row in await session.scalars(query)]


def _checkpoint(row: LedgerCheckpoint) -> Checkpoint:
    return Checkpoint(row.seq, row.hash, row.at, row.key_id, row.signature)


def _is_postgresql(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "postgresql"
