"""Deadlines: fired once, on time, across restarts and wrong clocks, and never the last one."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core.clock import ManualClock
from core.database import Database
from core.settings_loop import GovernanceSettings
from governance.incidents.models import Incident, IncidentLog
from governance.outbox.models import OutboxEvent
from governance.service import Governance, build_governance
from governance.timers import service as timer_service
from governance.timers.models import Timer
from governance.timers.service import TimerKind
from tests.governance.conftest import Parts
from tests.governance.support import fetch, opened, person, rows, signal
from tests.governance.support import post as post_signal
from tests.support.stores import ON_SQLITE


@pytest.fixture
async def kernel(parts: Parts) -> Governance:
    """Governance of a site without dispatch policies; `test_escalation` has those with one."""
    kernel = build_governance(parts)
    kernel.incidents.tell_through(None)
    return kernel


async def pending(database: Database) -> list[Timer]:
    async with database.read() as session:
        query = select(Timer).where(Timer.fired_at.is_(None), Timer.cancelled_at.is_(None))
        return list(await session.scalars(query))


@ON_SQLITE
async def test_what_nobody_acknowledges_rings_again_and_again(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await opened(kernel, severity="Extreme")
    intervals = []
    for _ in range(6):
        before = clock.now()
        [timer] = await pending(kernel.database)
        intervals.append((timer.due_at - before).total_seconds())
        clock.advance(intervals[-1] - 0.001)
        await kernel.timers.fire_due()
        assert (await pending(kernel.database))[0].id == timer.id  # not yet
        clock.advance(0.001)
        await kernel.timers.fire_due()
    assert intervals == [30, 60, 120, 240, 240, 240]
    found = await fetch(kernel, incident.id)
    assert (found.escalations, found.overdue, found.version) == (6, True, 1)
    assert len(await pending(kernel.database)) == 1
    events = await rows(kernel.database, OutboxEvent)
    assert [e.type for e in events] == ["incident.opened"] + ["incident.escalated"] * 6
    assert events[-1].payload["escalations"] == 6
    log = await rows(kernel.database, IncidentLog)
    assert [e.action for e in log] == ["opened"] + ["escalated"] * 6


@ON_SQLITE
async def test_each_step_has_its_deadline_and_closing_ends_them(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await opened(kernel)
    actor = person()
    kinds = [(await pending(kernel.database))[0].kind]
    async with kernel.database.transaction() as session:
        found = await kernel.incidents.locked(session, incident.id)
        await kernel.incidents.acknowledge(session, found, actor, 1)
    kinds.append((await pending(kernel.database))[0].kind)
    clock.advance(1800)
    await kernel.timers.fire_due()
    assert (await fetch(kernel, incident.id)).overdue
    for verb in ("handle", "feedback"):
        async with kernel.database.transaction() as session:
            found = await kernel.incidents.locked(session, incident.id)
            await getattr(kernel.incidents, verb)(session, found, actor, found.version, "note")
        [timer] = await pending(kernel.database)
        kinds.append(timer.kind)
        assert timer.due_at == clock.now() + timedelta(seconds=1800)
        assert not (await fetch(kernel, incident.id)).overdue
    assert kinds == ["acknowledge", "handle", "handle", "close"]
    async with kernel.database.transaction() as session:
        found = await kernel.incidents.locked(session, incident.id)
        await kernel.incidents.close(
            session, found, actor, found.version, note="x", resolution="handled"
        )
    assert await pending(kernel.database) == []
    clock.advance(100_000)
    assert await kernel.timers.fire_due() is None
    seqs = [(t.kind, t.seq) for t in await rows(kernel.database, Timer)]
    assert sorted(seqs) == [
        ("acknowledge", 1), ("close", 1), ("handle", 1), ("handle", 2), ("handle", 3),
    ]  # fmt: skip


async def test_what_came_due_while_nobody_ran_fires_at_once_and_once(
    kernel: Governance, parts: Parts, clock: ManualClock
) -> None:
    incident = await opened(kernel)
    clock.advance(3 * 3600)
    restarted = build_governance(parts)
    async with restarted.running():
        async with asyncio.timeout(10):
            while (await fetch(kernel, incident.id)).escalations == 0:
                await asyncio.sleep(0.01)
    found = await fetch(kernel, incident.id)
    assert found.escalations == 1
    assert found.next_due_at == clock.now() + timedelta(seconds=120)


@pytest.mark.faults
async def test_several_processes_fire_each_timer_once(
    kernel: Governance, parts: Parts, database: Database, clock: ManualClock, store_url: str
) -> None:
    for number in range(20):
        await post_signal(kernel, signal(zone_name=f"zone {number}"))
    clock.advance(60)
    others = [Database(store_url) for _ in range(3)]
    loops = [build_governance(replace(parts, database=other)).timers for other in others]
    await asyncio.gather(*(loop.fire_due() for loop in [*loops, kernel.timers]))
    await kernel.timers.fire_due()
    incidents = await rows(database, Incident)
    assert {incident.escalations for incident in incidents} == {1}
    events = await rows(database, OutboxEvent)
    assert sum(e.type == "incident.escalated" for e in events) == 20
    for other in others:
        await other.close()


@ON_SQLITE
async def test_a_clock_put_forward_an_hour_rings_once_not_many_times(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await opened(kernel)
    await kernel.timers.fire_due()
    clock.jump(3600)
    await kernel.timers.fire_due()
    await kernel.timers.fire_due()
    found = await fetch(kernel, incident.id)
    assert found.escalations == 1
    assert found.next_due_at == clock.now() + timedelta(seconds=120)


@ON_SQLITE
async def test_a_clock_put_back_an_hour_delays_a_deadline_by_less_than_its_interval(
    kernel: Governance, clock: ManualClock
) -> None:
    await kernel.timers.fire_due()
    incident = await opened(kernel)
    clock.advance(40)
    clock.jump(-3600)
    await kernel.timers.fire_due()
    assert (await fetch(kernel, incident.id)).next_due_at == clock.now() + timedelta(seconds=60)
    clock.advance(60)
    await kernel.timers.fire_due()
    assert (await fetch(kernel, incident.id)).escalations == 1


async def test_a_timer_that_cannot_be_fired_holds_back_no_other(
    kernel: Governance, database: Database, clock: ManualClock
) -> None:
    poisoned = await opened(kernel)
    healthy = await opened(kernel, zone_name="Roof")
    async with database.transaction() as session:
        await session.execute(
            update(Incident).where(Incident.id == poisoned.id).values(state="poisoned")
        )
    clock.advance(60)
    await kernel.timers.fire_due()
    assert (await fetch(kernel, healthy.id)).escalations == 1
    async with database.read() as session:
        row = (await session.scalars(select(Incident).where(Incident.id == poisoned.id))).one()
        assert row.escalations == 0
    [timer] = [t for t in await pending(database) if t.incident_id == poisoned.id]
    assert timer.due_at == clock.now() + timedelta(seconds=30)  # tried again soon


async def test_acknowledging_while_it_escalates_leaves_one_deadline(
    kernel: Governance, database: Database, clock: ManualClock
) -> None:
    for number in range(4):
        incident = await opened(kernel, zone_name=f"zone {number}")
        clock.advance(60)

        async def acknowledge(incident: Incident = incident) -> None:
            async with database.transaction() as session:
                found = await kernel.incidents.locked(session, incident.id)
                await kernel.incidents.acknowledge(session, found, person(), 1)

        await asyncio.gather(kernel.timers.fire_due(), acknowledge())
        timers = [t for t in await pending(database) if t.incident_id == incident.id]
        assert [t.kind for t in timers] == ["handle"]


async def test_the_loop_wakes_for_what_has_just_been_opened(
    kernel: Governance, database: Database, clock: ManualClock
) -> None:
    running = asyncio.create_task(kernel.timers.run())
    incident = await opened(kernel, severity="Extreme")
    async with asyncio.timeout(10):
        while (await fetch(kernel, incident.id)).escalations == 0:
            clock.advance(1)
            await asyncio.sleep(0.005)
    running.cancel()


@ON_SQLITE
async def test_the_auditor_repairs_an_open_incident_without_a_deadline(
    kernel: Governance, database: Database, clock: ManualClock
) -> None:
    incident = await opened(kernel)
    healthy = await opened(kernel, zone_name="Roof")
    assert (await kernel.auditor.audit()).repaired == 0
    async with database.transaction() as session:
        await session.execute(
            update(Timer).where(Timer.incident_id == incident.id).values(cancelled_at=clock.now())
        )
    assert (await kernel.auditor.audit()).repaired == 1
    assert (await kernel.auditor.audit()).repaired == 0
    timers = await pending(database)
    assert {t.incident_id for t in timers} == {incident.id, healthy.id}
    log = [e.action for e in await rows(database, IncidentLog) if e.incident_id == incident.id]
    assert log == ["opened", "repaired"]


def test_intervals_grow_up_to_a_limit_and_never_end() -> None:
    settings = GovernanceSettings()
    seconds = [
        timer_service.interval_s(settings, TimerKind.HANDLE, "severe", attempt)
        for attempt in (0, 1, 2, 3, 4, 1000)
    ]
    assert seconds == [1800, 3600, 7200, 14400, 14400, 14400]


def test_a_time_limit_of_zero_is_a_second() -> None:
    settings = GovernanceSettings(acknowledge_within_s={"severe": 0})
    assert timer_service.interval_s(settings, TimerKind.ACKNOWLEDGE, "severe", 0) == 1
    assert timer_service.interval_s(settings, TimerKind.ACKNOWLEDGE, "minor", 0) == 300
