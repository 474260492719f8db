"""The loop that sends, with real gateways: what is tried again, and what is not."""

import asyncio
import json

import pytest
from standardwebhooks import Webhook

from access.accounts.models import Account
from governance.deliveries.models import ContactPoint, Gateway
from governance.deliveries.sender import LANE_LIMIT
from governance.incidents.models import IncidentLog
from governance.outbox.models import OutboxEvent
from tests.governance.deliveries.conftest import PHONE, SECRET, World
from tests.governance.support import rows
from tests.support.receiver import Receiver
from tests.support.waiting import until


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    """One store is enough here; what both have to do alike is in test_leases."""
    return sqlite_url


async def test_a_message_is_handed_to_the_gateway_signed_and_with_a_key(
    world: World, receiver: Receiver
) -> None:
    gateway = await world.gateway(receiver.url)
    incident = await world.incident()
    async with world.sending():
        await world.tell(incident, [await world.account(sms=PHONE)])
        (row,) = await world.until_states("sent")
    (request,) = receiver.received
    signature = request.headers["webhook-signature"]
    assert signature == Webhook(SECRET).sign(str(row.id), world.clock.now(), request.body.decode())
    assert request.headers["idempotency-key"] == str(row.id)
    body = json.loads(request.body)
    assert body["to"] == PHONE
    assert body["language"] == "zh-CN"
    assert body["digits"] == {"1": "seen", "2": "coming"}
    assert body["callback_url"].endswith(f"/api/v1/gateways/{gateway.id}/callbacks")
    assert body["text"].startswith("有人闯入 Pump house 08:00")
    assert "/a/" in body["text"]
    assert PHONE not in str(vars(row))


async def test_a_failure_is_tried_again_later_and_given_up_visibly(
    world: World, receiver: Receiver
) -> None:
    receiver.answers = [503]
    receiver.headers = {"Retry-After": "40"}
    await world.gateway(receiver.url)
    incident = await world.incident()
    async with world.sending():
        await world.tell(incident, [await world.account(sms=PHONE)])
        _, second = await world.until_states("failed", "waiting")
        assert (second.not_before - world.clock.now()).total_seconds() == pytest.approx(40, abs=1)
        world.clock.advance(41)
        await world.until_states("failed", "failed", "waiting")
        world.clock.advance(41)
        *_, last = await world.until_states("failed", "failed", "given_up")
    assert (last.attempt, last.code) == (3, "http-503")
    assert len({request.headers["idempotency-key"] for request in receiver.received}) == 3
    entry = (await rows(world.database, IncidentLog))[-1]
    assert (entry.action, entry.data["recipient"]) == ("undelivered", "Li Na")
    assert (await rows(world.database, OutboxEvent))[-1].payload["change"] == "undelivered"
    (gateway,) = await rows(world.database, Gateway)
    assert gateway.last_error.startswith("http-503")


@pytest.mark.parametrize("status", [400, 401, 404, 302])
async def test_what_stays_wrong_is_not_tried_again(
    world: World, receiver: Receiver, status: int
) -> None:
    receiver.answers = [status]
    receiver.headers = {"Location": receiver.url}
    await world.gateway(receiver.url)
    async with world.sending():
        await world.tell(await world.incident(), [await world.account(sms=PHONE)])
        (row,) = await world.until_states("given_up")
    assert row.code == f"http-{status}"
    assert len(receiver.received) == 1


async def test_the_next_attempt_goes_through_the_next_gateway(
    world: World, receiver: Receiver
) -> None:
    await world.gateway("http://127.0.0.1:1/", name="A dead one")
    good = await world.gateway(receiver.url, name="B good one")
    async with world.sending():
        await world.tell(await world.incident(), [await world.account(sms=PHONE)])
        await world.until_states("failed", "waiting")
        world.clock.advance(10)
        _, row = await world.until_states("failed", "sent")
    assert row.gateway_id == good.id


@pytest.mark.parametrize("timeout_s", [1.5])
async def test_a_provider_that_answers_after_its_timeout_is_not_asked_to_say_it_twice(
    world: World, receiver: Receiver
) -> None:
    receiver.gate.clear()
    await world.gateway(receiver.url)
    async with world.sending():
        await world.tell(await world.incident(), [await world.account(sms=PHONE)])
        first, second = await world.until_states("unknown", "waiting")
        assert second.provider_key == first.provider_key
        receiver.gate.set()
        first, second = await world.until_states("sent", "cancelled")
        assert second.code == "sent-after-all"
        world.clock.advance(100)
        await world.until_states("sent", "cancelled")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("timeout_s", [1.5])
async def test_a_repetition_has_the_key_of_the_first_and_the_same_text(
    world: World, receiver: Receiver
) -> None:
    receiver.gate.clear()
    await world.gateway(receiver.url)
    async with world.sending():
        await world.tell(await world.incident(), [await world.account(sms=PHONE)])
        await world.until_states("unknown", "waiting")
        world.clock.advance(10)
        await until(lambda: _asked(world, receiver, 2))
        receiver.gate.set()
        await until(lambda: _both_sent(world))
    first, second = receiver.received
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body


