"""Every query on seals."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.areas import in_areas
from access.seals.models import Seal
from access.views.models import ViewRecord


async def add(session: AsyncSession, seal: Seal) -> None:
    """Write a new seal."""
    session.add(seal)
    await session.flush()


async def by_id_locked(session: AsyncSession, seal_id: UUID) -> Seal | None:
    """Return the seal as it is committed now, locked until the transaction ends."""
    query = select(Seal).where(Seal.id == seal_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def open_of(session: AsyncSession, incident_id: UUID) -> Seal | None:
    """Return the seal of this incident that has not ended."""
    query = select(Seal).where(Seal.incident_id == incident_id, Seal.ended_at.is_(None))
    return (await session.scalars(query.with_for_update())).one_or_none()


async def overdue(session: AsyncSession, now: datetime, limit: int) -> list[Seal]:
    """Return seals whose time is over and whose end is not written yet, locked, oldest first."""
    query = select(Seal).where(Seal.ended_at.is_(None), Seal.until <= now)
    return list(
        await session.scalars(
            query.order_by(Seal.id).limit(limit).with_for_update(skip_locked=True)
        )
    )


async def page(
    session: AsyncSession, *, areas: Sequence[str], before: UUID | None, limit: int
) -> list[Seal]:
    """Return at most `limit` seals of `areas`, newest first."""
    query = select(Seal).where(in_areas(Seal.area, areas)).order_by(Seal.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Seal.id < before)
    return list(await session.scalars(query))


async def accounts(session: AsyncSession, account_ids: Collection[UUID]) -> dict[UUID, Account]:
    """Return these accounts by id."""
    query = select(Account).where(Account.id.in_(account_ids))
    return {account.id: account for account in await session.scalars(query)}


async def end(session: AsyncSession, seal_id: UUID, at: datetime) -> None:
    """Write the end of a seal whose time is over."""
    await session.execute(
        update(Seal).where(Seal.id == seal_id, Seal.ended_at.is_(None)).values(ended_at=at)
    )


async def any_after(session: AsyncSession, moment: datetime) -> bool:
    """Say whether any seal was in force after `moment`; most sites never have one."""
    query = select(Seal.id).where(
        Seal.approved_at.is_not(None), func.coalesce(Seal.ended_at, Seal.until) > moment
    )
    return await session.scalar(query.limit(1)) is not None


def _names_incident_of(view: type[ViewRecord]) -> ColumnElement[bool]:
    return or_(
        Seal.incident_id == view.incident_id,
        and_(view.purpose == "incident", view.reference == Seal.incident_number),
    )


def sealed(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a view record is under a seal that is in force at `now`."""
    return exists(
        select(Seal.id)
        .where(
            _names_incident_of(ViewRecord),
            Seal.approved_at.is_not(None),
            func.coalesce(Seal.ended_at, Seal.until) > now,
        )
        .correlate(ViewRecord)
    )


def delayed(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a view record was held back by a seal that is over by `now`."""
    end = func.coalesce(Seal.ended_at, Seal.until)
    return exists(
        select(Seal.id)
        .where(
            _names_incident_of(ViewRecord),
            Seal.approved_at.is_not(None),
            end <= now,
            ViewRecord.started_at < end,
        )
        .correlate(ViewRecord)
    )
