"""Household contacts over the API: asked once, told once they agree, until they withdraw."""

from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.contacts import repository as contacts
from governance.deliveries.models import ContactPoint
from governance.incidents.models import Incident, IncidentLog
from tests.api.telling import API, deliveries, link, set_up_gateway
from tests.support.http import ASGI_ORIGIN, Client, SignIn

AREA = "demo/riverside/jade-garden"
PHONE = "+86 139 1234 5678"


@dataclass
class Home:
    id: UUID
    member: Client
    admin: Client

    @property
    def url(self) -> str:
        return f"{API}/households/{self.id}/contacts"


@pytest.fixture
async def home(hub: Hub, sign_in: SignIn) -> Home:
    """A household with one member, and a gateway for short messages."""
    member, admin = await sign_in("resident", AREA), await sign_in("administrator")
    async with hub.database.transaction() as session:
        household = await hub.households.create(session, None, name="3栋201", area=AREA)
        await hub.households.add_member(
            session, None, household, username=member.username, cameras=0
        )
    await set_up_gateway(admin)
    return Home(household.id, member, admin)


async def named(home: Home, **more: str) -> dict[str, str]:
    body = {"name": "王阿姨", "relation": "邻居", "phone": PHONE, **more}
    answer = await home.member.post(home.url, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def consent(hub: Hub, contact: dict[str, str]) -> str:
    return f"{API}/contact-consents/{hub.governance.delivery_keys.token('contact', contact['id'])}"


async def press(hub: Hub, app: FastAPI, home: Home) -> UUID:
    """Press the household's alarm, and fan out."""
    made = await home.member.post(
        f"{API}/households/{home.id}/alarm-devices", json={"kind": "phone", "name": "Phone"}
    )
    transport = httpx.ASGITransport(app=app)
    token = made.json()["token"]
    async with httpx.AsyncClient(
        transport=transport, base_url=ASGI_ORIGIN, headers={"Authorization": f"Bearer {token}"}
    ) as device:
        body = {"id": str(new_id()), "kind": "fire", "pressed_at": hub.clock.now().isoformat()}
        answer = await device.post(f"{API}/alarms", json=body)
    assert answer.status_code == 201, answer.text
    await hub.governance.timers.fire_due()
    async with hub.database.read() as session:
        incident = (await session.scalars(select(Incident))).one()
    return incident.id


async def test_a_contact_is_asked_once_and_told_nothing_else_until_it_agrees(
    hub: Hub, app: FastAPI, client: Client, home: Home
) -> None:
    contact = await named(home, email="wang@example.org")
    assert contact["state"] == "asked"
    ways = sorted((way["channel"], way["address"]) for way in contact["ways"])  # type: ignore[index]
    assert ways == [("email", "w•••@example.org"), ("sms", "•••5678"), ("voice", "•••5678")]
    (asked,) = await deliveries(hub)
    assert (asked.purpose, asked.channel, asked.incident_id) == ("consent", "sms", None)

    await press(hub, app, home)
    to_contact = [r for r in await deliveries(hub) if r.recipient_kind == "contact"]
    assert [r.purpose for r in to_contact] == ["consent"]

    page = (await client.get(consent(hub, contact))).json()
    assert (page["state"], page["household"], page["name"]) == ("asked", "3栋201", "王阿姨")
    async with hub.database.read() as session:
        assert await contacts.agreed(session, home.id) == []
    agreed = await client.post(consent(hub, contact), json={"agree": True})
    assert agreed.json()["state"] == "agreed"
    async with hub.database.read() as session:
        (recipient,) = await contacts.agreed(session, home.id)
    assert (recipient.kind, recipient.name) == ("contact", "王阿姨")
    (listed,) = (await home.member.get(home.url)).json()["items"]
    assert listed["state"] == "agreed"


async def test_what_a_contact_answers_is_written_down_and_stops_nobody_elses_ringing(
    hub: Hub, app: FastAPI, client: Client, home: Home, sign_in: SignIn
) -> None:
    contact = await named(home)
    await client.post(consent(hub, contact), json={"agree": True})
    incident_id = await press(hub, app, home)
    rows = await deliveries(hub)
    alerts = [r for r in rows if r.recipient_kind == "contact" and r.purpose == "alert"]
    assert alerts, [(r.recipient_kind, r.purpose, r.channel, r.code) for r in rows]
    url = f"{API}/answers/{link(hub, alerts[0])}"
    page = (await client.get(url)).json()
    assert (page["place"], page["number"]) == ("3栋201", "")
    answer = await client.post(url, json={"answer": "coming", "minutes": 5})
    assert answer.status_code == 200, answer.text
    async with hub.database.read() as session:
        incident = await hub.governance.incidents.get(session, incident_id)
        log = (await session.scalars(select(IncidentLog).order_by(IncidentLog.id))).all()
    assert incident.acknowledged_at is None
    assert (log[-1].action, log[-1].actor_name) == ("contact_answered", "王阿姨")
    assert (log[-1].data["answer"], log[-1].data["minutes"]) == ("coming", 5)
    mine = [r for r in await deliveries(hub) if r.id == alerts[0].id]
    assert (mine[0].state, mine[0].answer) == ("cancelled", "coming")

    # Somebody on duty sees it: the contact hears that, once, and nothing rings any more.
    staff = await sign_in("duty_staff", AREA)
    seen = await staff.post(
        f"{API}/incidents/{incident_id}/acknowledge", json={"version": incident.version}
    )
    assert seen.status_code == 200, seen.text
    news = [r for r in await deliveries(hub) if r.purpose == "news"]
    assert [(r.recipient_kind, r.about["by"]) for r in news] == [
        ("contact", staff.username.title())
    ]


async def test_who_withdraws_is_told_nothing_more_at_once(
    hub: Hub, app: FastAPI, client: Client, home: Home
) -> None:
    contact = await named(home)
    await client.post(consent(hub, contact), json={"agree": True})
    await press(hub, app, home)
    alert = next(r for r in await deliveries(hub) if r.purpose == "alert")
    withdrawn = await client.post(consent(hub, contact), json={"agree": False})
    assert withdrawn.json()["state"] == "withdrawn"
    states = {r.code for r in await deliveries(hub) if r.purpose == "alert"}
    assert "withdrawn" in states
    refused = await client.post(f"{API}/answers/{link(hub, alert)}", json={"answer": "seen"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not-a-contact")
    again = await client.post(consent(hub, contact), json={"agree": True})
    assert again.json()["state"] == "agreed"
    async with hub.database.read() as session:
        told = (await session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq))).all()
    entries = [entry for entry in told if entry.kind.startswith("contact.")]
    assert [entry.kind for entry in entries] == [
        "contact.named", "contact.agreed", "contact.withdrawn", "contact.agreed"]  # fmt: skip
    # A ledger forgets nothing, and a contact has asked for nothing: it is there by number.
    assert not [entry for entry in entries if "王阿姨" in entry.body or "邻居" in entry.body]
    assert all(str(contact["id"]) in entry.body for entry in entries)


async def test_a_declined_request_and_a_removed_contact(
    hub: Hub, client: Client, home: Home
) -> None:
    contact = await named(home)
    declined = await client.post(consent(hub, contact), json={"agree": False})
    assert declined.json()["state"] == "declined"
    removed = await home.member.delete(f"{home.url}/{contact['id']}")
    assert removed.status_code == 204
    assert (await client.get(consent(hub, contact))).json() == {
        "state": "removed", "household": "", "name": "", "relation": "", "locale": "",
        "asked_at": None, "agreed_at": None,
    }  # fmt: skip
    late = await client.post(consent(hub, contact), json={"agree": True})
    assert (late.status_code, late.json()["code"]) == (409, "contact-removed")
    async with hub.database.read() as session:
        assert (await session.scalars(select(ContactPoint))).all() == []
    assert [r.state for r in await deliveries(hub)] == ["cancelled"]


async def test_contacts_are_the_households_own_business(
    hub: Hub, home: Home, sign_in: SignIn, clock: ManualClock
) -> None:
    for role in ("resident", "duty_staff", "supervisor"):
        stranger = await sign_in(role, AREA)
        answer = await stranger.get(home.url)
        assert answer.status_code in {403, 404}, role
    assert (await home.admin.get(home.url)).status_code == 403
    nobody = await home.member.post(home.url, json={"name": "X"})
    assert nobody.json()["code"] == "invalid-input"
    wrong = await home.member.post(home.url, json={"name": "X", "phone": "call me"})
    assert wrong.json()["code"] == "bad-contact-address"
    by_mail = await home.member.post(home.url, json={"name": "X", "email": "x@example.org"})
    assert (by_mail.status_code, by_mail.json()["code"]) == (409, "no-gateway")
    for _ in range(8):
        await named(home)
    full = await home.member.post(home.url, json={"name": "X", "phone": PHONE})
    assert full.json()["code"] == "too-many-contacts"
    items = (await home.member.get(home.url)).json()["items"]
    for item in items[:5]:
        await home.member.delete(f"{home.url}/{item['id']}")
    for _ in range(4):
        await named(home)
    flood = await home.member.post(home.url, json={"name": "X", "phone": PHONE})
    assert (flood.status_code, flood.json()["code"]) == (429, "too-many-requests-for-consent")
    clock.advance(31 * 86400)
