"""Every query on view records."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.areas import in_areas
from access.views.models import ViewRecord


async def add(session: AsyncSession, record: ViewRecord) -> None:
    """Write `record` now, so that a failing store is seen before the caller goes on."""
    session.add(record)
    await session.flush()


async def end(session: AsyncSession, view_id: UUID, at: datetime) -> ViewRecord | None:
    """Write the end of a viewing and return it; None if it had one already."""
    ended = await session.scalars(
        update(ViewRecord)
        .where(ViewRecord.id == view_id, ViewRecord.ended_at.is_(None))
        .values(ended_at=at)
        .returning(ViewRecord)
    )
    return ended.one_or_none()


async def end_all(session: AsyncSession, at: datetime) -> list[ViewRecord]:
    """Write an end for every viewing that has none; return them."""
    ended = await session.scalars(
        update(ViewRecord)
        .where(ViewRecord.ended_at.is_(None))
        .values(ended_at=at)
        .returning(ViewRecord)
    )
    return list(ended)


async def page(
    session: AsyncSession,
    *,
    areas: Sequence[str],
    camera_id: UUID | None,
    account_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> list[tuple[ViewRecord, Account]]:
    """Return at most `limit` records with their viewers, newest first, older than `before`."""
    query = (
        select(ViewRecord, Account)
        .join(Account, Account.id == ViewRecord.account_id)
        .where(in_areas(ViewRecord.area, areas))
        .order_by(ViewRecord.id.desc())
        .limit(limit)
    )
    if camera_id is not None:
        query = query.where(ViewRecord.camera_id == camera_id)
    if account_id is not None:
        query = query.where(ViewRecord.account_id == account_id)
    if before is not None:
        query = query.where(ViewRecord.id < before)
    return [(record, account) for record, account in (await session.execute(query)).all()]
