"""Every query of signals."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import Base
from governance.signals.models import Signal


class KnownSignal(NamedTuple):
    """What a repetition of a signal is answered with."""

    source: str
    event_id: str
    content_hash: bytes
    incident_id: UUID | None
    joined: bool
    received_at: datetime


_TABLE = Base.metadata.tables[Signal.__tablename__]
# Made once: every batch asks it.
_KNOWN = select(*(_TABLE.c[name] for name in KnownSignal._fields)).where(
    tuple_(_TABLE.c.source, _TABLE.c.event_id).in_(bindparam("events", expanding=True))
)


async def known(
    session: AsyncSession, events: Collection[tuple[str, str]]
) -> Sequence[KnownSignal]:
    """Return the signals that their senders know by any of these (source, event_id)."""
    rows = await (await session.connection()).execute(_KNOWN, {"events": [*events]})
    return [KnownSignal(*row) for row in rows]


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
