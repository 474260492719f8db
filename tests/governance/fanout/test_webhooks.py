"""Webhooks, posted to a real receiver: in order, signed, at least once, and never for ever."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update
from standardwebhooks import Webhook as Signature
from standardwebhooks.webhooks import WebhookVerificationError

from access.ledger.models import LedgerEntry
from access.ledger.service import Ledger
from access.policy.types import Actor
from core.clock import ManualClock, SystemClock
from core.database import Database
from core.errors import InvalidInputError
from core.ids import new_id
from core.outbound import Outbound, OutboundAddressError, OutboundFailedError
from core.secrets import SecretBox
from governance.fanout.cloudevents import cloud_event
from governance.outbox.models import OutboxEvent
from governance.webhooks import repository
from governance.webhooks.models import Webhook
from governance.webhooks.schemas import WebhookCreate, WebhookUpdate
from governance.webhooks.sender import PAUSED_AFTER, WebhookSender
from governance.webhooks.service import Webhooks
from tests.governance.fanout.conftest import Happen, nowhere
from tests.support.receiver import Receiver
from tests.support.waiting import until

ADMIN = Actor(kind="account", id=new_id(), display_name="Admin")


@dataclass
class Post:
    """The post office of a test."""

    database: Database
    clock: ManualClock
    webhooks: Webhooks
    outbound: Outbound
    ledger: Ledger
    box: SecretBox

    def sender(self) -> WebhookSender:
        return WebhookSender(
            self.database,
            self.clock,
            ledger=self.ledger,
            secret_box=self.box,
            outbound=self.outbound,
            at_home=nowhere,
        )

    async def add(self, url: str, **options: object) -> tuple[UUID, str]:
        wanted = WebhookCreate.model_validate({"name": "Town hall", "url": url, **options})
        async with self.database.transaction() as session:
            row, secret = await self.webhooks.create(session, wanted, ADMIN)
            return row.id, secret

    async def row(self, webhook_id: UUID) -> Webhook:
        async with self.database.read() as session:
            return await self.webhooks.get(session, webhook_id)

    async def noted(self) -> list[str]:
        async with self.database.read() as session:
            return list(await session.scalars(select(LedgerEntry.kind).order_by(LedgerEntry.seq)))


@pytest.fixture
async def post(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Post]:
    clock.jump((SystemClock().now() - clock.now()).total_seconds())  # the library verifies by it
    ledger, box = Ledger(clock, tmp_path / "keys"), SecretBox(Fernet.generate_key())
    outbound = Outbound(allow_private=True, timeout_s=5)
    yield Post(database, clock, Webhooks(clock, ledger, box, outbound), outbound, ledger, box)
    await outbound.close()


def ids(receiver: Receiver) -> list[int]:
    """Return the outbox numbers that were received, in order."""
    return [int(orjson.loads(request.body)["sequence"]) for request in receiver.received]


async def test_what_happens_is_posted_in_order_and_signed(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    await happen(2)  # before there was a receiver
    webhook_id, secret = await post.add(receiver.url)
    await happen(120)
    await post.sender().post_due()
    assert len(ids(receiver)) == 120
    assert ids(receiver) == sorted(ids(receiver))
    first = receiver.received[0]
    event = Signature(secret).verify(first.body, first.headers)
    assert event["type"] == "org.camerahub.incident.opened"
    assert event["id"] == first.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        Signature(secret).verify(first.body + b" ", first.headers)
    row = await post.row(webhook_id)
    assert (row.delivered, row.last_error, row.leased_until) == (120, "", None)
    assert secret not in row.sealed_secret


async def test_a_receiver_hears_of_its_types_and_areas_only(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    await post.add(receiver.url, types=["incident.escalated"], area="town/a")
    await happen(area="town/a/b", type="incident.escalated")
    for other in ({"area": "town/ab"}, {"area": "town"}, {"area": "town/a", "type": "x"}):
        await happen(**{"type": "incident.escalated", **other})
    await post.sender().post_due()
    assert [orjson.loads(r.body)["area"] for r in receiver.received] == ["town/a/b"]


@pytest.mark.faults
async def test_a_receiver_that_fails_is_asked_again_later_and_loses_nothing(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    webhook_id, _ = await post.add(receiver.url)
    receiver.answers = [200, 500, 503, 200]
    await happen(3)
    sender = post.sender()
    await sender.post_due()
    row = await post.row(webhook_id)
    assert row.last_error == "500 so it is"
    await sender.post_due()  # not before its time
    assert len(receiver.received) == 2
    for _ in range(2):
        post.clock.advance(60)
        await sender.post_due()
    assert len(set(ids(receiver))) == 3
    row = await post.row(webhook_id)
    assert (row.last_error, row.failing_since, row.delivered) == ("", None, 3)


@pytest.mark.faults
async def test_a_receiver_that_is_silent_for_days_is_paused_and_goes_on_where_it_stopped(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    webhook_id, _ = await post.add("http://127.0.0.1:9/")  # nobody listens there
    await happen(1)
    sender = post.sender()
    await sender.post_due()
    assert (await post.row(webhook_id)).active
    post.clock.advance(PAUSED_AFTER.total_seconds())
    await sender.post_due()
    assert not (await post.row(webhook_id)).active
    assert (await post.noted())[-1] == "webhook.paused"
    async with post.database.transaction() as session:
        row = await post.webhooks.get(session, webhook_id)
        change = WebhookUpdate(url=receiver.url, active=True)
        await post.webhooks.update(session, row, change, ADMIN)
    await sender.post_due()
    assert len(receiver.received) == 1


async def test_one_that_is_gone_is_paused_at_once(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    webhook_id, _ = await post.add(receiver.url)
    receiver.answers = [410]
    await happen(2)
    await post.sender().post_due()
    row = await post.row(webhook_id)
    assert (row.active, len(receiver.received)) == (False, 1)


@pytest.mark.faults
async def test_a_slow_receiver_holds_back_no_other_and_two_processes_do_not_both_post(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    receiver.gate.clear()
    await post.add(f"{receiver.url}/slow")
    await happen(1)
    first = asyncio.create_task(post.sender().post_due())
    await until(lambda: receiver.received)
    await post.sender().post_due()  # the other process finds it leased
    assert len(receiver.received) == 1
    receiver.gate.set()
    await first
    assert len(receiver.received) == 1


@pytest.mark.faults
async def test_while_one_receiver_is_slow_the_others_hear_what_is_new(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    silent = await asyncio.start_server(lambda _r, _w: asyncio.sleep(60), "127.0.0.1", 0)
    host, port = silent.sockets[0].getsockname()[:2]
    await post.add(f"http://{host}:{port}/silent")
    await post.add(receiver.url)
    running = asyncio.create_task(post.sender().run())
    try:
        for count in (1, 2):
            await happen(1)
            await until(lambda count=count: len(receiver.received) == count)
    finally:
        running.cancel()
        silent.close()


@pytest.mark.faults
async def test_a_lease_that_ran_out_is_not_settled_by_its_old_holder(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    webhook_id, _ = await post.add(receiver.url)
    await happen(1)
    receiver.gate.clear()
    late = asyncio.create_task(post.sender().post_due())
    await until(lambda: receiver.received)
    post.clock.advance(timedelta(minutes=5).total_seconds())
    other = new_id()
    async with post.database.transaction() as session:
        now = post.clock.now()
        assert await repository.take(session, webhook_id, other, now, now + timedelta(minutes=1))
    receiver.gate.set()
    await late
    assert (await post.row(webhook_id)).lease_id == other


async def test_what_the_outbox_forgot_is_counted(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    webhook_id, _ = await post.add(receiver.url)
    await happen(3)
    async with post.database.transaction() as session:
        rows = list(await session.scalars(select(OutboxEvent).order_by(OutboxEvent.seq)))
        for row in rows[:2]:
            await session.delete(row)
    await post.sender().post_due()
    row = await post.row(webhook_id)
    assert (row.missed, row.delivered) == (2, 1)


async def test_a_secret_that_cannot_be_opened_holds_back_no_other(
    post: Post, receiver: Receiver, happen: Happen
) -> None:
    poisoned, _ = await post.add(f"{receiver.url}/poisoned")
    await post.add(f"{receiver.url}/sound")
    async with post.database.transaction() as session:
        await session.execute(
            update(Webhook).where(Webhook.id == poisoned).values(sealed_secret="gAAAAA==")
        )
    await happen(1)
    await post.sender().post_due()
    assert [request.path for request in receiver.received] == ["/hook/sound"]
    assert (await post.row(poisoned)).last_error


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https://",
        "https://user:word@example.org/",
        "https://example.org/#f",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.1.1]/",
        "https://example.org:99999/",
        "x" * 10,
    ],
)
async def test_an_address_that_no_receiver_has_is_refused(post: Post, url: str) -> None:
    with pytest.raises(InvalidInputError):
        await post.add(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[::1]", "192.168.0.1", "100.64.0.1"])
async def test_ones_own_network_is_asked_only_where_settings_allow_it(host: str) -> None:
    outbound = Outbound(allow_private=False, timeout_s=1)
    with pytest.raises(OutboundAddressError):
        outbound.check(f"http://{host}/")
    assert Outbound(allow_private=True, timeout_s=1).check(f"http://{host}/")
    await outbound.close()


async def test_a_name_that_leads_into_ones_own_network_is_not_asked(receiver: Receiver) -> None:
    outbound = Outbound(allow_private=False, timeout_s=1)
    with pytest.raises(OutboundAddressError):
        await outbound.post(receiver.url.replace("127.0.0.1", "localhost"), b"", {})
    assert receiver.received == []
    await outbound.close()


async def test_redirects_are_not_followed_and_silence_is_told_from_refusal(
    receiver: Receiver, post: Post
) -> None:
    receiver.answers, receiver.headers = [302], {"Location": receiver.url}
    assert (await post.outbound.post(receiver.url, b"", {})).status == 302
    assert len(receiver.received) == 1
    receiver.gate.clear()
    with pytest.raises(OutboundFailedError) as silent:
        await post.outbound.post(receiver.url, b"", {}, timeout_s=0.2)
    assert silent.value.timed_out
    with pytest.raises(OutboundFailedError) as refused:
        await post.outbound.post("http://127.0.0.1:9/", b"", {})
    assert not refused.value.timed_out


async def test_no_type_or_name_is_taken_that_means_nothing(post: Post) -> None:
    with pytest.raises(InvalidInputError, match="no event of type"):
        await post.add("https://example.org/", types=["person.recognised"])
    with pytest.raises(InvalidInputError, match="name"):
        await post.add("https://example.org/", name=" ")


async def test_where_a_device_was_stays_in_the_hub(clock: ManualClock) -> None:
    place = {"latitude": 31.2, "longitude": 121.5, "accuracy_m": 8}
    row = OutboxEvent(
        seq=1, type="incident.opened", area="town", payload={"location": place},
        created_at=clock.now(), incident_id=new_id(),
    )  # fmt: skip
    assert cloud_event(row)["data"] == {"location": None}
    assert row.payload == {"location": place}
