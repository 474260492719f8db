"""Short ways through the closed loop for the tests of steps and of escalation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account, AccountRole
from access.households.models import Household
from core.database import Database
from core.ids import new_id
from governance.incidents.models import Incident, IncidentLog
from governance.outbox.models import OutboxEvent
from governance.service import Governance
from governance.timers.models import Timer
from tests.governance.support import AREA, fetch, opened

POLICY: dict[str, Any] = {
    "id": "tried",
    "version": 1,
    "triage": "required",
    "steps": [
        {"after_s": 0, "targets": ["duty"], "channels": ["push"], "whistle": False},
        {"after_s": 30, "targets": ["duty", "patrol"], "channels": ["push"], "whistle": False},
        {"after_s": 60, "targets": ["duty"], "channels": ["push", "sms"], "whistle": True},
    ],
    "repeat_s": 40,
    "progress_s": 100,
    "limits": {
        "triage_s": 200,
        "dispatch_s": 300,
        "handle_s": 400,
        "feedback_s": 500,
        "close_s": 600,
        "archive_s": 7000,
        "suspend_max_s": 3600,
        "reopen_s": 5000,
    },
    "verifier": "anyone",
    "result_photos": 0,
}
"""A policy whose every limit is another number."""


@dataclass
class Step:
    """One incident, locked, in the transaction of one step."""

    session: AsyncSession
    incident: Incident

    @property
    def args(self) -> tuple[AsyncSession, Incident]:
        return self.session, self.incident


@asynccontextmanager
async def step(kernel: Governance, incident_id: UUID, change: str = "") -> AsyncIterator[Step]:
    """Do what an endpoint does around a step."""
    async with kernel.database.transaction() as session:
        found = Step(session, await kernel.incidents.locked(session, incident_id))
        yield found
        if change:
            await kernel.incidents.publish(session, found.incident, change)


async def ruled(kernel: Governance, policy: dict[str, Any] | None = None, **data: Any) -> Incident:
    """Open an incident that has `policy` (`POLICY` with what differs)."""
    incident = await opened(kernel, **data)
    async with kernel.database.transaction() as session:
        await session.execute(
            update(Incident)
            .where(Incident.id == incident.id)
            .values(policy={**POLICY, **(policy or {})})
        )
    return await fetch(kernel, incident.id)


async def pending(database: Database, incident_id: UUID | None = None) -> list[Timer]:
    """Return the timers that will come."""
    query = select(Timer).where(Timer.fired_at.is_(None), Timer.cancelled_at.is_(None))
    if incident_id is not None:
        query = query.where(Timer.incident_id == incident_id)
    async with database.read() as session:
        return list(await session.scalars(query))


async def waits_for(kernel: Governance, incident_id: UUID) -> tuple[str, float]:
    """Return the kind of the one pending timer and in how many seconds it is due."""
    [timer] = await pending(kernel.database, incident_id)
    found = await fetch(kernel, incident_id)
    assert found.waiting_for == timer.kind
    assert found.next_due_at == (timer.due_at if found.is_open else None)
    return timer.kind, (timer.due_at - kernel.clock.now()).total_seconds()


async def log_of(kernel: Governance, incident_id: UUID) -> list[IncidentLog]:
    """Return the history of an incident."""
    query = (
        select(IncidentLog).where(IncidentLog.incident_id == incident_id).order_by(IncidentLog.id)
    )
    async with kernel.database.read() as session:
        return list(await session.scalars(query))


async def events_of(kernel: Governance, incident_id: UUID) -> list[tuple[str, str]]:
    """Return what the outbox says of an incident: type and change."""
    query = (
        select(OutboxEvent).where(OutboxEvent.incident_id == incident_id).order_by(OutboxEvent.seq)
    )
    async with kernel.database.read() as session:
        return [(e.type, e.payload["change"]) for e in await session.scalars(query)]


async def account(kernel: Governance, role: str, area: str = AREA, name: str = "") -> Account:
    """Add somebody who holds a role."""
    now, identity = kernel.clock.now(), new_id()
    row = Account(
        id=identity,
        username=f"{role}-{identity.hex[-8:]}",
        display_name=name or f"{role} {identity.hex[-4:]}",
        password_hash="x",
        locale="en",
        active=True,
        created_at=now,
        updated_at=now,
        password_changed_at=now,
        roles=[AccountRole(id=new_id(), role=role, area=area)],
    )
    async with kernel.database.transaction() as session:
        session.add(row)
    return row


async def household(kernel: Governance, name: str = "Flat 1204") -> UUID:
    """Add a household."""
    row = Household(id=new_id(), name=name, area=AREA, created_at=kernel.clock.now())
    async with kernel.database.transaction() as session:
        session.add(row)
    return row.id
