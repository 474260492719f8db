"""Consent as it is kept: what opens a home, to whom, when, and what ends it. On both stores."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from access.accounts.models import Account, AccountRole
from access.consent.hours import ConsentHours, is_within, stored
from access.consent.models import AlarmOpening, ConsentGrant
from access.consent.repository import NewOpening
from access.consent.schemas import GrantCreate
from access.consent.service import Consent
from access.households.membership import with_households
from access.households.models import Household
from access.households.service import HomePlace, Households
from access.ledger.models import LedgerEntry
from access.ledger.service import Ledger
from access.policy.types import Actor
from core.clock import ManualClock
from core.database import Database
from core.errors import ConflictError, ForbiddenError, HubError, InvalidInputError
from core.ids import new_id

pytestmark = pytest.mark.consent

AREA = "demo/jade-garden"
CAMERA = UUID("01900000-0000-7000-8000-0000000000c1")


@dataclass
class Village:
    """Accounts, households and consent on a real store, with a clock that the test moves."""

    database: Database
    clock: ManualClock
    households: Households
    consent: Consent

    async def person(self, name: str, role: str = "resident") -> Actor:
        now = self.clock.now()
        account = Account(
            id=new_id(), username=name, display_name=name.title(), password_hash="x", locale="en",
            active=True, created_at=now, updated_at=now, password_changed_at=now,
            roles=[AccountRole(id=new_id(), role=role, area=AREA)],
        )  # fmt: skip
        async with self.database.transaction() as session:
            session.add(account)
        return Actor(kind="account", id=account.id, name=name)

    async def home(self, name: str, member: Actor) -> tuple[UUID, Actor]:
        """Make a household with one member; return it and the member as it is then."""
        async with self.database.transaction() as session:
            row = await self.households.create(session, None, name=name, area=AREA)
            await self.households.add_member(session, None, row, username=member.name, cameras=0)
        return row.id, await self.now(member)

    async def now(self, actor: Actor) -> Actor:
        async with self.database.read() as session:
            return await with_households(session, replace(actor, households=frozenset()))

    async def give(
        self, actor: Actor, household: UUID, camera: UUID = CAMERA, **values: Any
    ) -> ConsentGrant:
        wanted = GrantCreate.model_validate({"camera_id": camera, **values})
        async with self.database.transaction() as session:
            return await self.consent.give(session, actor, wanted, household)

    async def share(
        self, actor: Actor, household: UUID, to: Actor, days: float = 7, **values: Any
    ) -> ConsentGrant:
        ends_at = self.clock.now() + timedelta(days=days)
        return await self.give(
            actor, household, kind="share", username=to.name, ends_at=ends_at, **values
        )

    async def withdraw(self, actor: Actor | None, grant: ConsentGrant) -> ConsentGrant:
        async with self.database.transaction() as session:
            return await self.consent.withdraw(session, actor, grant.id)

    async def alarm(self, household: UUID, camera: UUID | None = None) -> UUID:
        incident = new_id()
        async with self.database.transaction() as session:
            await self.consent.alarm_opened(session, incident, household, camera)
        return incident

    async def answer(self, incident: UUID, *who: Actor) -> None:
        async with self.database.transaction() as session:
            for actor in who:
                await self.consent.alarm_answered(session, incident, actor)

    async def end(self, incident: UUID) -> None:
        async with self.database.transaction() as session:
            await self.consent.alarm_ended(session, incident)

    async def opens(self, actor: Actor, household: UUID, camera: UUID = CAMERA) -> str:
        """Return the kind of the grant that opens the camera to `actor` now, or ""."""
        async with self.database.read() as session:
            grant = await self.consent.live_grant(session, actor, camera, household)
            cameras = await self.consent.granted_cameras(session, actor)
        assert (grant is not None) == (camera in cameras)
        return "" if grant is None else grant.kind

    async def ledger(self) -> list[str]:
        async with self.database.read() as session:
            query = select(LedgerEntry.kind).order_by(LedgerEntry.seq)
            return list(await session.scalars(query))


MakeVillage = Callable[..., Village]


@pytest.fixture
def make_village(database: Database, clock: ManualClock, tmp_path: Path) -> MakeVillage:
    def make(zone: tzinfo = UTC) -> Village:
        ledger = Ledger(clock, tmp_path / "keys")
        return Village(database, clock, Households(clock, ledger), Consent(clock, ledger, zone))

    return make


@pytest.fixture
def village(make_village: MakeVillage) -> Village:
    return make_village()


async def refused(doing: Awaitable[Any], code: str, kind: type[HubError]) -> None:
    with pytest.raises(kind) as told:
        await doing
    assert told.value.code == code


async def test_a_share_opens_one_camera_to_one_account_until_it_ends(village: Village) -> None:
    li, wang, chen = [await village.person(n) for n in ("li-na", "wang-wei", "chen-bo")]
    home, li = await village.home("Flat 1204", li)
    assert await village.opens(wang, home) == ""
    await village.share(li, home, wang, days=2)
    assert await village.opens(wang, home) == "share"
    assert await village.opens(chen, home) == ""
    # Another camera, and the same camera in the hands of another household, stay closed.
    assert await village.opens(wang, home, new_id()) == ""
    async with village.database.read() as session:
        assert await village.consent.live_grant(session, wang, CAMERA, new_id()) is None
    village.clock.jump(2 * 86400 - 1)
    assert await village.opens(wang, home) == "share"
    village.clock.jump(1)
    assert await village.opens(wang, home) == ""
    assert await village.ledger() == ["household.created", "household.member_added", "grant.given"]


async def test_a_withdrawal_counts_at_once_and_a_second_one_changes_nothing(
    village: Village,
) -> None:
    li, wang = await village.person("li-na"), await village.person("wang-wei")
    home, li = await village.home("Flat 1204", li)
    grant = await village.share(li, home, wang)
    first = await village.withdraw(li, grant)
    assert await village.opens(wang, home) == ""
    village.clock.jump(60)
    again = await village.withdraw(li, grant)
    assert (again.withdrawn_at, again.withdrawn_by) == (first.withdrawn_at, li.id)
    assert (await village.ledger()).count("grant.withdrawn") == 1


async def test_an_own_alarm_opens_the_camera_to_who_answers_it_until_it_is_closed(
    village: Village,
) -> None:
    li, duty, other = [await village.person(n) for n in ("li-na", "duty-one", "duty-two")]
    home, li = await village.home("Flat 1204", li)
    neighbour, zhao = await village.home("Flat 1205", await village.person("zhao-min"))
    await village.give(li, home, kind="alarm")
    # An alarm of another household opens nothing here, and neither does its consent there.
    foreign = await village.alarm(neighbour)
    await village.answer(foreign, duty)
    assert await village.opens(duty, home) == ""
    own = await village.alarm(home)
    assert await village.opens(duty, home) == ""
    await village.answer(own, duty)
    await village.answer(own, duty)
    assert (await village.opens(duty, home), await village.opens(other, home)) == ("alarm", "")
    await village.end(own)
    assert await village.opens(duty, home) == ""
    # Answering it afterwards does not open it again.
    await village.answer(own, other)
    assert await village.opens(other, home) == ""
    await village.end(own)
    kinds = await village.ledger()
    assert kinds.count("alarm.opened") == 2
    assert (kinds.count("alarm.answered"), kinds.count("alarm.ended")) == (2, 1)
    assert zhao.households == {neighbour}


async def test_alarms_of_one_batch_are_each_opened_and_entered(village: Village) -> None:
    """One entry of the ledger for each, in their order, with the area of its household."""
    alice, bertha = await village.person("alice"), await village.person("bertha")
    (first, _), (second, _) = await village.home("1204", alice), await village.home("1205", bertha)
    before = len(await village.ledger())
    opened = [
        NewOpening(new_id(), first),
        NewOpening(new_id(), second, CAMERA),
        NewOpening(new_id(), first),
    ]
    async with village.database.transaction() as session:
        await village.consent.alarms_opened(session, opened, {first: AREA})
        await village.consent.alarms_opened(session, [], {})
    async with village.database.read() as session:
        entries = (await session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq))).all()
        rows = [await session.get(AlarmOpening, one.incident_id) for one in opened]
    told = [(e.kind, e.area, e.subject, json.loads(e.body)) for e in entries[before:]]
    assert told == [
        ("alarm.opened", AREA, str(opened[0].incident_id), {"household_id": str(first)}),
        (
            "alarm.opened",
            AREA,
            str(opened[1].incident_id),
            {"household_id": str(second), "camera_id": str(CAMERA)},
        ),
        ("alarm.opened", AREA, str(opened[2].incident_id), {"household_id": str(first)}),
    ]
    assert [(r.household_id, r.camera_id, r.ended_at) for r in rows if r is not None] == [
        (first, None, None),
        (second, CAMERA, None),
        (first, None, None),
    ]


@pytest.mark.parametrize("agreed", [True, False])
async def test_what_the_camera_itself_detects_opens_it_only_if_that_was_agreed(
    village: Village, agreed: bool
) -> None:
    li, duty = await village.person("li-na"), await village.person("duty-one")
    home, li = await village.home("Flat 1204", li)
    second = new_id()
    await village.give(li, home, kind="alarm", on_detection=agreed)
    await village.give(li, home, second, kind="alarm", on_detection=True)
    incident = await village.alarm(home, CAMERA)
    await village.answer(incident, duty)
    assert await village.opens(duty, home) == ("alarm" if agreed else "")
    assert await village.opens(duty, home, second) == ""


async def test_consent_withdrawn_while_an_alarm_is_open_closes_the_camera(
    village: Village,
) -> None:
    li, duty = await village.person("li-na"), await village.person("duty-one")
    home, li = await village.home("Flat 1204", li)
    incident = await village.alarm(home)
    await village.answer(incident, duty)
    # Given during the alarm, withdrawn during the alarm.
    grant = await village.give(li, home, kind="alarm")
    assert await village.opens(duty, home) == "alarm"
    await village.withdraw(li, grant)
    assert await village.opens(duty, home) == ""


async def test_hours_are_those_of_the_wall_of_the_site(make_village: MakeVillage) -> None:
    village = make_village(ZoneInfo("Asia/Shanghai"))
    li, wang = await village.person("li-na"), await village.person("wang-wei")
    home, li = await village.home("Flat 1204", li)
    # The clock begins on Thursday, 2026-01-01 at 08:00 UTC, which is 16:00 in Shanghai.
    hours = [{"days": ["thu"], "from": "22:00", "to": "06:00"}]
    await village.share(li, home, wang, days=30, hours=hours)
    seen = []
    for _ in range(24):
        seen.append(await village.opens(wang, home) == "share")
        village.clock.jump(3600)
    # Open from Thursday 22:00 to Friday 06:00.
    assert seen == [False] * 6 + [True] * 8 + [False] * 10


def window(days: str, start: str, end: str) -> list[dict[str, Any]]:
    return stored([ConsentHours.model_validate({"days": days.split(), "from": start, "to": end})])


@pytest.mark.parametrize(
    ("moment", "hours", "open_"),
    [
        # Berlin, 2026-03-29: 02:00 becomes 03:00. What is left out is never open.
        ("2026-03-29T00:59:59+00:00", window("sun", "02:00", "03:00"), False),
        ("2026-03-29T01:00:00+00:00", window("sun", "02:00", "03:00"), False),
        ("2026-03-29T01:00:00+00:00", window("sun", "01:00", "04:00"), True),
        ("2026-03-29T02:00:00+00:00", window("sun", "01:00", "04:00"), False),
        # Over midnight into the short night: ends at 06:00 by the wall, an hour earlier.
        ("2026-03-29T03:59:00+00:00", window("sat", "22:00", "06:00"), True),
        ("2026-03-29T04:00:00+00:00", window("sat", "22:00", "06:00"), False),
        # 2026-10-25: 03:00 becomes 02:00. The hour that comes twice counts twice.
        ("2026-10-25T00:30:00+00:00", window("sun", "02:00", "03:00"), True),
        ("2026-10-25T01:30:00+00:00", window("sun", "02:00", "03:00"), True),
        ("2026-10-25T02:00:00+00:00", window("sun", "02:00", "03:00"), False),
        # Sunday goes on into Monday; a whole day; no hours at all.
        ("2026-10-26T04:59:00+00:00", window("sun", "22:00", "06:00"), True),
        ("2026-10-27T04:59:00+00:00", window("sun", "22:00", "06:00"), False),
        ("2026-10-25T22:59:00+00:00", window("sun", "09:00", "09:00"), True),
        ("2026-10-25T23:01:00+00:00", window("sun", "09:00", "09:00"), False),
        ("2026-10-25T23:01:00+00:00", [], True),
    ],
)
def test_hours_over_midnight_and_over_the_change_of_clocks(
    moment: str, hours: list[dict[str, Any]], open_: bool
) -> None:
    at = datetime.fromisoformat(moment)
    assert is_within(hours, at, ZoneInfo("Europe/Berlin")) is open_


async def test_only_who_lives_there_consents_and_only_to_what_makes_sense(
    village: Village,
) -> None:
    li, wang = await village.person("li-na"), await village.person("wang-wei")
    admin = await village.person("admin-one", "administrator")
    auditor = await village.person("auditor-one", "auditor")
    home, li = await village.home("Flat 1204", li)
    flat, wang = await village.home("Flat 1205", wang)
    # A role is no membership, and membership elsewhere is none here: looked up, not believed.
    liar = replace(wang, households=frozenset({home, flat}))
    for actor in (admin, wang, liar):
        await refused(village.share(actor, home, li), "not-of-household", ForbiddenError)
    for account in (admin, auditor):
        await refused(village.share(li, home, account), "conflicting-roles", ConflictError)
    soon = village.clock.now() + timedelta(days=1)
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("grantee-needed", {"kind": "share", "ends_at": soon}),
        ("end-needed", {"kind": "share", "username": wang.name}),
        ("unknown-account", {"kind": "share", "username": "nobody", "ends_at": soon}),
        ("lives-there", {"kind": "share", "username": li.name, "ends_at": soon}),
        ("not-for-this-kind", {"kind": "alarm", "username": wang.name}),
        ("not-for-this-kind", {"kind": "share", "username": wang.name, "ends_at": soon,
                               "on_detection": True}),
        ("grant-has-ended", {"kind": "alarm", "ends_at": village.clock.now()}),
        ("end-too-late", {"kind": "share", "username": wang.name,
                          "ends_at": village.clock.now() + timedelta(days=367)}),
    ]  # fmt: skip
    for code, values in wrong:
        await refused(village.give(li, home, **values), code, InvalidInputError)
    await village.give(li, home, kind="alarm")
    await refused(village.give(li, home, kind="alarm"), "grant-exists", ConflictError)


async def test_a_member_who_leaves_cannot_consent_any_more_and_what_was_given_stays(
    village: Village,
) -> None:
    li, ming, wang = [await village.person(n) for n in ("li-na", "li-ming", "wang-wei")]
    home, li = await village.home("Flat 1204", li)
    async with village.database.transaction() as session:
        row = await village.households.locked(session, home)
        await village.households.add_member(session, li, row, username=ming.name, cameras=1)
    ming = await village.now(ming)
    await village.share(ming, home, wang)
    async with village.database.transaction() as session:
        row = await village.households.locked(session, home)
        assert ming.id is not None
        await village.households.remove_member(session, li, row, ming.id, cameras=1)
    assert (await village.now(ming)).households == frozenset()
    await refused(village.share(ming, home, wang), "not-of-household", ForbiddenError)
    assert await village.opens(wang, home) == "share"


async def test_who_comes_into_a_household_and_who_may_leave(village: Village) -> None:
    li, ming, admin = [await village.person(n) for n in ("li-na", "li-ming", "zhang-san")]
    office = await village.person("office-one", "administrator")
    home, li = await village.home("Flat 1204", li)

    async def add(actor: Actor, who: Actor, cameras: int = 0) -> None:
        async with village.database.transaction() as session:
            row = await village.households.locked(session, home)
            await village.households.add_member(
                session, actor, row, username=who.name, cameras=cameras
            )

    async def remove(who: Actor, cameras: int) -> None:
        assert who.id is not None
        async with village.database.transaction() as session:
            row = await village.households.locked(session, home)
            await village.households.remove_member(session, li, row, who.id, cameras=cameras)

    # Whoever is not of the household sets the first member only, and only before any camera.
    await refused(add(admin, ming), "household-has-members", ConflictError)
    await refused(add(li, office), "conflicting-roles", ConflictError)
    await add(li, ming, cameras=1)
    await add(li, ming, cameras=1)
    await remove(ming, cameras=1)
    await refused(remove(li, cameras=1), "last-member", ConflictError)
    await remove(li, cameras=0)
    await refused(add(admin, ming, cameras=1), "household-has-members", ConflictError)
    await add(admin, ming)


async def test_a_household_that_moves_out_takes_all_its_consent_along(village: Village) -> None:
    li, wang, duty = [await village.person(n) for n in ("li-na", "wang-wei", "duty-one")]
    home, li = await village.home("Flat 1204", li)
    await village.share(li, home, wang)
    await village.give(li, home, kind="alarm")
    incident = await village.alarm(home)
    await village.answer(incident, duty)
    assert (await village.opens(wang, home), await village.opens(duty, home)) == ("share", "alarm")
    for _ in range(2):
        async with village.database.transaction() as session:
            row = await village.households.locked(session, home)
            await village.consent.end_of_household(session, None, home)
            await village.households.close(session, None, row, cameras=1)
    assert (await village.opens(wang, home), await village.opens(duty, home)) == ("", "")
    assert (await village.now(li)).households == frozenset()
    kinds = await village.ledger()
    assert (kinds.count("grant.withdrawn"), kinds.count("household.closed")) == (2, 1)
    async with village.database.transaction() as session:
        row = await village.households.locked(session, home)
        with pytest.raises(ConflictError):
            await village.households.add_member(session, li, row, username=li.name, cameras=0)


async def test_a_home_camera_belongs_to_a_household_that_could_consent(village: Village) -> None:
    li = await village.person("li-na")
    home, _ = await village.home("Flat 1204", li)
    async with village.database.transaction() as session:
        empty = await village.households.create(session, None, name="Flat 7", area=AREA)
        gone = await village.households.create(session, None, name="Flat 8", area=AREA)
        await village.households.close(session, None, gone, cameras=0)

    async def check(wanted: HomePlace, before: HomePlace | None = None) -> None:
        async with village.database.read() as session:
            await village.households.check_home(session, wanted, before)

    await check(HomePlace("home", home))
    await check(HomePlace("public_space", None))
    for place, code in (
        (HomePlace("home", None), "household-needed"),
        (HomePlace("shared_space", home), "household-not-home"),
        (HomePlace("home", new_id()), "unknown-household"),
        (HomePlace("home", gone.id), "household-closed"),
        (HomePlace("home", empty.id), "household-without-member"),
    ):
        await refused(check(place), code, InvalidInputError)
    # A home never becomes a place that roles open, nor another household's.
    for place in (HomePlace("shared_space", None), HomePlace("home", empty.id)):
        await refused(check(place, HomePlace("home", home)), "home-stays-home", ConflictError)
    await check(HomePlace("home", home), HomePlace("home", home))
    async with village.database.read() as session:
        assert isinstance(await village.households.get(session, home), Household)
