"""Who is told at each step: on duty then, wider each time, and never nobody in silence."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from access.accounts.models import Account
from access.households.models import Household
from core.ids import new_id
from governance.contacts.models import HouseholdContact
from governance.deliveries.models import ContactPoint, Delivery, Gateway
from governance.dispatch.policies import PolicyFacts
from governance.incidents.models import Incident, IncidentLog
from governance.outbox import service as outbox
from governance.service import Governance
from tests.governance.conftest import Parts
from tests.governance.duty.people import account, rota
from tests.governance.support import opened
from tests.support.stores import ON_SQLITE

CELL = "demo/riverside/jade-garden/cell-3"
GARDEN, RIVER = "demo/riverside/jade-garden", "demo/riverside"
SMS = ("sms",)


async def reachable(parts: Parts, *people: Account) -> None:
    """Give these accounts a number that an SMS gateway of the site leads to."""
    now = parts.clock.now()
    async with parts.database.transaction() as session:
        if (
            await session.scalar(select(Gateway.id).where(Gateway.channel == "sms").limit(1))
            is None
        ):
            session.add(gateway(now))
        session.add_all(
            ContactPoint(
                id=new_id(),
                account_id=person.id,
                channel="sms",
                address_sealed="sealed",
                label="",
                verified_at=now,
                created_at=now,
            )
            for person in people
        )


def gateway(now: datetime, room: str = "", area: str = "") -> Gateway:
    return Gateway(
        id=new_id(),
        channel="wecom" if room else "sms",
        name=f"gateway {room} {area}",
        kind="http",
        url_sealed="sealed",
        active=True,
        room=room,
        area=area,
        locale="zh-CN",
        created_at=now,
    )


async def incident(kernel: Governance, **changes: object) -> Incident:
    """An open incident in the cell, with the policy for an alarm."""
    row = await opened(kernel, area=CELL, severity="Extreme", camera_id=str(new_id()))
    facts = PolicyFacts("alarm_fire", "extreme", "actual", CELL)
    async with kernel.database.transaction() as session:
        await outbox.serialise(session)
        found = await kernel.incidents.locked(session, row.id)
        found.policy = dict(kernel.policies.choose(facts, kernel.clock.now()))
        found.kind, found.level = "alarm_fire", 0
        for name, value in changes.items():
            setattr(found, name, value)
    return found


async def ring(kernel: Governance, row: Incident, index: int, reason: str = "ring") -> list[str]:
    """Run a step; return the names in the history's entry."""
    async with kernel.database.transaction() as session:
        found = await kernel.incidents.locked(session, row.id)
        await kernel.dispatcher.run_step(session, found, index, reason)
    return await told(kernel, row.id)


async def logged(kernel: Governance, row_id: UUID, action: str) -> list[IncidentLog]:
    async with kernel.database.read() as session:
        query = select(IncidentLog).where(
            IncidentLog.incident_id == row_id, IncidentLog.action == action
        )
        return list(await session.scalars(query.order_by(IncidentLog.id)))


async def told(kernel: Governance, row_id: UUID) -> list[str]:
    return [item["name"] for item in (await logged(kernel, row_id, "rang"))[-1].data["told"]]


async def rows(kernel: Governance, row_id: UUID) -> list[Delivery]:
    async with kernel.database.read() as session:
        query = select(Delivery).where(Delivery.incident_id == row_id).order_by(Delivery.created_at)
        return list(await session.scalars(query))


async def test_each_step_goes_wider_and_whistles_to_the_level_above(
    kernel: Governance, parts: Parts
) -> None:
    people = [
        await account(parts, "duty", f"duty_staff@{GARDEN}"),
        await account(parts, "patrol", f"patrol@{CELL}"),
        await account(parts, "garden-lead", f"supervisor@{GARDEN}"),
        await account(parts, "town-duty", f"duty_staff@{RIVER}"),
        await account(parts, "town-lead", f"supervisor@{RIVER}"),
        await account(parts, "county-lead", "supervisor@demo"),
        await account(parts, "elsewhere", "supervisor@demo/hill", "duty_staff@demo/hill"),
    ]
    await reachable(parts, *people)
    row = await incident(kernel)
    first = {"Duty", "Patrol"}
    second = first | {"Garden-Lead", "Town-Lead", "Town-Duty"}
    third = second | {"County-Lead"}
    assert set(await ring(kernel, row, 0)) == first
    assert set(await ring(kernel, row, 1)) == second
    assert set(await ring(kernel, row, 2)) == third
    assert set(await ring(kernel, row, 3)) == third
    assert set(await ring(kernel, row, 9)) == third  # past the last: the widest again
    assert [entry.data["level"] for entry in await logged(kernel, row.id, "whistle")] == [1, 2]
    found = await rows(kernel, row.id)
    assert len({delivery.key for delivery in found}) == len(found)
    assert {d.purpose for d in found if d.recipient_name == "Town-Lead" and ".1." in d.key} == {
        "whistle"
    }
    # The same step of the same round once more: nobody is told twice.
    before = len(found)
    await ring(kernel, row, 3)
    assert len(await rows(kernel, row.id)) == before
    assert await logged(kernel, row.id, "nobody_reachable") == []


