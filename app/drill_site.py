"""The place of a drill: made for it through the database of this node, and gone after it.

An area, a household with a device that presses, and somebody on duty who sees and acknowledges.
Everything carries the status Exercise and lies in an area of its own, so that nobody outside is
told. Whatever it makes and takes away is in the ledger.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from access.accounts.models import Account
from access.households.models import Household
from access.policy.types import Role, RoleBinding
from access.tokens.models import ServiceToken
from api.services import Hub
from core.ids import new_id
from governance.areas import repository as area_rows
from governance.incidents.models import Incident
from governance.outbox import service as outbox
from governance.signals.models import Signal
from governance.timers.models import Timer
from governance.timers.service import TimerKind

_CLOSED_AT_ONCE = 50
_PREFIX = "drill-"
LEFT_OVER_AFTER = timedelta(days=1)
"""No drill takes so long: what is older was left by one that was killed."""


@dataclass(frozen=True, slots=True)
class DrillSite:
    """What presses and who answers; ids and secrets hold as long as the drill."""

    area: str
    household_id: UUID
    device_tokens: tuple[str, ...]
    account_id: UUID
    session_token: str
    csrf_token: str


@asynccontextmanager
async def drill_site(hub: Hub, devices: int = 1) -> AsyncIterator[DrillSite]:
    """Make the place of a drill with so many devices; close what is left of it in the end.

    What a drill that was killed has left behind is closed first.
    """
    await _end_left_over(hub)
    short = secrets.token_hex(4)
    username = area = f"{_PREFIX}{short}"
    password = await hub.accounts.hash_password(secrets.token_urlsafe(32), username=username)
    async with hub.database.transaction() as session:
        in_tree = await area_rows.any_open(session)
        if in_tree:
            name = f"Drill {short}"
            await hub.governance.areas.add(session, None, path=area, name=name, level=None)
        account = await hub.accounts.create(
            session,
            username=username,
            display_name=f"Drill {short}",
            password=password,
            roles=[RoleBinding(_role(hub), area)],
        )
        household = await hub.households.create(session, None, name=f"Drill {short}", area=area)
        pressing = []
        for number in range(devices):
            _, secret = await hub.tokens.issue(
                session,
                name=f"Drill {short}-{number}",
                scopes=["alarm.press", "alarm.follow"],
                household_id=household.id,
            )
            pressing.append(secret)
        opened = await hub.sessions.open(session, account.id, address="", user_agent="drill")
    site = DrillSite(
        area, household.id, tuple(pressing), account.id, opened.token, opened.csrf_token
    )
    try:
        yield site
    finally:
        await _end(hub, area)


async def _end_left_over(hub: Hub) -> None:
    async with hub.database.read() as session:
        found = await session.scalars(
            select(Household.area).where(
                Household.area.startswith(_PREFIX),
                ~Household.area.contains("/"),
                Household.closed_at.is_(None),
                Household.created_at < hub.clock.now() - LEFT_OVER_AFTER,
            )
        )
        areas = found.all()
    for area in areas:
        await _end(hub, area)


async def _end(hub: Hub, area: str) -> None:
    """Close the incidents, the account, the household, the tokens and the area of a drill."""
    async with hub.database.read() as session:
        ids = await session.scalars(select(Household.id).where(Household.area == area))
        homes = ids.all()
    for household_id in homes:
        await _close_incidents(hub, household_id)
    async with hub.database.transaction() as session:
        await outbox.serialise(session)
        for account_id in await session.scalars(
            select(Account.id).where(Account.username == area, Account.active)
        ):
            account = await hub.accounts.get_for_change(session, account_id)
            await hub.sessions.end_all(session, account.id, "the drill is over")
            await hub.accounts.update(session, account, active=False, roles=[])
        for household_id in homes:
            home = await hub.households.locked(session, household_id)
            if home.closed_at is None:
                await hub.households.close(session, None, home, cameras=0)
            for token_id in await session.scalars(
                select(ServiceToken.id).where(
                    ServiceToken.household_id == household_id, ServiceToken.revoked_at.is_(None)
                )
            ):
                await hub.tokens.revoke(session, token_id)
        if await area_rows.is_open(session, area):
            row = await hub.governance.areas.get(session, area)
            await hub.governance.areas.close(session, None, row, [])


def _role(hub: Hub) -> Role:
    """Return a role that may acknowledge and is let in without a second factor."""
    needs_factor = hub.settings.access.second_factor_for
    for role in (Role.DUTY_STAFF, Role.PATROL, Role.DEPARTMENT):
        if role.value not in needs_factor:
            return role
    return Role.DUTY_STAFF


async def _close_incidents(hub: Hub, household_id: UUID) -> None:
    """End what the drill has left open: somebody stopped it, or its kind asks for a check."""
    while True:
        async with hub.database.transaction() as session:
            await outbox.serialise(session)
            query = (
                select(Incident)
                .where(Incident.is_open, Incident.household_id == household_id)
                .order_by(Incident.id)
                .limit(_CLOSED_AT_ONCE)
                .with_for_update()
            )
            rows = (await session.scalars(query)).all()
            for incident in rows:
                now = hub.clock.now()
                end = Timer(id=new_id(), incident_id=incident.id, kind=TimerKind.END.value,
                            seq=0, attempt=0, created_at=now, due_at=now)  # fmt: skip
                await hub.governance.incidents.fire(session, incident, end)
        if not rows:
            return


async def stored(hub: Hub, site: DrillSite) -> dict[str, Any]:
    """Return what the store has: incidents of the drill, and signals by the press they are."""
    async with hub.database.read() as session:
        incidents = await session.scalar(
            select(func.count())
            .select_from(Incident)
            .where(Incident.household_id == site.household_id)
        )
        ids = await session.scalars(
            select(Signal.event_id)
            .join(Incident, Incident.id == Signal.incident_id)
            .where(Incident.household_id == site.household_id)
        )
        return {"incidents": incidents or 0, "presses": list(ids)}
