"""Every query of signals."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from governance.signals.models import Signal


async def by_event(session: AsyncSession, source: str, event_id: str) -> Signal | None:
    """Return the signal that its sender knows by (source, event_id)."""
    query = select(Signal).where(Signal.source == source, Signal.event_id == event_id)
    return (await session.scalars(query)).one_or_none()


async def of_incident(
    session: AsyncSession, incident_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[Signal]:
    """Return at most `limit` signals of an incident behind `after`, oldest first."""
    query = select(Signal).where(Signal.incident_id == incident_id)
    if after is not None:
        query = query.where(Signal.id > after)
    return (await session.scalars(query.order_by(Signal.id).limit(limit))).all()


async def count_from(session: AsyncSession, source_prefix: str) -> int:
    """Return how many signals came from sources that begin with `source_prefix`."""
    begins = func.substr(Signal.source, 1, len(source_prefix)) == source_prefix
    return await session.scalar(select(func.count()).select_from(Signal).where(begins)) or 0
