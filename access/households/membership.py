"""To which households somebody belongs, looked up at every request like the roles."""

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.households.models import Household, HouseholdMember
from access.policy.types import Actor


async def with_households(session: AsyncSession, actor: Actor) -> Actor:
    """Return `actor` with the households of which the account is a member now."""
    if actor.kind != "account" or actor.id is None:
        return actor
    query = (
        select(HouseholdMember.household_id)
        .join(Household, Household.id == HouseholdMember.household_id)
        .where(HouseholdMember.account_id == actor.id, Household.closed_at.is_(None))
    )
    return replace(actor, households=frozenset(await session.scalars(query)))
