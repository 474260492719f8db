"""Answers to alerts over the API: by link, reply and key; with the rights of this moment."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from access.accounts.models import Account, AccountRole
from api.hub import Hub
from api.links import MISSES
from core.clock import ManualClock
from governance.deliveries.models import Delivery
from governance.incidents.models import Incident, IncidentLog
from tests.api.telling import (
    API,
    alert,
    call_back,
    deliveries,
    link,
    set_up_gateway,
    verified_phone,
)
from tests.governance.support import signal
from tests.support.http import Client, ServiceClient, SignIn


@pytest.fixture
async def gateway(sign_in: SignIn) -> str:
    """Id of a gateway for short messages."""
    admin = await sign_in("administrator")
    return str((await set_up_gateway(admin))["id"])


@pytest.fixture
async def incident_id(service_client: ServiceClient) -> UUID:
    worker = await service_client(["signal.post"])
    answer = await worker.post(f"{API}/signals", json=signal())
    return UUID(answer.json()["incident_id"])


@pytest.fixture
async def staff(hub: Hub, gateway: str, sign_in: SignIn) -> Client:
    """Duty staff with a verified number."""
    assert gateway
    client = await sign_in("duty_staff", "demo/riverside")
    await verified_phone(hub, client)
    return client


async def incident(hub: Hub, incident_id: UUID) -> Incident:
    async with hub.database.read() as session:
        return await hub.governance.incidents.get(session, incident_id)


async def history(hub: Hub) -> list[IncidentLog]:
    async with hub.database.read() as session:
        return list(await session.scalars(select(IncidentLog).order_by(IncidentLog.id)))


async def test_looking_at_a_link_changes_nothing_and_answering_acknowledges(
    hub: Hub, client: Client, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    token = link(hub, row)
    before = await history(hub)
    for _ in range(2):
        seen = await client.get(f"{API}/answers/{token}")
        assert seen.status_code == 200, seen.text
    page = seen.json()
    assert (page["state"], page["name"], page["answer"]) == ("open", staff.username.title(), None)
    assert (page["kind"], page["place"]) == ("intrusion", "jade-garden·Pump house")
    assert (page["zone_name"], page["household_name"]) == ("Pump house", "")
    assert (await incident(hub, incident_id)).acknowledged_at is None
    assert len(await history(hub)) == len(before)

    answer = await client.post(f"{API}/answers/{token}", json={"answer": "seen"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] == "seen"
    found = await incident(hub, incident_id)
    assert found.acknowledged_by_id == staff.account_id
    assert (await client.post(f"{API}/answers/{token}", json={"answer": "seen"})).status_code == 200
    states = {r.state for r in await deliveries(hub) if r.purpose == "alert"}
    assert states == {"cancelled"}


async def test_coming_sets_out_and_says_when(
    hub: Hub, client: Client, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    body = {"answer": "coming", "minutes": 6}
    answer = await client.post(f"{API}/answers/{link(hub, row)}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["eta_at"] == (hub.clock.now() + timedelta(minutes=6)).isoformat().replace(
        "+00:00", "Z"
    )
    found = await incident(hub, incident_id)
    assert (found.progress, found.acknowledged_by_id) == ("going", staff.account_id)


async def test_who_cannot_come_is_rung_no_more_and_the_others_still_are(
    hub: Hub, client: Client, staff: Client, incident_id: UUID, sign_in: SignIn
) -> None:
    other = await sign_in("duty_staff", "demo/riverside")
    await verified_phone(hub, other)
    row = await alert(hub, incident_id, staff.account_id)
    await alert(hub, incident_id, staff.account_id)
    await alert(hub, incident_id, other.account_id)
    answer = await client.post(f"{API}/answers/{link(hub, row)}", json={"answer": "cannot"})
    assert answer.status_code == 200, answer.text
    assert (await incident(hub, incident_id)).acknowledged_at is None
    states = [r.state for r in await deliveries(hub) if r.purpose == "alert"]
    assert states == ["cancelled", "cancelled", "waiting"]
    entry = (await history(hub))[-1]
    assert (entry.action, entry.data["answer"]) == ("answered", "cannot")


async def test_an_answer_has_the_rights_of_this_moment(
    hub: Hub, client: Client, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    url = f"{API}/answers/{link(hub, row)}"
    mine = AccountRole.account_id == staff.account_id
    async with hub.database.transaction() as session:
        await session.execute(update(AccountRole).where(mine).values(area="demo/elsewhere"))
    assert (await client.post(url, json={"answer": "seen"})).status_code == 404
    async with hub.database.transaction() as session:
        await session.execute(update(AccountRole).where(mine).values(area="demo"))
        await session.execute(
            update(Account).where(Account.id == staff.account_id).values(active=False)
        )
    refused = await client.post(url, json={"answer": "coming"})
    assert (refused.status_code, refused.json()["code"]) == (403, "account-closed")
    assert (await incident(hub, incident_id)).acknowledged_at is None


async def test_two_who_answer_are_both_thanked(
    hub: Hub, client: Client, staff: Client, incident_id: UUID, sign_in: SignIn
) -> None:
    other = await sign_in("duty_staff", "demo/riverside")
    await verified_phone(hub, other)
    for who in (other, staff):
        row = await alert(hub, incident_id, who.account_id)
        answer = await client.post(f"{API}/answers/{link(hub, row)}", json={"answer": "seen"})
        assert answer.json()["answer"] == "seen"
    assert (await incident(hub, incident_id)).acknowledged_by_id == other.account_id


async def test_a_link_is_readable_for_a_day_after_the_end_and_answers_nothing(
    hub: Hub, client: Client, clock: ManualClock, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    url = f"{API}/answers/{link(hub, row)}"
    async with hub.database.transaction() as session:
        found = await hub.governance.incidents.locked(session, incident_id)
        found.is_open, found.state, found.closed_at = False, "closed", clock.now()
    late = await client.post(url, json={"answer": "seen"})
    assert (late.status_code, late.json()["code"]) == (409, "answer-too-late")
    assert (await client.get(url)).json()["state"] == "over"
    clock.advance(25 * 3600)
    assert (await client.get(url)).json() == {
        "state": "expired", "headline": "", "kind": "", "severity": "", "status": "",
        "number": "", "place": "", "household_name": "", "camera_name": "", "zone_name": "",
        "opened_at": None, "name": "", "answer": None, "answered_at": None, "eta_at": None,
    }  # fmt: skip


async def test_only_the_hash_of_a_link_is_stored_and_guessing_is_slowed_down(
    hub: Hub, client: Client, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    token = link(hub, row)
    assert len(token) >= 22
    assert token not in str({c.name: getattr(row, c.name) for c in Delivery.__table__.columns})
    for _ in range(MISSES):
        assert (await client.get(f"{API}/answers/x{token}")).status_code == 404
    assert (await client.get(f"{API}/answers/x{token}")).status_code == 429


async def test_replies_and_keys_answer_too(
    hub: Hub, client: Client, gateway: str, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    ref = str(row.provider_key)
    odd = await call_back(hub, client, gateway, type="reply", ref=ref, text="谁在那里？")
    assert odd.json() == {"accepted": True, "code": ""}
    assert (await history(hub))[-1].note == "谁在那里？"
    seen = await call_back(hub, client, gateway, type="reply", ref=ref, text="收到。")
    assert seen.json()["accepted"] is True
    assert (await incident(hub, incident_id)).acknowledged_by_id == staff.account_id
    key = await call_back(hub, client, gateway, type="digit", ref=ref, digit="2")
    assert key.json()["accepted"] is True
    assert (await incident(hub, incident_id)).progress == "going"


async def test_a_forged_an_old_and_a_replayed_callback_are_refused(
    hub: Hub, client: Client, clock: ManualClock, gateway: str, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    url = f"{API}/gateways/{gateway}/callbacks"
    body = {"type": "reply", "ref": str(row.provider_key), "text": "1"}
    forged = await client.post(
        url,
        json=body,
        headers={
            "webhook-id": "m1",
            "webhook-timestamp": str(int(clock.now().timestamp())),
            "webhook-signature": "v1,AAAA",
        },
    )
    assert (forged.status_code, forged.json()["code"]) == (422, "bad-signature")
    assert (await client.post(url, json=body)).json()["code"] == "bad-signature"
    assert (await incident(hub, incident_id)).acknowledged_at is None

    first = await call_back(hub, client, gateway, message_id="m2", **body)
    assert first.json()["accepted"] is True
    replayed = await call_back(hub, client, gateway, message_id="m2", **body)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "callback-repeated")

    unknown = await call_back(hub, client, gateway, type="delivered", ref=str(row.incident_id))
    assert unknown.json()["code"] == "no-such-message"
    nonsense = await call_back(hub, client, gateway, type="explode", ref="x")
    assert nonsense.json()["code"] == "bad-callback"


async def test_a_callback_with_an_old_signature_is_refused(
    hub: Hub, client: Client, clock: ManualClock, gateway: str, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    sent: list[tuple[bytes, dict[str, str]]] = []

    class Keeping:
        async def post(self, _url: str, *, content: bytes, headers: dict[str, str]) -> None:
            sent.append((content, headers))

    body = {"type": "reply", "ref": str(row.provider_key), "text": "1"}
    await call_back(hub, Keeping(), gateway, **body)  # type: ignore[arg-type]
    ((content, headers),) = sent
    clock.advance(301)
    answer = await client.post(
        f"{API}/gateways/{gateway}/callbacks", content=content, headers=headers
    )
    assert answer.json()["code"] == "bad-signature"


async def test_a_provider_that_says_later_that_it_failed_is_followed_by_another_attempt(
    hub: Hub, client: Client, gateway: str, staff: Client, incident_id: UUID
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    async with hub.database.transaction() as session:
        await session.execute(update(Delivery).where(Delivery.id == row.id).values(state="sent"))
    ref = str(row.provider_key)
    answer = await call_back(hub, client, gateway, type="failed", ref=ref, text="no such number")
    assert answer.json() == {"accepted": True, "code": ""}
    first, second = [r for r in await deliveries(hub) if r.purpose == "alert"]
    assert (first.state, first.code, first.detail) == (
        "failed",
        "provider-failed",
        "no such number",
    )
    assert (second.state, second.attempt) == ("waiting", 2)
    again = await call_back(hub, client, gateway, type="failed", ref=ref)
    assert again.json() == {"accepted": False, "code": "too-late"}


async def test_who_was_told_is_listed_without_addresses(
    hub: Hub, staff: Client, incident_id: UUID, sign_in: SignIn
) -> None:
    row = await alert(hub, incident_id, staff.account_id)
    answer = await staff.get(f"{API}/incidents/{incident_id}/deliveries")
    assert answer.status_code == 200, answer.text
    (told,) = [item for item in answer.json()["items"] if item["id"] == str(row.id)]
    assert (told["state"], told["channel"], told["attempt"]) == ("waiting", "sms", 1)
    assert "13800138000" not in answer.text
    stranger = await sign_in("duty_staff", "demo/elsewhere")
    refused = await stranger.get(f"{API}/incidents/{incident_id}/deliveries")
    assert refused.status_code == 404
