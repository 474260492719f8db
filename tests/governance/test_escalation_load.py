"""What rings first, and how much it costs, where much is to ring at once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from core.clock import ManualClock
from core.database import Database
from core.settings_loop import GovernanceSettings
from governance.incidents.models import Incident
from governance.service import Governance, build_governance
from governance.timers import repository as timer_rows
from governance.timers import service as timers
from governance.timers.loop import TimerLoop
from governance.timers.service import TimerKind
from tests.governance.conftest import Parts
from tests.governance.loop_support import (
    POLICY,
    account,
    pending,
    ruled,
    step,
)
from tests.governance.support import opened, post, signal
from tests.governance.test_escalation import LI, rings, until
from tests.support.stores import ON_SQLITE


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
