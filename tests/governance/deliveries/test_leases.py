"""Rows between processes: nobody takes what another has, and what happened is not lost."""

import asyncio

import pytest

from governance.deliveries.chat import _THREADS
from governance.deliveries.models import Delivery
from governance.deliveries.outcome import Outcome
from governance.deliveries.sender import LIMIT, SPARE
from tests.governance.deliveries.conftest import PHONE, World


@pytest.mark.faults
async def test_a_lease_that_expires_while_its_holder_still_runs_doubles_nothing(
    world: World,
) -> None:
    await world.gateway("https://sms.example.org/")
    await world.tell(await world.incident(), [await world.account(sms=PHONE)])
    (held,) = await world.leases().take({}, lane_limit=1, limit=1)
    assert await world.leases().lost() == []
    world.clock.advance(world.leases().seconds + 1)
    other = world.again()
    (lost,) = await other.leases().lost()
    recorder = other.kernel.sender.recorder
    outcome = Outcome("unknown", "sender-lost")
    assert await recorder.record(lost.row, lost.id, outcome, only_sending=True)
    assert await world.states() == ["unknown", "waiting"]
    # The first comes back: what really happened counts, and nothing follows it.
    mine = world.kernel.sender.recorder
    assert await mine.record(held.row, held.id, Outcome("sent", provider_ref="77"))
    first, second = await world.rows()
    assert (first.state, first.provider_ref, second.state) == ("sent", "77", "cancelled")
    assert not await recorder.record(lost.row, lost.id, outcome, only_sending=True)
    assert await world.leases().take({}, lane_limit=1, limit=1) == []


@pytest.mark.faults
async def test_two_senders_never_take_the_same_row(world: World) -> None:
    await world.gateway("https://sms.example.org/")
    incident = await world.incident()
    people = [await world.account(str(n), sms=PHONE) for n in range(20)]
    await world.tell(incident, people)
    taken = await asyncio.gather(
        *(world.leases().take({}, lane_limit=50, limit=8) for _ in range(4))
    )
    ids = [lease.row.id for leases in taken for lease in leases]
    assert len(ids) == len(set(ids)) == 20


async def test_the_most_severe_goes_first(world: World) -> None:
    await world.gateway("https://sms.example.org/")
    li = await world.account(sms=PHONE)
    for number in range(3):
        minor = await world.incident(event_key=f"k{number}", rule=f"r{number}", severity="Minor")
        await world.tell(minor, [li])
    fire = await world.incident(event_key="fire", rule="fire", severity="Extreme")
    await world.tell(fire, [li], purpose="news", round_key="location:1")
    await world.tell(fire, [li])
    taken = await world.leases().take({}, lane_limit=9, limit=3)
    told = [(lease.row.incident_id == fire.id, lease.row.purpose) for lease in taken]
    assert told == [(True, "alert"), (True, "news"), (False, "alert")]


async def test_a_lease_from_the_future_is_lost_too(world: World) -> None:
    await world.gateway("https://sms.example.org/")
    await world.tell(await world.incident(), [await world.account(sms=PHONE)])
    await world.leases().take({}, lane_limit=1, limit=1)
    world.clock.jump(-3600)
    assert len(await world.leases().lost()) == 1


async def test_a_reminder_after_the_clock_was_put_back_is_sent(world: World) -> None:
    """It seems older than the acknowledgement, and was promised knowing of it."""
    await world.gateway("https://sms.example.org/")
    incident = await world.incident()
    await world.acknowledge(incident)
    world.clock.jump(-3600)
    await world.tell(incident, [await world.account(sms=PHONE)], purpose="reminder")
    (lease,) = await world.leases().take({}, lane_limit=1, limit=1)
    assert lease.row.purpose == "reminder"


async def test_the_gateway_hears_a_late_success_from_the_provider(world: World) -> None:
    """Its callback, that is: a row that timed out becomes sent, and is not repeated."""
    await world.gateway("https://sms.example.org/")
    await world.tell(await world.incident(), [await world.account(sms=PHONE)])
    (held,) = await world.leases().take({}, lane_limit=1, limit=1)
    recorder = world.kernel.sender.recorder
    await recorder.record(held.row, held.id, Outcome("unknown", "timeout"))
    async with world.database.transaction() as session:
        row = await session.get(Delivery, held.row.id, with_for_update=True)
        assert row is not None
        await recorder.arrived(session, row)
    assert await world.states() == ["sent", "cancelled"]


async def test_news_never_take_the_room_that_is_kept_for_what_rings(world: World) -> None:
    """Whoever hears news may sit behind many addresses, each of which answers slowly."""
    hosts = [f"https://sms{number}.example.org/" for number in range(2)]
    for number, url in enumerate(hosts):
        await world.gateway(url, ("sms", "voice")[number], name=f"Provider {number}")
    incident = await world.incident(severity="Extreme")
    people = [await world.account(str(n), sms=PHONE) for n in range(9)]
    await world.tell(incident, people, purpose="news", round_key="location:1")
    leases = world.leases()
    taken = await leases.take({}, lane_limit=50, limit=6, spare=2)
    assert [lease.row.purpose for lease in taken] == ["news"] * 4
    lane = taken[0].row.lane
    assert await leases.take({lane: 4}, lane_limit=50, limit=2, spare=2) == []
    await world.tell(incident, [await world.account(voice=PHONE)], channels=("voice",))
    [alert] = await leases.take({lane: 4}, lane_limit=50, limit=2, spare=2)
    assert alert.row.purpose == "alert"


def test_a_dead_provider_of_apprise_takes_no_thread_of_another() -> None:
    assert _THREADS >= LIMIT
    assert 0 < SPARE < LIMIT
