"""Group commit: one transaction for many, the urgent first, and who is wrong fails alone."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, text

from access.households.models import Household
from core.database import Database
from core.errors import HubError
from core.ids import new_id
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.views import describe
from governance.outbox.models import OutboxEvent
from governance.service import Governance
from governance.signals import intake as intake_module
from governance.signals.intake import Intake, IntakeFullError, IntakeItem, UnstorableSignalError
from governance.signals.models import Signal
from governance.signals.reading import InvalidSignalError
from governance.signals.types import Posted, Receipt, SignalIdReusedError
from governance.timers.models import Timer
from tests.governance.support import AREA, count, offline, picture, post, read, rows, signal
from tests.governance.support import attachment as attached
from tests.governance.test_alarms import alarm
from tests.support.stores import ON_SQLITE
from tests.support.waiting import until


def item(kernel: Governance, raw: dict[str, Any]) -> IntakeItem:
    checked = read(kernel, raw)
    for _, found in checked.pictures:
        kernel.pictures.write(found)
    return IntakeItem(checked)


async def submit_all(kernel: Governance, *raws: dict[str, Any]) -> list[Receipt | BaseException]:
    return await kernel.intake.submit_all([item(kernel, raw) for raw in raws])


def receipts(answers: list[Receipt | BaseException]) -> list[Receipt]:
    found = [answer for answer in answers if isinstance(answer, Receipt)]
    assert len(found) == len(answers), answers
    return found


async def test_many_share_a_transaction_and_numbers_have_no_gaps(
    kernel: Governance, database: Database
) -> None:
    commits = 0

    def committed(*_: Any) -> None:
        nonlocal commits
        commits += 1

    event.listen(database.engine.sync_engine, "commit", committed)
    raws = [signal(zone_name=f"zone {n}") for n in range(150)]
    found = receipts(await submit_all(kernel, *raws))
    assert commits == 1
    assert len({receipt.body.incident_id for receipt in found}) == 150
    numbers = sorted(incident.number for incident in await rows(database, Incident))
    assert numbers == [f"2026-{n:06d}" for n in range(1, 151)]
    assert await count(database, Timer) == await count(database, OutboxEvent) == 150


@ON_SQLITE
async def test_what_is_told_of_a_batch_is_told_as_of_one(
    kernel: Governance, database: Database
) -> None:
    pictured = {"attachments": [attached(picture())]}
    await submit_all(kernel, signal(zone_name="A", **pictured), signal(zone_name="B"))
    await post(kernel, signal(zone_name="C", **pictured))
    events = await rows(database, OutboxEvent)
    incidents = {incident.id: incident for incident in await rows(database, Incident)}
    async with database.read() as session:
        for told in events:
            (now,) = await describe(session, [incidents[told.incident_id]])
            assert {**now.model_dump(mode="json"), "change": "opened"} == told.payload


@ON_SQLITE
async def test_in_one_batch_the_first_opens_and_the_others_join(
    kernel: Governance, database: Database
) -> None:
    phases = ["started", "continuing", "started", "ended"]
    answers = receipts(await submit_all(kernel, *(signal(phase=phase) for phase in phases)))
    assert [answer.body.joined for answer in answers] == [False, True, True, True]
    [incident] = await rows(database, Incident)
    assert (incident.signal_count, incident.version, incident.state) == (4, 1, "reported")
    changes = [event.payload["change"] for event in await rows(database, OutboxEvent)]
    assert changes == ["opened", "continuing", "joined", "ended"]
    assert [e.payload["signal_count"] for e in await rows(database, OutboxEvent)] == [1, 2, 3, 4]


async def test_a_fault_that_ends_and_comes_back_in_one_batch_is_two_incidents(
    kernel: Governance, database: Database
) -> None:
    raws = [offline(), offline(phase="ended"), offline(), offline(severity="Extreme")]
    answers = receipts(await submit_all(kernel, *raws))
    assert answers[0].body.incident_id == answers[1].body.incident_id
    assert answers[2].body.incident_id == answers[3].body.incident_id
    first, second = await rows(database, Incident)
    assert (first.number, first.state, first.resolution) == ("2026-000001", "closed", "recovered")
    assert (second.number, second.state, second.severity) == ("2026-000002", "reported", "extreme")
    assert second.signal_count == 2
    changes = [event.payload["change"] for event in await rows(database, OutboxEvent)]
    assert changes == ["opened", "recovered", "opened", "joined"]
    pending = [t for t in await rows(database, Timer) if not t.fired_at and not t.cancelled_at]
    waits = [timer.incident_id for timer in pending if timer.kind != "archive"]
    assert waits == [second.id]


async def test_the_same_id_in_one_batch_gets_one_receipt(
    kernel: Governance, database: Database
) -> None:
    raw = signal()
    other = {**raw, "data": {**raw["data"], "headline": "Something else"}}
    answers = await submit_all(kernel, raw, raw, other)
    first, again, refused = answers
    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert (first.is_new, again.is_new, again.body) == (True, False, first.body)
    assert isinstance(refused, SignalIdReusedError)
    assert await count(database, Signal) == 1


async def test_the_fire_in_a_flood_of_a_thousand_is_first_and_rings_first(
    kernel: Governance, database: Database
) -> None:
    home = new_id()
    async with database.transaction() as session:
        session.add(Household(id=home, name="Flat", area=AREA, created_at=kernel.clock.now()))
    order: list[str] = []

    async def submit(name: str, raw: dict[str, Any]) -> None:
        await kernel.intake.submit(item(kernel, raw))
        order.append(name)

    flood = [submit("camera", signal(zone_name=f"zone {n}")) for n in range(1000)]
    await asyncio.gather(*flood, submit("fire", alarm(home)))
    assert order[0] == "fire"
    assert len(order) == 1001
    first = (await rows(database, OutboxEvent))[0]
    assert (first.payload["kind"], first.payload["number"]) == ("alarm_fire", "2026-000001")
    told = await count(database, OutboxEvent)
    firing = asyncio.create_task(kernel.timers.fire_due())
    await until(lambda: count_after(database, told))
    firing.cancel()
    await asyncio.gather(firing, return_exceptions=True)
    rung = (await rows(database, OutboxEvent))[told:]
    assert rung[0].payload["kind"] == "alarm_fire"


async def count_after(database: Database, told: int) -> bool:
    """Say whether the outbox has more than `told` events."""
    return await count(database, OutboxEvent) > told


@ON_SQLITE
async def test_more_severe_overtakes_and_what_belongs_together_keeps_its_order(
    kernel: Governance, database: Database
) -> None:
    raws = [
        signal(zone_name="A", severity="Minor"),
        signal(zone_name="A", severity="Extreme", phase="ended"),
        signal(zone_name="B", severity="Extreme"),
    ]
    receipts(await submit_all(kernel, *raws))
    told = [event.payload for event in await rows(database, OutboxEvent)]
    assert [(t["zone_name"], t["change"]) for t in told] == [
        ("B", "opened"),
        ("A", "opened"),
        ("A", "ended"),
    ]


async def _poison(database: Database) -> None:
    """Let the store refuse one headline, as it refuses what it cannot keep."""
    sqlite = (
        "CREATE TRIGGER poison BEFORE INSERT ON incident WHEN NEW.headline = 'poison' "
        "BEGIN SELECT RAISE(ABORT, 'refused'); END",
    )
    postgresql = (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'refused' USING ERRCODE = '22000'; END $$",
        "CREATE TRIGGER poison BEFORE INSERT ON incident FOR EACH ROW "
        "WHEN (NEW.headline = 'poison') EXECUTE FUNCTION refuse()",
    )
    async with database.transaction() as session:
        for statement in sqlite if database.is_sqlite else postgresql:
            await session.execute(text(statement))


@pytest.mark.faults
async def test_a_poison_message_fails_alone(kernel: Governance, database: Database) -> None:
    await _poison(database)
    raws = [signal(zone_name=f"zone {n}") for n in range(60)]
    raws[37] = signal(zone_name="zone 37", headline="poison")
    answers = await submit_all(kernel, *raws)
    refused = [n for n, answer in enumerate(answers) if not isinstance(answer, Receipt)]
    assert refused == [37]
    if not database.is_sqlite:
        assert isinstance(answers[37], UnstorableSignalError)
    assert await count(database, Incident) == await count(database, Signal) == 59
    numbers = sorted(incident.number for incident in await rows(database, Incident))
    assert numbers == [f"2026-{n:06d}" for n in range(1, 60)]


@ON_SQLITE
async def test_who_may_not_fails_alone_and_writes_nothing(
    kernel: Governance, database: Database
) -> None:
    class NotHereError(HubError):
        status = 403

    def allow(posted: Posted) -> None:
        if posted.area != AREA:
            raise NotHereError("not here")

    raws = [signal(zone_name="A"), signal(zone_name="B", area="demo/elsewhere"), alarm(new_id())]
    answers = await kernel.intake.submit_all(
        [IntakeItem(read(kernel, raw), allow=allow) for raw in raws]
    )
    assert isinstance(answers[0], Receipt)
    assert isinstance(answers[1], NotHereError)
    assert isinstance(answers[2], InvalidSignalError)  # no such household
    assert await count(database, Signal) == 1


@ON_SQLITE
async def test_who_hangs_up_stops_nobody(kernel: Governance, database: Database) -> None:
    tasks = [
        asyncio.create_task(kernel.intake.submit(item(kernel, signal(zone_name=f"zone {n}"))))
        for n in range(10)
    ]
    await asyncio.sleep(0)  # all wait now
    tasks[3].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(a, Receipt) for a in answers] == [n != 3 for n in range(10)]
    # What had been handed over is stored; its sender posts again and is answered.
    assert await count(database, Signal) == 10


@ON_SQLITE
async def test_a_full_intake_sends_away_and_still_takes_alarms(
    kernel: Governance, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "MOST_WAITING", 5)
    home = new_id()
    async with database.transaction() as session:
        session.add(Household(id=home, name="Flat", area=AREA, created_at=kernel.clock.now()))
    raws = [*(signal(zone_name=f"zone {n}") for n in range(8)), alarm(home)]
    answers = await submit_all(kernel, *raws)
    assert [isinstance(a, Receipt) for a in answers] == [True] * 5 + [False] * 3 + [True]
    for refused in answers[5:8]:
        assert isinstance(refused, IntakeFullError)
        assert (refused.status, refused.code, refused.detail) == (
            503, "store-busy", {"retry_after": 1})  # fmt: skip
    receipts(await submit_all(kernel, *raws[5:8]))
    assert await count(database, Incident) == 9


@ON_SQLITE
async def test_pressing_again_rings_again(kernel: Governance, database: Database) -> None:
    home = new_id()
    async with database.transaction() as session:
        session.add(Household(id=home, name="Flat", area=AREA, created_at=kernel.clock.now()))
    receipts(await submit_all(kernel, alarm(home), alarm(home)))
    [incident] = await rows(database, Incident)
    assert (incident.round, incident.signal_count) == (1, 2)
    actions = [entry.action for entry in await rows(database, IncidentLog)]
    assert actions == ["opened", "joined", "pressed_again"]
    pending = [t for t in await rows(database, Timer) if not t.fired_at and not t.cancelled_at]
    assert [(t.kind, t.due_at) for t in pending] == [("ring", kernel.clock.now())]


async def test_a_store_that_is_away_tells_everybody_and_loses_nothing(
    kernel: Governance, database: Database
) -> None:
    broken = Intake(Database("sqlite+aiosqlite:////nowhere/at/all.db"), kernel.signals)
    items = [item(kernel, signal(zone_name=f"zone {n}")) for n in range(5)]
    answers = await broken.submit_all(items)
    assert all("unable to open" in str(answer) for answer in answers)
    assert await count(database, Signal) == 0
