"""What keeps an area open: everything that is filed under it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from access.accounts.models import Account, AccountRole
from access.households.models import Household
from access.policy.areas import in_areas
from access.tokens.models import ServiceToken
from governance.areas.models import Area, Department
from governance.areas.schemas import Use
from governance.deliveries.models import Gateway
from governance.duty.models import Rota
from governance.incidents.models import Incident
from governance.webhooks.models import Webhook

NAMED = 5
"""How many of each kind are named."""


async def uses_of(session: AsyncSession, path: str) -> list[Use]:
    """Return what of this floor and below uses an area or lies in it, by kind.

    Areas below, roles of active accounts, tokens, households, departments, rotas, gateways,
    webhooks and open incidents. Cameras are known a floor above.
    """
    inside = [path]
    asked: list[tuple[str, InstrumentedAttribute[str], Sequence[ColumnElement[bool]]]] = [
        (
            "area",
            Area.path,
            (Area.closed_at.is_(None), in_areas(Area.path, inside), Area.path != path),
        ),
        (
            "token",
            ServiceToken.name,
            (ServiceToken.revoked_at.is_(None), in_areas(ServiceToken.area, inside)),
        ),
        (
            "household",
            Household.name,
            (Household.closed_at.is_(None), in_areas(Household.area, inside)),
        ),
        (
            "department",
            Department.name,
            (Department.closed_at.is_(None), in_areas(Department.area, inside)),
        ),
        ("rota", Rota.name, (Rota.closed_at.is_(None), in_areas(Rota.area, inside))),
        ("gateway", Gateway.name, (Gateway.removed_at.is_(None), in_areas(Gateway.area, inside))),
        ("webhook", Webhook.name, (Webhook.removed_at.is_(None), in_areas(Webhook.area, inside))),
        (
            "incident",
            Incident.number,
            (Incident.is_open.is_(True), in_areas(Incident.area, inside)),
        ),
    ]
    found = [await _use(session, *each) for each in asked]
    found.insert(1, await _roles(session, inside))
    return [use for use in found if use.count]


async def _use(
    session: AsyncSession,
    kind: str,
    name: InstrumentedAttribute[str],
    conditions: Sequence[ColumnElement[bool]],
) -> Use:
    count = await session.scalar(select(func.count()).select_from(name.class_).where(*conditions))
    names = await session.scalars(select(name).where(*conditions).order_by(name).limit(NAMED))
    return Use(kind=kind, count=count or 0, names=list(names))


async def _roles(session: AsyncSession, inside: Sequence[str]) -> Use:
    """Return the active accounts that hold a role there; a role of somebody gone binds nothing."""
    holding = (
        select(Account.username)
        .join(AccountRole, AccountRole.account_id == Account.id)
        .where(Account.active.is_(True), in_areas(AccountRole.area, inside))
        .distinct()
        .order_by(Account.username)
    )
    names = list(await session.scalars(holding))
    return Use(kind="account", count=len(names), names=names[:NAMED])
