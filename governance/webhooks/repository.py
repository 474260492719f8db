"""Every query of webhooks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import in_areas
from governance.outbox.models import OutboxEvent
from governance.webhooks.models import Webhook

BEHIND_AT_MOST = 1000


async def add(session: AsyncSession, row: Webhook) -> None:
    """Store a new receiver."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, webhook_id: UUID) -> Webhook | None:
    """Return a receiver that is not removed, or None."""
    query = select(Webhook).where(Webhook.id == webhook_id, Webhook.removed_at.is_(None))
    return await session.scalar(query.execution_options(populate_existing=True))


async def listed(session: AsyncSession, areas: Sequence[str]) -> list[Webhook]:
    """Return the receivers of `areas` that are not removed, in the order they were made."""
    query = select(Webhook).where(Webhook.removed_at.is_(None), in_areas(Webhook.area, areas))
    return list(await session.scalars(query.order_by(Webhook.id)))


async def behind(session: AsyncSession, row: Webhook) -> int:
    """Return how many events of the outbox the receiver has not come to yet, at most 1,000."""
    newer = select(OutboxEvent.seq).where(OutboxEvent.seq > row.cursor_seq).limit(BEHIND_AT_MOST)
    return await session.scalar(select(func.count()).select_from(newer.subquery())) or 0


async def due(session: AsyncSession, now: datetime) -> list[UUID]:
    """Return the receivers that there is something for, and that nobody is posting to."""
    newer = select(OutboxEvent.seq).where(OutboxEvent.seq > Webhook.cursor_seq)
    query = select(Webhook.id).where(
        Webhook.active,
        Webhook.removed_at.is_(None),
        newer.exists(),
        or_(Webhook.next_try_at.is_(None), Webhook.next_try_at <= now),
        or_(Webhook.leased_until.is_(None), Webhook.leased_until <= now),
    )
    return list(await session.scalars(query))


async def take(
    session: AsyncSession, webhook_id: UUID, lease: UUID, now: datetime, until: datetime
) -> bool:
    """Lease the receiver until `until`; False if another process has it."""
    result = await session.execute(
        update(Webhook)
        .where(
            Webhook.id == webhook_id,
            Webhook.active,
            or_(Webhook.leased_until.is_(None), Webhook.leased_until <= now),
        )
        .values(lease_id=lease, leased_until=until)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


async def settle(
    session: AsyncSession, webhook_id: UUID, lease: UUID, values: dict[str, Any]
) -> bool:
    """Write what came of a lease and give it back; False if it had expired and is another's."""
    result = await session.execute(
        update(Webhook)
        .where(Webhook.id == webhook_id, Webhook.lease_id == lease)
        .values(lease_id=None, leased_until=None, **values)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
