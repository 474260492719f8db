"""Rings by the policy's steps, limits of each step, rests and ends: by timers alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from governance.incidents.models import Incident
from governance.incidents.steps import Whom
from governance.service import Governance, build_governance
from tests.governance.conftest import Parts
from tests.governance.loop_support import (
    account,
    events_of,
    log_of,
    pending,
    ruled,
    step,
    waits_for,
)
from tests.governance.support import fetch, opened, person
from tests.support.stores import ON_SQLITE

LI, WANG = person("Li Na"), person("Wang Wei")


async def rings(kernel: Governance, incident: Incident) -> list[int]:
    """Return the steps that rang, in order."""
    return [e.data["step"] for e in await log_of(kernel, incident.id) if "step" in e.data]


async def until(kernel: Governance, clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    await kernel.timers.fire_due()


async def test_what_nobody_acknowledges_rings_step_by_step_and_never_stops(
    kernel: Governance, clock: ManualClock
) -> None:
    boss = await account(kernel, "supervisor", "demo/riverside")
    incident = await ruled(kernel)
    began = clock.now()
    due = []
    for _ in range(6):
        [timer] = await pending(kernel.database, incident.id)
        due.append((timer.due_at - began).total_seconds())
        clock.advance((timer.due_at - clock.now()).total_seconds())
        await kernel.timers.fire_due()
    assert due == [0, 30, 60, 100, 140, 180]
    assert await rings(kernel, incident) == [0, 1, 2, 3, 4, 5]
    found = await fetch(kernel, incident.id)
    assert (found.escalations, found.overdue) == (5, True)
    # The widest step goes on widening, up to the whole site.
    assert found.level == 3
    told = [e.data["told"] for e in await log_of(kernel, incident.id) if e.action == "rang"]
    assert boss.display_name in [person["name"] for person in told[-1]]
    events = [e for e, _ in await events_of(kernel, incident.id)]
    assert events == ["incident.opened", "incident.updated"] + ["incident.escalated"] * 5


@ON_SQLITE
async def test_a_late_start_rings_each_step_in_its_distance_from_the_last(
    kernel: Governance, parts: Parts, clock: ManualClock
) -> None:
    """After an outage of an hour the steps do not all come at once."""
    incident = await ruled(kernel)
    clock.advance(3600)
    restarted = build_governance(parts)
    await restarted.timers.fire_due()
    assert await rings(kernel, incident) == [0]
    assert await waits_for(kernel, incident.id) == ("ring", 30)
    await until(kernel, clock, 30)
    assert await waits_for(kernel, incident.id) == ("ring", 30)


@ON_SQLITE
async def test_a_clock_that_jumps_an_hour_neither_floods_nor_silences(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel)
    await kernel.timers.fire_due()
    clock.jump(3600)
    await kernel.timers.fire_due()
    await kernel.timers.fire_due()
    assert await rings(kernel, incident) == [0, 1]
    clock.jump(-7200)
    await kernel.timers.fire_due()
    kind, seconds = await waits_for(kernel, incident.id)
    assert (kind, seconds <= 30) == ("ring", True)
    await until(kernel, clock, 30)
    assert await rings(kernel, incident) == [0, 1, 2]
    kind, seconds = await waits_for(kernel, incident.id)
    assert seconds <= 40


@ON_SQLITE
async def test_the_night_the_clocks_change_is_as_long_as_any(
    parts: Parts, database: Database
) -> None:
    # 2026-10-25 03:00 becomes 02:00 in Berlin; what is stored is UTC and knows nothing of it.
    clock = ManualClock(datetime(2026, 10, 25, 0, 59, 45, tzinfo=UTC))
    kernel = build_governance(replace(parts, clock=clock))
    incident = await ruled(kernel)
    await kernel.timers.fire_due()
    for expected in ([0], [0, 1], [0, 1, 2]):
        assert await rings(kernel, incident) == expected
        await until(kernel, clock, 30)


@ON_SQLITE
async def test_each_state_has_the_limit_of_its_policy(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel)
    incidents = kernel.incidents
    await kernel.timers.fire_due()
    async with step(kernel, incident.id) as at:
        await incidents.acknowledge(*at.args, LI, 1)
    assert await waits_for(kernel, incident.id) == ("triage", 200)
    async with step(kernel, incident.id) as at:
        await incidents.triage(*at.args, LI, 2, note="")
    assert await waits_for(kernel, incident.id) == ("dispatch", 300)
    async with step(kernel, incident.id) as at:
        await incidents.dispatch(
            *at.args, LI, 3, department=Whom(new_id(), "Waterworks"), assignee=None, note=""
        )
    assert await waits_for(kernel, incident.id) == ("handle", 100)  # progress_s
    async with step(kernel, incident.id) as at:
        await incidents.handle(*at.args, WANG, 4, "")
    assert await waits_for(kernel, incident.id) == ("feedback", 500)
    until_then = clock.now() + timedelta(seconds=777)
    async with step(kernel, incident.id) as at:
        await incidents.suspend(*at.args, WANG, 5, until=until_then, reason="parts")
    assert await waits_for(kernel, incident.id) == ("resume", 777)
    async with step(kernel, incident.id) as at:
        await incidents.resume(*at.args, WANG, 6)
    assert await waits_for(kernel, incident.id) == ("feedback", 500)
    async with step(kernel, incident.id) as at:
        await incidents.feedback(*at.args, WANG, 7, "done")
    assert await waits_for(kernel, incident.id) == ("close", 600)
    async with step(kernel, incident.id) as at:
        await incidents.close(*at.args, LI, 8, note="good", resolution="handled")
    assert await waits_for(kernel, incident.id) == ("archive", 7000)
    await until(kernel, clock, 7000)
    archived = await fetch(kernel, incident.id)
    assert (archived.state, archived.archived_at) == ("archived", clock.now())
    assert await pending(kernel.database, incident.id) == []
    assert (await log_of(kernel, incident.id))[-1].action == "archived"


@ON_SQLITE
async def test_every_overdue_step_calls_the_level_above_and_comes_again_later(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel)
    async with step(kernel, incident.id) as at:
        await kernel.incidents.triage(*at.args, LI, 1, note="")
    for level, seconds, following in ((1, 300, 600), (2, 600, 1200), (3, 1200, 2400)):
        await until(kernel, clock, seconds)
        found = await fetch(kernel, incident.id)
        assert (found.level, found.overdue, found.escalations) == (level, True, level)
        assert await waits_for(kernel, incident.id) == ("dispatch", following)
    whistles = [e for e in await log_of(kernel, incident.id) if e.action == "whistle"]
    assert [w.data["level"] for w in whistles] == [1, 2, 3]
    # The lower level keeps it: whoever has acknowledged it still has.
    assert (await fetch(kernel, incident.id)).acknowledged_by_id == LI.id


@ON_SQLITE
async def test_acknowledged_without_progress_rings_again(
    kernel: Governance, clock: ManualClock
) -> None:
    li = await account(kernel, "duty_staff", name="Li Na")
    incident = await ruled(kernel, {"triage": "skip"})
    async with step(kernel, incident.id) as at:
        await kernel.incidents.acknowledge(*at.args, replace(LI, id=li.id), 1)
    assert await waits_for(kernel, incident.id) == ("handle", 100)
    await until(kernel, clock, 100)
    rang = [e for e in await log_of(kernel, incident.id) if e.action == "rang"]
    assert "Li Na" in [told["name"] for told in rang[-1].data["told"]]
    assert (await events_of(kernel, incident.id))[-1] == ("incident.escalated", "escalated")
    assert await waits_for(kernel, incident.id) == ("handle", 400)


@ON_SQLITE
async def test_who_is_on_the_way_has_until_then_and_a_little(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel, {"triage": "skip"})
    async with step(kernel, incident.id) as at:
        await kernel.incidents.progress(*at.args, WANG, "going", 2)
    assert await waits_for(kernel, incident.id) == ("handle", 120 + 100)
    async with step(kernel, incident.id) as at:
        await kernel.incidents.progress(*at.args, WANG, "going", 60)
    assert await waits_for(kernel, incident.id) == ("handle", 400)  # the limit stays the limit
    async with step(kernel, incident.id) as at:
        await kernel.incidents.progress(*at.args, WANG, "arrived")
    assert await waits_for(kernel, incident.id) == ("handle", 400)


@ON_SQLITE
async def test_a_policy_without_progress_limit_has_the_limit_of_handling(
    kernel: Governance,
) -> None:
    incident = await ruled(kernel, {"triage": "skip", "progress_s": 0})
    async with step(kernel, incident.id) as at:
        await kernel.incidents.acknowledge(*at.args, LI, 1)
    assert await waits_for(kernel, incident.id) == ("handle", 400)


@ON_SQLITE
async def test_what_rested_goes_on_at_its_time_and_rings(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel)
    async with step(kernel, incident.id) as at:
        await kernel.incidents.handle(*at.args, LI, 1, "")
        until_then = clock.now() + timedelta(seconds=3600)
        await kernel.incidents.suspend(*at.args, LI, 2, until=until_then, reason="parts")
    await until(kernel, clock, 3599)
    assert (await fetch(kernel, incident.id)).state == "suspended"
    await until(kernel, clock, 1)
    found = await fetch(kernel, incident.id)
    assert (found.state, found.suspended_until, found.version) == ("handling", None, 4)
    assert (await events_of(kernel, incident.id))[-1] == (
        "incident.escalated",
        "resumed_by_timer",
    )
    assert await waits_for(kernel, incident.id) == ("feedback", 500)


async def test_pressed_again_rings_anew_whoever_has_seen_it(
    kernel: Governance, clock: ManualClock
) -> None:
    li = await account(kernel, "duty_staff", name="Li Na")
    incident = await ruled(kernel, {"triage": "skip"})
    await until(kernel, clock, 60)
    async with step(kernel, incident.id, "joined") as at:
        await kernel.incidents.ring_again(*at.args)
    assert await waits_for(kernel, incident.id) == ("ring", 0)
    await kernel.timers.fire_due()
    assert await waits_for(kernel, incident.id) == ("ring", 30)
    assert (await fetch(kernel, incident.id)).round == 1
    async with step(kernel, incident.id) as at:
        await kernel.incidents.acknowledge(*at.args, replace(LI, id=li.id), 1)
        await kernel.incidents.ring_again(*at.args)
    await kernel.timers.fire_due()
    last = (await log_of(kernel, incident.id))[-1]
    rang = [e for e in await log_of(kernel, incident.id) if e.action == "rang"][-1]
    assert "Li Na" in [told["name"] for told in rang.data["told"]]
    assert last.action in {"rang", "nobody_reachable"}
    assert await waits_for(kernel, incident.id) == ("handle", 100)
    assert (await events_of(kernel, incident.id))[-1][0] == "incident.escalated"


@ON_SQLITE
@pytest.mark.parametrize("status", ["Test", "Exercise"])
async def test_what_is_not_in_earnest_ends_by_itself(
    kernel: Governance, clock: ManualClock, status: str
) -> None:
    incident = await opened(kernel, status=status)
    seen = await opened(kernel, status=status, zone_name="Roof")
    await kernel.timers.fire_due()
    async with step(kernel, seen.id) as at:
        await kernel.incidents.acknowledge(*at.args, LI, 1)
    assert await waits_for(kernel, seen.id) == ("end", 60)
    await until(kernel, clock, 60)
    ended = await fetch(kernel, seen.id)
    assert (ended.state, ended.resolution) == ("closed", "test")
    await until(kernel, clock, 538)
    assert (await fetch(kernel, incident.id)).is_open
    await until(kernel, clock, 2)
    ended = await fetch(kernel, incident.id)
    assert (ended.state, ended.resolution, ended.is_open) == ("closed", "test", False)


@ON_SQLITE
async def test_what_is_in_earnest_never_ends_by_itself(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await opened(kernel)
    for _ in range(40):
        await until(kernel, clock, 900)
    found = await fetch(kernel, incident.id)
    assert (found.is_open, found.state) == (True, "reported")
