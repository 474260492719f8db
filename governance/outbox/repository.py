"""Every query of the outbox."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CursorResult, bindparam, delete, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from governance.outbox.models import OutboxEvent

_COMMIT_ORDER_LOCK = 0x6368_6F75  # any number that nothing else in this database locks

# Made once: it is run after each commit.
_AFTER = (
    select(OutboxEvent)
    .where(OutboxEvent.seq > bindparam("after"))
    .order_by(OutboxEvent.seq)
    .limit(bindparam("at_most"))
)


async def lock_commit_order(session: AsyncSession) -> None:
    """Hold, until the commit, the lock that makes the order of `seq` the order of commits."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _COMMIT_ORDER_LOCK})


async def read_after(session: AsyncSession, seq: int, limit: int) -> Sequence[OutboxEvent]:
    """Return at most `limit` events later than `seq`, oldest first."""
    return (await session.scalars(_AFTER, {"after": seq, "at_most": limit})).all()


async def bounds(session: AsyncSession) -> tuple[int, int]:
    """Return the lowest and the highest `seq` kept; (0, 0) when there is none."""
    # Two queries: SQLite answers a lone min() or max() from the index, both together by a scan.
    lowest = await session.scalar(select(func.min(OutboxEvent.seq)))
    highest = await session.scalar(select(func.max(OutboxEvent.seq)))
    return lowest or 0, highest or 0


async def prune(session: AsyncSession, *, before: datetime, keep: int) -> int:
    """Delete events older than `before` or beyond the newest `keep`; return how many.

    The newest event always stays: it tells a reader that comes back what it has missed.
    """
    _, highest = await bounds(session)
    result = await session.execute(
        delete(OutboxEvent).where(
            OutboxEvent.seq < highest,
            or_(OutboxEvent.seq <= highest - keep, OutboxEvent.created_at < before),
        )
    )
    assert isinstance(result, CursorResult)
    return result.rowcount
