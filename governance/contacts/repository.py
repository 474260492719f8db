"""Every query of household contacts."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.households.models import Household
from governance.contacts.models import HouseholdContact
from governance.deliveries.types import Recipient


def _agrees() -> ColumnElement[bool]:
    return and_(
        HouseholdContact.agreed_at.is_not(None),
        HouseholdContact.withdrawn_at.is_(None),
        HouseholdContact.removed_at.is_(None),
    )


# Made once: every alarm that rings asks it.
_AGREED = (
    select(HouseholdContact)
    .join(Household, Household.id == HouseholdContact.household_id)
    .where(
        HouseholdContact.household_id.in_(bindparam("homes", expanding=True)),
        Household.closed_at.is_(None),
        _agrees(),
    )
    .order_by(HouseholdContact.id)
)


async def agreed(session: AsyncSession, household_id: UUID) -> list[Recipient]:
    """Return the contacts who have agreed to be told, and still do; none of one that moved out."""
    return (await agreed_of(session, [household_id])).get(household_id, [])


async def agreed_of(
    session: AsyncSession, household_ids: Collection[UUID]
) -> dict[UUID, list[Recipient]]:
    """Return the same of many households; those with nobody are left out."""
    if not household_ids:
        return {}
    found: dict[UUID, list[Recipient]] = {}
    for row in await session.scalars(_AGREED, {"homes": [*household_ids]}):
        found.setdefault(row.household_id, []).append(recipient_of(row))
    return found


def recipient_of(row: HouseholdContact) -> Recipient:
    """Return a contact as somebody to be told."""
    return Recipient("contact", row.id, row.name, row.locale)


def agrees(row: HouseholdContact) -> bool:
    """Say whether a contact may be told of alarms now."""
    return row.agreed_at is not None and row.withdrawn_at is None and row.removed_at is None


async def by_id(session: AsyncSession, contact_id: UUID) -> HouseholdContact | None:
    """Return a contact as it is committed now, a removed one too."""
    return await session.get(HouseholdContact, contact_id, populate_existing=True)


async def by_token(
    session: AsyncSession, token_hash: str, *, lock: bool = False
) -> HouseholdContact | None:
    """Return the contact whose link has this hash."""
    query = select(HouseholdContact).where(HouseholdContact.token_hash == token_hash)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def of_household(session: AsyncSession, household_id: UUID) -> Sequence[HouseholdContact]:
    """Return the contacts of a household that were not removed, in the order they were named."""
    query = (
        select(HouseholdContact)
        .where(HouseholdContact.household_id == household_id, HouseholdContact.removed_at.is_(None))
        .order_by(HouseholdContact.id)
    )
    return (await session.scalars(query)).all()


async def count_asked_since(session: AsyncSession, household_id: UUID, since: object) -> int:
    """Return how many contacts a household has named since then, removed ones too."""
    query = (
        select(func.count())
        .select_from(HouseholdContact)
        .where(HouseholdContact.household_id == household_id, HouseholdContact.asked_at >= since)
    )
    return await session.scalar(query) or 0
