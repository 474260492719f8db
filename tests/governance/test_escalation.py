"""Rings by the policy's steps, limits of each step, rests and ends: by timers alone."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from core.settings_loop import GovernanceSettings
from governance.incidents.models import Incident
from governance.incidents.steps import Whom
from governance.service import Governance, build_governance
from governance.timers import repository as timer_rows
from governance.timers import service as timers
from governance.timers.loop import TimerLoop
from governance.timers.service import TimerKind
from tests.governance.conftest import Parts
from tests.governance.loop_support import (
    POLICY,
    account,
    events_of,
    log_of,
    pending,
    ruled,
    step,
    waits_for,
)
from tests.governance.support import fetch, opened, person, post, signal
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


async def test_the_fire_in_a_flood_is_first(kernel: Governance, clock: ManualClock) -> None:
    for number in range(30):
        await post(kernel, signal(zone_name=f"zone {number}", severity="Minor"))
    clock.advance(1)
    fire = await opened(kernel, zone_name="Kitchen", severity="Extreme")
    clock.advance(1)
    async with kernel.database.transaction() as session:
        claimed = await timer_rows.claim_due(session, clock.now(), 10)
        assert claimed[0].incident_id == fire.id
        ranks = [timer.rank for timer in claimed]
        assert ranks == sorted(ranks, reverse=True)
        assert len({timer.id for timer in claimed}) == 10
    await kernel.timers.fire_due()
    async with kernel.database.read() as session:
        rang = await session.scalar(
            text("SELECT incident_id FROM incident_log WHERE action = 'rang' ORDER BY id LIMIT 1")
        )
    assert str(rang).replace("-", "") == fire.id.hex
    assert all(t.due_at > clock.now() for t in await pending(kernel.database))


@pytest.mark.parametrize(
    "poison",
    [
        {"steps": "soon"},
        {"steps": [{"after_s": 0}]},
        {"limits": None, "steps": [{"after_s": "x", "targets": [], "channels": []}]},
        {"repeat_s": None},
    ],
)
async def test_a_poisoned_policy_holds_back_no_other(
    kernel: Governance, clock: ManualClock, poison: dict[str, Any]
) -> None:
    bad = await ruled(kernel, poison, severity="Extreme")
    good = await ruled(kernel, zone_name="Roof")
    for _ in range(4):
        await until(kernel, clock, 31)
    assert len(await rings(kernel, good)) >= 3
    [timer] = await pending(kernel.database, bad.id)
    assert timer.due_at <= clock.now() + timedelta(seconds=60)  # tried again, for ever


@pytest.mark.faults
async def test_nothing_rings_once_the_acknowledgement_is_committed(
    kernel: Governance, parts: Parts, database: Database, clock: ManualClock, store_url: str
) -> None:
    other = Database(store_url)
    beside = build_governance(replace(parts, database=other))
    incident = await ruled(kernel, {"triage": "skip"})
    for round in range(25):
        async with database.transaction() as session:
            found = await kernel.incidents.locked(session, incident.id)
            found.acknowledged_at, found.state, found.version = None, "reported", 1
            await session.flush()
            await timers.set_ring(session, found, clock.now())
        clock.advance(1)

        async def acknowledge() -> int:
            async with step(kernel, incident.id) as at:
                await kernel.incidents.acknowledge(*at.args, LI, 1)
            return len(await rings(kernel, incident))

        _, _, then = await asyncio.gather(
            kernel.timers.fire_due(), beside.timers.fire_due(), acknowledge()
        )
        await kernel.timers.fire_due()
        assert len(await rings(kernel, incident)) == then, round
        assert [t.kind for t in await pending(database, incident.id)] == ["handle"]
    await other.close()


async def test_among_a_hundred_thousand_timers_the_index_finds_what_is_due(
    kernel: Governance, database: Database, clock: ManualClock
) -> None:
    incident = await opened(kernel)
    now, far = clock.now(), clock.now() + timedelta(hours=1)
    form = "%Y-%m-%dT%H:%M:%S.%f+00:00"
    series, values = (
        "SELECT gen_random_uuid(), cast(:incident AS uuid), 'archive', g, 0, g % 5, "
        "cast(:now AS timestamptz), cast(:far AS timestamptz) FROM generate_series(1, 100000) AS g",
        {"incident": incident.id, "now": now, "far": far},
    )
    if database.is_sqlite:
        series, values = (
            "WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 100000) "
            "SELECT lower(hex(randomblob(16))), :incident, 'archive', g, 0, g % 5, :now, :far "
            "FROM n",
            {
                "incident": incident.id.hex,
                "now": now.strftime(form),
                "far": far.strftime(form),
            },
        )
    columns = "id, incident_id, kind, seq, attempt, rank, created_at, due_at"
    async with database.transaction() as session:
        await session.execute(text(f"INSERT INTO timer ({columns}) {series}"), values)
        await session.execute(text("ANALYZE"))
    for plan in await plans(database, clock):
        assert "ix_timer_pending" in plan, plan
        for slow in ("SCAN timer", "Seq Scan", "Sort", "TEMP B-TREE"):
            assert slow not in plan, plan
    # The one that is due rings, and the loop knows when the next one is.
    assert await kernel.timers.fire_due() == clock.now() + timedelta(seconds=60)


async def plans(database: Database, clock: ManualClock) -> list[str]:
    """Return how the store goes about the questions of the loop."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM timer" in statement:
            asked.append((statement, parameters))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        async with database.transaction() as session:
            await timer_rows.next_due(session)
            await timer_rows.claim_due(session, clock.now(), 50)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 1 + len(timer_rows.RANKS)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    found = []
    async with database.transaction() as session:
        connection = await session.connection()
        for statement, parameters in asked:
            rows = await connection.exec_driver_sql(explain + statement, parameters)
            found.append("\n".join(str(row) for row in rows))
    return found