@ON_SQLITE
async def test_who_is_on_duty_is_looked_up_at_the_moment_of_the_step(
    kernel: Governance, parts: Parts
) -> None:
    before_four = datetime(2026, 11, 23, 7, 59, 50, tzinfo=UTC)  # 15:59:50 in Shanghai
    parts.clock.jump((before_four - parts.clock.now()).total_seconds())
    going = await account(parts, "going", f"duty_staff@{GARDEN}")
    coming = await account(parts, "coming", f"duty_staff@{GARDEN}")
    await reachable(parts, going, coming)
    await rota(
        kernel,
        GARDEN,
        "duty_staff",
        [(range(7), "08:00", "16:00", going), (range(7), "16:00", "08:00", coming)],
    )
    row = await incident(kernel)
    assert await ring(kernel, row, 0) == ["Going"]
    parts.clock.advance(30)
    names = await ring(kernel, row, 1)
    assert "Coming" in names
    assert "Going" not in names


@ON_SQLITE
async def test_contacts_of_the_household_are_told_of_what_is_real_only(
    kernel: Governance, parts: Parts
) -> None:
    duty = await account(parts, "duty", f"duty_staff@{GARDEN}")
    await reachable(parts, duty)
    home = Household(id=new_id(), name="Flat", area=CELL, created_at=parts.clock.now())
    contact = HouseholdContact(
        id=new_id(),
        household_id=home.id,
        name="Neighbour",
        relation="",
        locale="zh-CN",
        asked_at=parts.clock.now(),
        token_hash="x",
        agreed_at=parts.clock.now(),
    )
    async with kernel.database.transaction() as session:
        session.add(home)
        await session.flush()
        session.add(contact)
    real = await incident(kernel, household_id=home.id)
    assert set(await ring(kernel, real, 0)) == {"Neighbour", "Duty"}
    for status in ("exercise", "test"):
        # Even under a policy that names them.
        row = await incident(kernel, household_id=home.id, status=status)
        assert await ring(kernel, row, 0) == ["Duty"]
        assert {d.state for d in await rows(kernel, row.id)} <= {"withheld"}


@ON_SQLITE
async def test_where_nobody_can_be_told_the_next_level_is_and_the_history_says_so(
    kernel: Governance, parts: Parts
) -> None:
    await account(parts, "unreachable", f"duty_staff@{GARDEN}")
    await account(parts, "town-lead", f"supervisor@{RIVER}")
    county = await account(parts, "county-lead", "supervisor@demo")
    await reachable(parts, county)
    row = await incident(kernel)
    assert await ring(kernel, row, 0) == ["Unreachable", "County-Lead"]
    (entry,) = await logged(kernel, row.id, "nobody_reachable")
    assert entry.data == {"named": ["Unreachable"], "instead": ["County-Lead"]}
    assert [d.recipient_name for d in await rows(kernel, row.id) if d.state == "waiting"] == [
        "County-Lead"
    ]


@ON_SQLITE
async def test_where_the_named_ones_do_not_exist_those_on_duty_there_are_told(
    kernel: Governance, parts: Parts
) -> None:
    """The lowest level is looked through, too: there may be no other."""
    guard = await account(parts, "guard", f"duty_staff@{CELL}")
    await reachable(parts, guard)
    row = await incident(kernel)
    policy = {**row.policy, "steps": [{**row.policy["steps"][0], "targets": ["patrol"]}]}
    row = await incident(kernel, policy=policy)
    assert await ring(kernel, row, 0) == ["Guard"]
    assert [d.state for d in await rows(kernel, row.id)] == ["waiting"]


@ON_SQLITE
async def test_where_nobody_is_at_all_the_history_says_so_and_the_ringing_goes_on(
    kernel: Governance,
) -> None:
    row = await incident(kernel)
    for index in range(6):
        assert await ring(kernel, row, index) == []
    assert len(await logged(kernel, row.id, "nobody_reachable")) == 4  # of the four steps
    assert len(await logged(kernel, row.id, "rang")) == 6


