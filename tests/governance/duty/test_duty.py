"""Who is on duty: rotas, overrides, hand-overs, gaps; and nobody who does not hold the role."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from access.policy.types import Role
from core.errors import ConflictError, ForbiddenError, InvalidInputError
from governance.duty.models import HandOver, Rota
from governance.duty.schemas import OverrideIn, SlotIn
from governance.duty.views import describe_duty, describe_rotas
from governance.service import Governance
from tests.governance.conftest import Parts
from tests.governance.duty.people import (
    EVERY_DAY,
    account,
    actor,
    give_roles,
    on_duty,
    rota,
    set_slots,
)
from tests.governance.support import opened
from tests.support.stores import ON_SQLITE

BERLIN = ZoneInfo("Europe/Berlin")
GARDEN, RIVER = "demo/riverside/jade-garden", "demo/riverside"
DUTY = Role.DUTY_STAFF


def local(text: str) -> datetime:
    """An instant by the wall clock of the site (the first, if it is shown twice)."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


async def test_without_a_rota_everybody_is_meant_who_holds_the_role_nearest(
    kernel: Governance, parts: Parts
) -> None:
    await account(parts, "county", "duty_staff@demo")
    at = local("2026-11-23T10:00")
    assert await on_duty(kernel, GARDEN, at, DUTY) == ["County"]
    await account(parts, "bob", f"duty_staff@{GARDEN}")
    await account(parts, "ann", f"duty_staff@{GARDEN}", f"patrol@{RIVER}")
    await account(parts, "gone", f"duty_staff@{GARDEN}", active=False)
    assert await on_duty(kernel, GARDEN, at, DUTY) == ["Ann", "Bob"]
    assert await on_duty(kernel, f"{GARDEN}/cell-3", at, DUTY) == ["Ann", "Bob"]
    assert await on_duty(kernel, f"{RIVER}/other", at, DUTY) == ["County"]
    assert await on_duty(kernel, GARDEN, at, Role.PATROL) == ["Ann"]
    assert await on_duty(kernel, "elsewhere", at, DUTY) == []


async def test_the_rota_of_the_area_or_of_the_nearest_above_names_who_is_on_duty(
    kernel: Governance, parts: Parts
) -> None:
    day = await account(parts, "day", f"duty_staff@{RIVER}")
    night = await account(parts, "night", f"duty_staff@{RIVER}")
    await account(parts, "local", f"duty_staff@{GARDEN}")
    await rota(
        kernel,
        RIVER,
        "duty_staff",
        [(EVERY_DAY, "06:00", "22:00", day), (EVERY_DAY, "22:00", "06:00", night)],
    )
    for place in (RIVER, GARDEN):
        assert await on_duty(kernel, place, local("2026-11-23T21:59"), DUTY) == ["Day"]
        assert await on_duty(kernel, place, local("2026-11-23T22:00"), DUTY) == ["Night"]
        assert await on_duty(kernel, place, local("2026-11-24T05:59"), DUTY) == ["Night"]
    # A rota that nobody was ever put on stands in nobody's way.
    await rota(kernel, GARDEN, "duty_staff")
    assert await on_duty(kernel, GARDEN, local("2026-11-23T12:00"), DUTY) == ["Day"]