async def _asked(world: World, receiver: Receiver, times: int) -> bool:
    await world.wake()
    return len(receiver.received) >= times


async def _both_sent(world: World) -> bool:
    return (await world.states())[:2] == ["sent", "sent"]


async def test_acknowledged_while_waiting_is_not_sent(world: World, receiver: Receiver) -> None:
    await world.gateway(receiver.url)
    incident, li = await world.incident(), await world.account(sms=PHONE)
    await world.tell(incident, [li])
    # Seen by the incident alone: the loop looks again before it sends.
    await world.change(type(incident), incident.id, acknowledged_at=world.clock.now())
    async with world.sending():
        (row,) = await world.until_states("cancelled")
        assert row.code == "acknowledged"
        world.clock.advance(5)
        # What is queued after the acknowledgement knows of it.
        await world.tell(incident, [li], purpose="reminder", round_key="progress:1")
        await world.until_states("cancelled", "sent")
    assert len(receiver.received) == 1


async def test_a_retry_of_what_was_acknowledged_meanwhile_is_cancelled(
    world: World, receiver: Receiver
) -> None:
    receiver.answers = [500]
    await world.gateway(receiver.url)
    incident = await world.incident()
    async with world.sending():
        await world.tell(incident, [await world.account(sms=PHONE)])
        await world.until_states("failed", "waiting")
        world.clock.advance(1)
        await world.change(type(incident), incident.id, acknowledged_at=world.clock.now())
        world.clock.advance(30)
        await world.until_states("failed", "cancelled")
    assert len(receiver.received) == 1


async def test_an_alert_that_arrives_after_the_end_is_followed_by_the_end(
    world: World, receiver: Receiver
) -> None:
    receiver.gate.clear()
    await world.gateway(receiver.url)
    incident = await world.incident()
    async with world.sending():
        await world.tell(incident, [await world.account(sms=PHONE)])
        await until(lambda: _asked(world, receiver, 1))
        assert await world.end(incident) == 0
        receiver.gate.set()
        await until(lambda: _asked(world, receiver, 2))
    assert json.loads(receiver.received[1].body)["text"].startswith("已结束，已处置，有人闯入")


async def test_a_dead_gateway_holds_back_no_other(world: World, receiver: Receiver) -> None:
    hanging = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    dead = await world.gateway(f"http://127.0.0.1:{port}/", name="Hanging")
    await world.gateway(receiver.url, "voice", name="Exchange")
    incident = await world.incident()
    many = [await world.account(str(n), sms=PHONE) for n in range(LANE_LIMIT + 4)]
    await world.tell(incident, many)
    async with world.sending():
        await until(lambda: _sending(world, LANE_LIMIT))
        await world.tell(incident, [await world.account(voice=PHONE)], channels=("voice",))
        await until(lambda: _asked(world, receiver, 1))
        waiting = [row for row in await world.rows() if row.state == "waiting"]
        assert {row.gateway_id for row in waiting} == {dead.id}
    hanging.close()


async def _sending(world: World, count: int) -> bool:
    return len([row for row in await world.rows() if row.started_at is not None]) >= count


async def test_an_address_that_cannot_be_read_holds_back_nothing(
    world: World, receiver: Receiver
) -> None:
    await world.gateway(receiver.url)
    incident = await world.incident()
    poisoned, good = await world.account("Poisoned", sms=PHONE), await world.account(sms=PHONE)
    points = await rows(world.database, ContactPoint)
    bad = next(point for point in points if point.account_id == poisoned.id)
    await world.change(ContactPoint, bad.id, address_sealed="no such thing")
    async with world.sending():
        await world.tell(incident, [poisoned, good])
        found = await world.until_states("given_up", "sent")
    assert [row.code for row in found] == ["unreadable-address", ""]


async def test_a_gateway_inside_of_the_own_network_is_not_asked(
    world: World, receiver: Receiver
) -> None:
    await world.gateway(receiver.url)
    closed = world.parts.settings.deliveries.model_copy(update={"allow_private": False})
    world.parts.settings = world.parts.settings.model_copy(update={"deliveries": closed})
    other = world.again()
    async with other.sending():
        await world.tell(await world.incident(), [await world.account(sms=PHONE)])
        (row,) = await world.until_states("given_up")
    assert row.code == "address-refused"
    assert receiver.received == []


async def test_a_closed_account_and_an_ended_gateway_are_told_nothing(
    world: World, receiver: Receiver
) -> None:
    gateway = await world.gateway(receiver.url)
    incident = await world.incident()
    closed, li = await world.account("Gone", sms=PHONE), await world.account(sms=PHONE)
    await world.tell(incident, [closed, li])
    await world.change(Account, closed.id, active=False)
    await world.change(Gateway, gateway.id, active=False)
    async with world.sending():
        first, second = await world.until_states("cancelled", "given_up")
    assert (first.code, second.code) == ("account-closed", "gateway-gone")


async def test_a_clock_that_was_put_back_holds_nothing_back(
    world: World, receiver: Receiver
) -> None:
    await world.gateway(receiver.url)
    await world.tell(await world.incident(), [await world.account(sms=PHONE)])
    world.clock.jump(-3600)
    async with world.sending():
        await world.until_states("sent")
