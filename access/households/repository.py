"""Every query on households and their members."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.households.models import Household, HouseholdMember
from access.policy.areas import in_areas
from core.database import Base


class Home(NamedTuple):
    """A household that lives there, as far as an alarm needs to know it."""

    id: UUID
    name: str
    area: str


# Plain statements, made once: every alarm asks them.
_TABLE = Base.metadata.tables[Household.__tablename__]
_AMONG = _TABLE.c.id.in_(bindparam("ids", expanding=True))
_HOMES = select(_TABLE.c.id, _TABLE.c.name, _TABLE.c.area).where(
    _AMONG, _TABLE.c.closed_at.is_(None)
)
_NAMES = select(_TABLE.c.id, _TABLE.c.name).where(_AMONG)
_AREAS = select(_TABLE.c.id, _TABLE.c.area).where(_AMONG)


async def by_id(session: AsyncSession, household_id: UUID) -> Household | None:
    """Return the household with that id."""
    return await session.get(Household, household_id)


async def homes(session: AsyncSession, household_ids: Collection[UUID]) -> dict[UUID, Home]:
    """Return those of the households that live there, by id."""
    if not household_ids:
        return {}
    rows = await (await session.connection()).execute(_HOMES, {"ids": [*household_ids]})
    return {row.id: Home(*row) for row in rows}


async def by_id_locked(session: AsyncSession, household_id: UUID) -> Household | None:
    """Return the household as it is committed now, locked until the transaction ends.

    Two members that leave at once cannot both be the last but one.
    """
    # Not against the foreign keys of others (FOR NO KEY UPDATE): an alarm that names the household
    # may hold the ledger already, for which the holder of this lock waits.
    query = select(Household).where(Household.id == household_id).with_for_update(key_share=True)
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def names(session: AsyncSession, household_ids: Collection[UUID | None]) -> dict[UUID, str]:
    """Return the name of each of these households, closed ones too."""
    if not household_ids:
        return {}
    rows = await (await session.connection()).execute(_NAMES, {"ids": [*household_ids]})
    return {row.id: row.name for row in rows}


async def areas(session: AsyncSession, household_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the area of each of these households, closed ones too."""
    if not household_ids:
        return {}
    rows = await (await session.connection()).execute(_AREAS, {"ids": [*household_ids]})
    return {row.id: row.area for row in rows}


async def add(session: AsyncSession, row: Household | HouseholdMember) -> None:
    """Write a household or a member."""
    session.add(row)
    await session.flush()


async def page(
    session: AsyncSession,
    *,
    areas: Sequence[str],
    own: Collection[UUID],
    after: UUID | None,
    limit: int,
) -> list[Household]:
    """Return at most `limit` households of `areas`, or of `own`, in the order they were made."""
    query = (
        select(Household)
        .where(or_(in_areas(Household.area, areas), Household.id.in_(own)))
        .order_by(Household.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Household.id > after)
    return list(await session.scalars(query))


async def members(
    session: AsyncSession, household_ids: Collection[UUID]
) -> list[tuple[HouseholdMember, Account]]:
    """Return the members of these households with their accounts, oldest membership first."""
    query = (
        select(HouseholdMember, Account)
        .join(Account, Account.id == HouseholdMember.account_id)
        .where(HouseholdMember.household_id.in_(household_ids))
        .order_by(HouseholdMember.since, HouseholdMember.account_id)
    )
    return [(member, account) for member, account in (await session.execute(query)).all()]


async def member_ids(session: AsyncSession, household_id: UUID) -> set[UUID]:
    """Return the accounts that are members of the household."""
    query = select(HouseholdMember.account_id).where(HouseholdMember.household_id == household_id)
    return set(await session.scalars(query))


async def remove(session: AsyncSession, household_id: UUID, account_id: UUID | None) -> None:
    """Take one member, or with None every member, out of the household."""
    query = delete(HouseholdMember).where(HouseholdMember.household_id == household_id)
    if account_id is not None:
        query = query.where(HouseholdMember.account_id == account_id)
    await session.execute(query)


async def close(session: AsyncSession, household: Household, at: datetime) -> None:
    """Write that the household has moved out."""
    household.closed_at = at
    await session.flush()