def test_the_moment_of_each_ring_is_counted_from_the_first() -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    incident = Incident(policy=POLICY, ring_from=began, severity="severe")

    def due(attempt: int, now_s: float) -> float:
        at = timers.due_at(
            incident,
            GovernanceSettings(),
            TimerKind.RING,
            began + timedelta(seconds=now_s),
            attempt,
        )
        return (at - began).total_seconds()

    assert [due(n, s) for n, s in ((0, 0), (1, 0), (2, 30), (3, 60), (4, 100))] == [
        0, 30, 60, 100, 140,
    ]  # fmt: skip
    # A loop that was half a second late is not late for the next one.
    assert due(2, 30.5) == 60
    # After an outage, and after a clock that was put back: the distance of the steps.
    assert due(2, 500) == 530
    assert due(2, -3600) == -3570


@ON_SQLITE
async def test_pressing_again_and_again_neither_holds_back_the_wider_steps_nor_floods(
    kernel: Governance, clock: ManualClock
) -> None:
    incident = await ruled(kernel, {"triage": "skip"})
    await kernel.timers.fire_due()
    for _ in range(20):
        await until(kernel, clock, 10)
        async with step(kernel, incident.id, "joined") as at:
            await kernel.incidents.ring_again(*at.args)
    rang = await rings(kernel, incident)
    assert rang[:4] == [0, 1, 2, 3], "each step wider than the one before"
    assert rang == sorted(rang)
    assert len(rang) <= 10, "twenty presses add one ring in half a minute, not twenty"


@ON_SQLITE
async def test_signals_that_wait_go_before_what_is_not_severe_but_not_for_long(
    kernel: Governance, clock: ManualClock
) -> None:
    loop = TimerLoop(kernel.database, clock, kernel.incidents, busy=lambda: True)
    minor = await ruled(kernel, severity="Minor")
    severe = await ruled(kernel, severity="Severe", zone_name="Roof")
    assert await loop.fire_due(gives_way=True) == clock.now() + timedelta(milliseconds=50)
    assert (await rings(kernel, severe), await rings(kernel, minor)) == ([0], [])
    clock.advance(0.9)
    await loop.fire_due(gives_way=True)
    assert await rings(kernel, minor) == []
    clock.advance(0.1)
    await loop.fire_due(gives_way=True)
    assert await rings(kernel, minor) == [0]


async def test_many_that_ring_together_ask_no_more_than_one_does(kernel: Governance) -> None:
    async def fired(count: int) -> int:
        for number in range(count):
            await ruled(kernel, zone_name=f"zone {count}.{number}")
        asked: list[str] = []

        def note(_: Any, __: Any, statement: str, *___: Any) -> None:
            if statement.startswith("SELECT"):
                asked.append(statement)

        engine = kernel.database.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        await kernel.timers.fire_due()
        event.remove(engine, "before_cursor_execute", note)
        return len(asked)

    await account(kernel, "duty_staff", "demo/riverside")
    await kernel.timers.fire_due()  # looks at the clock, which it does once
    assert await fired(20) <= await fired(1)
