"""Every query on kept digests."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from access.digests.models import HouseholdDigest
from access.households.models import Household


async def find(session: AsyncSession, household_id: UUID, month: str) -> HouseholdDigest | None:
    """Return what a household was told of a month."""
    return await session.get(HouseholdDigest, (household_id, month))


async def add_once(
    session: AsyncSession,
    *,
    household_id: UUID,
    month: str,
    made_at: datetime,
    data: dict[str, Any],
) -> int:
    """Keep a digest unless there is one; return how many were written."""
    values = {"household_id": household_id, "month": month, "made_at": made_at, "data": data}
    postgresql = session.get_bind().dialect.name == "postgresql"
    insert = insert_postgresql if postgresql else insert_sqlite
    statement = insert(HouseholdDigest).values(values).on_conflict_do_nothing()
    written = await session.execute(statement.returning(HouseholdDigest.month))
    return len(written.all())


async def without(
    session: AsyncSession, month: str, start: datetime, end: datetime, limit: int
) -> list[Household]:
    """Return households that were there in a month and have no digest of it yet."""
    kept = select(HouseholdDigest.household_id).where(HouseholdDigest.month == month)
    query = (
        select(Household)
        .where(
            Household.created_at < end,
            or_(Household.closed_at.is_(None), Household.closed_at >= start),
            Household.id.not_in(kept),
        )
        .order_by(Household.id)
        .limit(limit)
    )
    return list(await session.scalars(query))


async def first_household_at(session: AsyncSession) -> datetime | None:
    """Return when the first household was made."""
    query = select(Household.created_at).order_by(Household.created_at).limit(1)
    return await session.scalar(query)
