"""The auditor: what must never be is repaired or reported, and the dead man's switch knows."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from core.outbound import Outbound
from core.settings_loop import HeartbeatSettings
from governance.auditor import STUCK
from governance.beats import repository as beats
from governance.dead_man import FRESH, DeadMan
from governance.deliveries.models import Delivery
from governance.incidents.models import Incident
from governance.service import Governance
from governance.timers.models import Timer
from tests.governance.support import post, signal
from tests.support.receiver import Receiver


async def _open(kernel: Governance) -> list[Incident]:
    async with kernel.database.read() as session:
        query = select(Incident).where(Incident.is_open).order_by(Incident.id)
        return list(await session.scalars(query))


async def _faults(kernel: Governance) -> list[str]:
    return [row.headline for row in await _open(kernel) if row.kind == "process_failed"]


async def test_deadlines_that_do_not_fire_are_an_incident_until_they_do(
    kernel: Governance, clock: ManualClock
) -> None:
    await post(kernel, signal())
    assert (await kernel.auditor.audit()).all_is_well
    clock.advance(86_400)  # and nobody runs the timers
    found = await kernel.auditor.audit()
    assert found.standing_still == {"timers"}
    await kernel.auditor.audit()
    assert await _faults(kernel) == ["Deadlines do not fire"]
    await kernel.timers.fire_due()
    assert (await kernel.auditor.audit()).all_is_well
    assert await _faults(kernel) == []


async def test_messages_that_do_not_leave_are_an_incident(
    kernel: Governance, clock: ManualClock
) -> None:
    async with kernel.database.transaction() as session:
        session.add(
            Delivery(
                id=new_id(),
                key="k",
                recipient_kind="account",
                recipient_id=new_id(),
                recipient_name="Somebody",
                channel="sms",
                purpose="alert",
                round_key="0",
                state="waiting",
                not_before=clock.now(),
                provider_key=new_id(),
                created_at=clock.now(),
            )
        )
    clock.advance(STUCK.total_seconds() + 1)
    await kernel.auditor.audit()
    assert await _faults(kernel) == ["Messages do not leave"]
    async with kernel.database.transaction() as session:
        await session.execute(update(Delivery).values(state="cancelled"))
    await kernel.auditor.audit()
    assert await _faults(kernel) == []


async def test_an_open_incident_without_a_deadline_gets_one(kernel: Governance) -> None:
    await post(kernel, signal())
    async with kernel.database.transaction() as session:
        await session.execute(update(Timer).values(cancelled_at=kernel.clock.now()))
    assert (await kernel.auditor.audit()).repaired == 1
    assert (await kernel.auditor.audit()).repaired == 0


@pytest.fixture
async def dead_man(
    kernel: Governance, database: Database, clock: ManualClock, receiver: Receiver
) -> AsyncIterator[DeadMan]:
    outbound = Outbound(allow_private=True, timeout_s=2)
    settings = HeartbeatSettings(url=SecretStr(receiver.url))
    yield DeadMan(database, clock, settings, outbound=outbound, auditor=kernel.auditor)
    await outbound.close()


@pytest.mark.faults
async def test_a_heartbeat_leaves_only_while_all_is_well(
    kernel: Governance, dead_man: DeadMan, clock: ManualClock, receiver: Receiver
) -> None:
    assert not await dead_man.beat()  # nothing has been audited
    await kernel.auditor.audit()
    assert await dead_man.beat()
    async with kernel.database.read() as session:
        assert await beats.read(session, "hub") == clock.now()
    clock.advance(FRESH.total_seconds() + 1)
    assert await dead_man.unwell() == "the auditor stands still"
    await post(kernel, signal())
    clock.advance(86_400)
    await kernel.auditor.audit()
    assert not await dead_man.beat()
    assert len(receiver.received) == 1
    await kernel.timers.fire_due()
    clock.advance(timedelta(minutes=1).total_seconds())
    await kernel.timers.fire_due()
    await kernel.auditor.audit()
    assert await dead_man.beat()
    receiver.answers = [500]
    assert not await dead_man.beat()