@ON_SQLITE
async def test_the_night_of_a_clock_change_has_one_person_on_duty_at_every_minute(
    kernel: Governance, parts: Parts
) -> None:
    """22:00-02:30 and 02:30-06:00 around an hour that is left out, and one that is shown twice."""
    early = await account(parts, "early", f"duty_staff@{GARDEN}")
    late = await account(parts, "late", f"duty_staff@{GARDEN}")
    await rota(
        kernel,
        GARDEN,
        "duty_staff",
        [(EVERY_DAY, "22:00", "02:30", early), (EVERY_DAY, "02:30", "22:00", late)],
    )
    for begin, turn in (
        ("2026-03-28T23:00", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        ("2026-10-24T23:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ):
        at = local(begin)
        while at < local(begin) + timedelta(hours=8):
            expected = "Early" if at < turn else "Late"
            assert await on_duty(kernel, GARDEN, at, DUTY) == [expected], at
            at += timedelta(minutes=30)


@ON_SQLITE
async def test_an_empty_slot_falls_through_to_everybody_and_is_reported_as_a_gap(
    kernel: Governance, parts: Parts
) -> None:
    day = await account(parts, "day", f"duty_staff@{GARDEN}")
    await account(parts, "other", f"duty_staff@{GARDEN}")
    await rota(kernel, GARDEN, "duty_staff", [(range(5), "08:00", "18:00", day)])
    at = local("2026-11-23T20:00")  # a Monday
    assert await on_duty(kernel, GARDEN, at, DUTY) == ["Day", "Other"]
    async with kernel.database.read() as session:
        found = await describe_duty(session, GARDEN, at, BERLIN)
    duty = next(item for item in found.items if item.post == "duty_staff")
    assert (duty.by, duty.rota_name, duty.found_in) == ("gap", f"duty_staff {GARDEN}", GARDEN)
    assert duty.until_at == local("2026-11-24T08:00")
    spans = [(gap.from_at, gap.until_at) for gap in duty.gaps]
    assert spans[0] == (at, local("2026-11-24T08:00"))
    assert (local("2026-11-27T18:00"), local("2026-11-30T08:00")) in spans
    assert next(i for i in found.items if i.post == "patrol").by == "nobody"


@ON_SQLITE
async def test_who_no_longer_holds_the_role_is_not_on_duty_and_leaves_a_gap(
    kernel: Governance, parts: Parts
) -> None:
    leaving = await account(parts, "leaving", f"duty_staff@{GARDEN}")
    await account(parts, "staying", f"duty_staff@{GARDEN}")
    row = await rota(kernel, GARDEN, "duty_staff", [(EVERY_DAY, "00:00", "00:00", leaving)])
    at = local("2026-11-23T12:00")
    assert await on_duty(kernel, GARDEN, at, DUTY) == ["Leaving"]
    await give_roles(parts, leaving, f"patrol@{GARDEN}")
    assert await on_duty(kernel, GARDEN, at, DUTY) == ["Staying"]
    async with kernel.database.read() as session:
        (shown,) = await describe_rotas(session, [row], at, BERLIN)
    assert [slot.holds_post for slot in shown.slots] == [False] * 7
    assert len(shown.gaps) == 1


@ON_SQLITE
async def test_only_who_holds_the_post_there_can_be_put_on_a_rota(
    kernel: Governance, parts: Parts
) -> None:
    wrong = await account(parts, "wrong", f"patrol@{GARDEN}")
    narrow = await account(parts, "narrow", f"duty_staff@{GARDEN}/cell")
    fitting = await account(parts, "fitting", "duty_staff@demo")
    row = await rota(kernel, GARDEN, "duty_staff")
    for who in (wrong, narrow):
        with pytest.raises(InvalidInputError, match=who.display_name) as caught:
            await set_slots(kernel, row, [([0], "08:00", "18:00", who)])
        assert caught.value.code == "not-of-this-post"
        with pytest.raises(InvalidInputError) as caught:
            await override(kernel, row, "2026-11-24T08:00", "2026-11-24T18:00", who.id)
        assert caught.value.code == "not-of-this-post"
    await set_slots(kernel, row, [([0], "08:00", "18:00", fitting)])


async def override(
    kernel: Governance, row: Rota, since: str, until: str, who: UUID, instead: UUID | None = None
) -> UUID:
    body = OverrideIn(
        from_at=local(since), until_at=local(until), account_id=who, replaces_id=instead
    )
    async with kernel.database.transaction() as session:
        return (await kernel.rotas.add_override(session, None, row, body)).id


async def test_an_override_counts_from_to_and_instead_of_whom(
    kernel: Governance, parts: Parts
) -> None:
    usual = await account(parts, "usual", f"duty_staff@{GARDEN}")
    stand_in = await account(parts, "stand-in", f"duty_staff@{GARDEN}")
    extra = await account(parts, "extra", f"duty_staff@{GARDEN}")
    row = await rota(kernel, GARDEN, "duty_staff", [(EVERY_DAY, "08:00", "18:00", usual)])
    change = await override(
        kernel, row, "2026-11-24T10:00", "2026-11-24T12:00", stand_in.id, usual.id
    )
    await override(kernel, row, "2026-11-24T11:00", "2026-11-24T20:00", extra.id)
    expected = {
        "09:59": ["Usual"],
        "10:00": ["Stand-In"],
        "11:00": ["Stand-In", "Extra"],
        "12:00": ["Usual", "Extra"],
        "18:00": ["Extra"],
    }
    for clock, names in expected.items():
        assert await on_duty(kernel, GARDEN, local(f"2026-11-24T{clock}"), DUTY) == names, clock
    # A stand-in who loses the role replaces nobody.
    await give_roles(parts, stand_in)
    assert await on_duty(kernel, GARDEN, local("2026-11-24T10:30"), DUTY) == ["Usual"]
    async with kernel.database.transaction() as session:
        await kernel.rotas.remove_override(session, None, row, change)
    async with kernel.database.read() as session:
        kinds = list(await session.scalars(select(LedgerEntry.kind).order_by(LedgerEntry.seq)))
    assert kinds[-1] == "duty.override_removed"
    assert kinds.count("duty.overridden") == 2


@ON_SQLITE
async def test_overlaps_are_shown_and_not_refused(kernel: Governance, parts: Parts) -> None:
    one = await account(parts, "one", f"duty_staff@{GARDEN}")
    two = await account(parts, "two", f"duty_staff@{GARDEN}")
    row = await rota(
        kernel,
        GARDEN,
        "duty_staff",
        [([6], "20:00", "06:00", one), ([0], "05:00", "09:00", two)],
    )
    async with kernel.database.read() as session:
        (shown,) = await describe_rotas(session, [row], parts.clock.now(), BERLIN)
    (overlap,) = shown.overlaps
    assert (overlap.weekday, overlap.starts, overlap.ends) == (0, "05:00", "06:00")
    assert {person.display_name for person in overlap.accounts} == {"One", "Two"}


async def hand_over(kernel: Governance, row: Rota, who: dict[str, object]) -> HandOver:
    async with kernel.database.transaction() as session:
        return await kernel.hand_overs.offer(session, rota=row, note="quiet", **who)  # type: ignore[arg-type]


async def test_until_both_have_confirmed_both_are_on_duty(kernel: Governance, parts: Parts) -> None:
    parts.clock.jump((local("2026-11-23T17:50") - parts.clock.now()).total_seconds())
    going = await account(parts, "going", f"duty_staff@{GARDEN}")
    coming = await account(parts, "coming", f"duty_staff@{GARDEN}")
    row = await rota(
        kernel,
        GARDEN,
        "duty_staff",
        [(EVERY_DAY, "08:00", "18:00", going), (EVERY_DAY, "18:00", "08:00", coming)],
    )
    incident = await opened(kernel)
    offered = await hand_over(
        kernel, row, {"actor": actor(going), "from_id": going.id, "to_id": coming.id}
    )
    assert [item["number"] for item in offered.open_incidents] == [incident.number]
    both = {"Going", "Coming"}
    assert set(await on_duty(kernel, GARDEN, parts.clock.now(), DUTY)) == both
    # Past the end of the shift, too: nobody has taken it over yet.
    parts.clock.advance(3600)
    assert set(await on_duty(kernel, GARDEN, parts.clock.now(), DUTY)) == both
    async with kernel.database.transaction() as session:
        taken = await kernel.hand_overs.locked(session, offered.id)
        await kernel.hand_overs.take(session, actor(coming), row, taken)
    assert set(await on_duty(kernel, GARDEN, parts.clock.now(), DUTY)) == both
    async with kernel.database.transaction() as session:
        given = await kernel.hand_overs.locked(session, offered.id)
        await kernel.hand_overs.give(session, actor(going), row, given)
        await kernel.hand_overs.give(session, actor(going), row, given)
    assert await on_duty(kernel, GARDEN, parts.clock.now(), DUTY) == ["Coming"]


@ON_SQLITE
async def test_who_took_over_early_has_the_rest_of_the_shift_and_not_the_next_one(
    kernel: Governance, parts: Parts
) -> None:
    parts.clock.jump((local("2026-11-23T12:00") - parts.clock.now()).total_seconds())
    usual = await account(parts, "usual", f"duty_staff@{GARDEN}")
    helper = await account(parts, "helper", f"duty_staff@{GARDEN}")
    row = await rota(kernel, GARDEN, "duty_staff", [(EVERY_DAY, "08:00", "18:00", usual)])
    offered = await hand_over(
        kernel, row, {"actor": actor(helper), "from_id": usual.id, "to_id": helper.id}
    )
    async with kernel.database.transaction() as session:
        found = await kernel.hand_overs.locked(session, offered.id)
        await kernel.hand_overs.give(session, actor(usual), row, found)
        await kernel.hand_overs.take(session, actor(helper), row, found)
    assert await on_duty(kernel, GARDEN, local("2026-11-23T17:59"), DUTY) == ["Helper"]
    assert await on_duty(kernel, GARDEN, local("2026-11-24T12:00"), DUTY) == ["Usual"]
    async with kernel.database.read() as session:
        newest = select(LedgerEntry).order_by(LedgerEntry.seq.desc()).limit(1)
        entry = (await session.scalars(newest)).one()
    assert entry.kind == "duty.handed_over"


@ON_SQLITE
async def test_a_refused_hand_over_changes_nothing_and_says_why(
    kernel: Governance, parts: Parts
) -> None:
    parts.clock.jump((local("2026-11-23T12:00") - parts.clock.now()).total_seconds())
    usual = await account(parts, "usual", f"duty_staff@{GARDEN}")
    other = await account(parts, "other", f"duty_staff@{GARDEN}")
    third = await account(parts, "third", f"duty_staff@{GARDEN}")
    row = await rota(kernel, GARDEN, "duty_staff", [(EVERY_DAY, "08:00", "18:00", usual)])
    mine = {"actor": actor(usual), "from_id": usual.id, "to_id": other.id}
    offered = await hand_over(kernel, row, mine)
    with pytest.raises(ConflictError) as conflict:
        await hand_over(kernel, row, mine)
    assert conflict.value.code == "hand-over-open"
    async with kernel.database.transaction() as session:
        found = await kernel.hand_overs.locked(session, offered.id)
        for step in (kernel.hand_overs.give, kernel.hand_overs.take):
            with pytest.raises(ForbiddenError):
                await step(session, actor(third), row, found)
        await kernel.hand_overs.refuse(session, actor(other), row, found, "a fever")
    assert await on_duty(kernel, GARDEN, parts.clock.now(), DUTY) == ["Usual"]
    async with kernel.database.transaction() as session:
        found = await kernel.hand_overs.locked(session, offered.id)
        assert found.refused_reason == "a fever"
        with pytest.raises(ConflictError):
            await kernel.hand_overs.take(session, actor(other), row, found)
    for wrong, code in (
        ({**mine, "actor": actor(third)}, "not-your-hand-over"),
        ({**mine, "to_id": usual.id}, "hand-over-to-oneself"),
        ({"actor": actor(other), "from_id": other.id, "to_id": usual.id}, "not-on-duty"),
    ):
        with pytest.raises((ConflictError, ForbiddenError, InvalidInputError)) as caught:
            await hand_over(kernel, row, wrong)
        assert caught.value.code == code


def test_times_of_day_are_written_in_full() -> None:
    for text in ("8:00", "24:00", "08:60", "08:00 ", "0800", "０８:００"):
        with pytest.raises(ValueError):
            SlotIn(weekday=0, starts=text, ends="18:00", account_id=UUID(int=1))