async def test_rooms_departments_and_people_in_particular_are_targets(
    kernel: Governance, parts: Parts
) -> None:
    works = await account(parts, "works", "department@demo")
    assigned = await account(parts, "assigned", f"patrol@{CELL}")
    gone = await account(parts, "gone", f"patrol@{CELL}", active=False)
    async with kernel.database.transaction() as session:
        department = await kernel.departments.add(session, None, name="Water", area=RIVER)
        await kernel.departments.set_members(session, None, department, [works.id])
        session.add_all(
            [gateway(parts.clock.now(), "control"), gateway(parts.clock.now(), "control", "else")]
        )
    row = await incident(
        kernel, department_id=department.id, assignee_id=assigned.id, handler_id=gone.id
    )
    targets = ["department", "assignee", "handler", "acknowledger", "room:control", "room:none"]
    async with kernel.database.read() as session:
        found = await kernel.dispatcher.recipients(session, row, targets, parts.clock.now())
    assert [(who.kind, who.name) for who in found] == [
        ("account", "Works"),
        ("account", "Assigned"),
        ("room", "control"),
    ]
    await reachable(parts, works)
    for _ in range(2):
        async with kernel.database.transaction() as session:
            locked = await kernel.incidents.locked(session, row.id)
            outcome = await kernel.dispatcher.tell(
                session,
                locked,
                ["department"],
                channels=SMS,
                round_key="dispatch:3",
                purpose="alert",
                reason="dispatch",
            )
    assert (outcome.told, outcome.queued, outcome.nobody) == (1, 0, False)
    assert [d.recipient_name for d in await rows(kernel, row.id)] == ["Works"]


async def test_the_nearest_patrol_is_that_of_the_smallest_area_that_has_one_on_duty(
    kernel: Governance, parts: Parts
) -> None:
    near = await account(parts, "near", f"patrol@{CELL}")
    await account(parts, "wide", f"patrol@{RIVER}")
    row = await incident(kernel)
    async with kernel.database.read() as session:
        found = await kernel.dispatcher.recipients(session, row, ["patrol"], parts.clock.now())
    assert [who.id for who in found] == [near.id]
    async with kernel.database.read() as session:
        wider = await kernel.dispatcher.recipients(session, row, ["patrol+1"], parts.clock.now())
    assert [who.name for who in wider] == ["Wide"]


@ON_SQLITE
async def test_the_dry_run_says_what_the_steps_then_do_and_writes_nothing(
    kernel: Governance, parts: Parts
) -> None:
    duty = await account(parts, "duty", f"duty_staff@{GARDEN}")
    lead = await account(parts, "town-lead", f"supervisor@{RIVER}")
    county = await account(parts, "county-lead", "supervisor@demo")
    await reachable(parts, duty, lead, county)
    facts = PolicyFacts("alarm_fire", "extreme", "actual", CELL)
    at = parts.clock.now()
    async with kernel.database.read() as session:
        forecast = await kernel.dispatcher.forecast(session, facts, at)
        assert not session.new
        assert not session.dirty
    assert [step.after_s for step in forecast] == [0, 30, 60, 90, 150]
    assert [step.repeats for step in forecast] == [False] * 4 + [True]
    assert forecast[0].depends == ["contacts"]
    assert forecast[0].told[0].channels == ["sms"]
    row = await incident(kernel)
    for step in forecast:
        names = [person.name for person in step.told]
        assert await ring(kernel, row, step.index) == names
        assert {p.name for p in step.told if p.whistled} == {
            d.recipient_name
            for d in await rows(kernel, row.id)
            if d.purpose == "whistle" and d.round_key == f"0.{step.index}.ring"
        }
    async with kernel.database.read() as session:
        ended = await kernel.incidents.get(session, row.id)
    assert ended.level == forecast[-1].level


@pytest.mark.parametrize("status", ["exercise", "test"])
async def test_an_exercise_rings_on_the_consoles_of_duty_and_nowhere_else(
    kernel: Governance, parts: Parts, status: str
) -> None:
    duty = await account(parts, "duty", f"duty_staff@{GARDEN}")
    await account(parts, "lead", f"supervisor@{GARDEN}")
    await reachable(parts, duty)
    facts = PolicyFacts("alarm_fire", "extreme", status, CELL)
    async with kernel.database.read() as session:
        forecast = await kernel.dispatcher.forecast(session, facts, parts.clock.now())
    assert {person.name for step in forecast for person in step.told} == {"Duty"}
    assert all(person.channels == [] for step in forecast for person in step.told)
    row = await incident(
        kernel, status=status, policy=dict(kernel.policies.choose(facts, parts.clock.now()))
    )
    assert await ring(kernel, row, 0) == ["Duty"]
    assert await rows(kernel, row.id) == []
