"""Every query of timers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from governance.timers.models import Timer

RANKS = (4, 3, 2, 1, 0)
"""Every rank of severity, the most severe first; see `incidents.opening.SEVERITY_RANK`."""


def _pending() -> ColumnElement[bool]:
    return and_(Timer.fired_at.is_(None), Timer.cancelled_at.is_(None))


# Made once: after each commit the loop looks, and making them cost more than running them.
_EARLIEST = select(
    *(
        select(Timer.due_at)
        .where(_pending(), Timer.rank == rank)
        .order_by(Timer.due_at)
        .limit(1)
        .scalar_subquery()
        for rank in RANKS
    )
)
_DUE = (
    select(Timer)
    .where(_pending(), Timer.rank == bindparam("of_rank"), Timer.due_at <= bindparam("due_until"))
    .order_by(Timer.due_at)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
    .execution_options(populate_existing=True)
)


async def last_seq(session: AsyncSession, incident_id: UUID, kind: str) -> int:
    """Return the highest `seq` of that kind of timer of the incident, 0 if there was none."""
    query = select(func.max(Timer.seq)).where(Timer.incident_id == incident_id, Timer.kind == kind)
    return await session.scalar(query) or 0


async def cancel(session: AsyncSession, incident_id: UUID, now: datetime) -> None:
    """Cancel every pending timer of the incident."""
    await session.execute(
        update(Timer).where(Timer.incident_id == incident_id, _pending()).values(cancelled_at=now)
    )


async def ringing(session: AsyncSession, incident_id: UUID) -> Timer | None:
    """Return the incident's pending timer if it is one that rings."""
    query = select(Timer).where(Timer.incident_id == incident_id, Timer.kind == "ring", _pending())
    return (await session.scalars(query.order_by(Timer.due_at).limit(1))).one_or_none()


async def set_rank(session: AsyncSession, incident_id: UUID, rank: int) -> None:
    """Give the incident's pending timer another rank."""
    await session.execute(
        update(Timer).where(Timer.incident_id == incident_id, _pending()).values(rank=rank)
    )


async def next_due(session: AsyncSession) -> datetime | None:
    """Return when the next pending timer is due."""
    return min((await earliest(session)).values(), default=None)


async def earliest(session: AsyncSession) -> dict[int, datetime]:
    """Return when the next pending timer of each rank is due that has one, out of the index."""
    found = (await session.execute(_EARLIEST)).one()
    return {rank: due for rank, due in zip(RANKS, found, strict=True) if due is not None}


async def claim_due(
    session: AsyncSession, now: datetime, limit: int, ranks: Sequence[int] = RANKS
) -> Sequence[Timer]:
    """Return due timers, locked until the transaction ends: the most severe, then the oldest first.

    One look into the index for each of `ranks` (the most severe first), so that what is due is
    found among any number of others.
    SKIP LOCKED: what another process is firing is not waited for. SQLite has no such clause and
    needs none, since the transaction began with BEGIN IMMEDIATE.
    """
    claimed: list[Timer] = []
    for rank in ranks:
        values = {"of_rank": rank, "due_until": now, "at_most": limit - len(claimed)}
        claimed += (await session.scalars(_DUE, values)).all()
        if len(claimed) >= limit:
            break
    return claimed


async def locked(session: AsyncSession, timer_id: UUID) -> Timer | None:
    """Return a timer as it is committed now, locked until the transaction ends."""
    query = select(Timer).where(Timer.id == timer_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def made_in_the_future(session: AsyncSession, now: datetime) -> Sequence[Timer]:
    """Return pending timers made later than `now`, locked: the wall clock has gone back since."""
    query = (
        select(Timer)
        .where(_pending(), Timer.created_at > now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def postpone(session: AsyncSession, timer_id: UUID, until: datetime) -> None:
    """Move a pending timer that could not be fired."""
    await session.execute(
        update(Timer).where(Timer.id == timer_id, _pending()).values(due_at=until)
    )


async def count_late(session: AsyncSession, now: datetime, grace: timedelta) -> int:
    """Return how many pending timers are overdue by more than `grace`."""
    query = (
        select(func.count())
        .select_from(Timer)
        .where(_pending(), Timer.rank.in_(RANKS), Timer.due_at < now - grace)
    )
    return await session.scalar(query) or 0
