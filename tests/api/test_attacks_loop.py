"""What somebody tries against the closed loop: to silence an alarm, or to learn of one.

Each is an attack that was tried by hand first, or the misuse of a right that somebody has.
"""

import asyncio
import threading
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select

from access.accounts.models import AccountRole
from api import dispatch as dispatch_routes
from api.hub import Hub
from api.links import MISSES
from core.errors import UnavailableError
from core.ids import new_id
from governance.alarms import rates
from governance.deliveries.models import Delivery
from governance.deliveries.types import Recipient
from governance.dispatch import reading
from governance.dispatch.reading import MAX_TEXT
from governance.incidents.models import Incident
from governance.signals.intake import Intake
from tests.api.telling import API, alert, link, set_up_gateway, verified_phone
from tests.api.test_alarms import AREA, Home, a_home, press
from tests.governance.support import signal
from tests.support.http import Client, ServiceClient, SignIn


@pytest.fixture
async def home(hub: Hub, app: FastAPI, sign_in: SignIn) -> Home:
    return await a_home(hub, app, sign_in)


async def pressed(home: Home, kind: str = "fire", **more: Any) -> UUID:
    answer = await home.device.post("/alarms", json=press(kind, **more))
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["incident_id"])


async def test_tests_and_failures_use_up_no_press_in_earnest(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tries the key all day, or while the store is away, is heard when it counts."""
    monkeypatch.setattr(rates, "PRESSES", 10)
    for _ in range(10):
        await pressed(home, "fire", status="Test")
    store = Intake.submit_all

    async def away(*_: Any) -> list[Exception]:
        return [UnavailableError("The store is away.", remedy="Send it again.")]

    monkeypatch.setattr(Intake, "submit_all", away)
    for _ in range(10):
        answer = await home.device.post("/alarms", json=press("fire"))
        assert answer.status_code == 503
    monkeypatch.setattr(Intake, "submit_all", store)
    await pressed(home, "fire")


async def test_an_alarm_cannot_be_rejected_by_way_of_what_it_was_merged_into(
    home: Home, sign_in: SignIn, service_client: ServiceClient
) -> None:
    alarm = await pressed(home)
    worker = await service_client(["signal.post"])
    other = (await worker.post(f"{API}/signals", json=signal(area=AREA))).json()["incident_id"]
    staff = await sign_in("duty_staff", AREA)
    body = {"version": 1, "into_id": other, "reason": "the same"}
    answer = await staff.post(f"{API}/incidents/{alarm}/merge", json=body)
    assert answer.status_code == 200, answer.text
    version = (await staff.get(f"{API}/incidents/{other}")).json()["version"]
    body = {"version": version, "reason": "nothing there"}
    answer = await staff.post(f"{API}/incidents/{other}/reject", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "alarm-not-rejected")


async def test_a_link_shows_nothing_to_whom_the_incident_no_longer_concerns(
    hub: Hub, client: Client, sign_in: SignIn, home: Home
) -> None:
    await set_up_gateway(await sign_in("administrator"))
    staff = await sign_in("duty_staff", AREA)
    await verified_phone(hub, staff)
    token = link(hub, await alert(hub, await pressed(home), staff.account_id))
    assert (await client.get(f"{API}/answers/{token}")).json()["state"] == "open"
    async with hub.database.transaction() as session:
        gone = delete(AccountRole).where(AccountRole.account_id == staff.account_id)
        await session.execute(gone)
    page = (await client.get(f"{API}/answers/{token}")).json()
    assert (page["state"], page["headline"], page["place"], page["name"]) == ("expired", "", "", "")


async def test_a_neighbour_does_not_learn_what_an_alarm_was_merged_into(
    hub: Hub, client: Client, sign_in: SignIn, home: Home, service_client: ServiceClient
) -> None:
    admin = await sign_in("administrator")
    await set_up_gateway(admin)
    answer = await home.member.post(
        f"/households/{home.id}/contacts",
        json={"name": "Zhang", "relation": "neighbour", "phone": "13800138000"},
    )
    assert answer.status_code == 201, answer.text
    contact = UUID(answer.json()["id"])
    consent = hub.governance.delivery_keys.token("contact", str(contact))
    await client.post(f"{API}/contact-consents/{consent}", json={"agree": True})
    alarm = await pressed(home)
    async with hub.database.transaction() as session:
        incident = await hub.governance.incidents.locked(session, alarm)
        await hub.governance.deliveries.queue(
            session,
            incident,
            [Recipient("contact", contact, "Zhang", "zh-CN")],
            channels=["sms"],
            round_key="0.0.ring",
            purpose="alert",
        )
    async with hub.database.read() as session:
        query = select(Delivery).where(
            Delivery.recipient_id == contact, Delivery.purpose == "alert"
        )
        row = (await session.scalars(query)).one()
    worker = await service_client(["signal.post"])
    raw = signal(area=AREA, headline="Somebody stands in the stairwell of number 5")
    other = (await worker.post(f"{API}/signals", json=raw)).json()["incident_id"]
    staff = await sign_in("duty_staff", AREA)
    body = {"version": 1, "into_id": other, "reason": "the same"}
    assert (await staff.post(f"{API}/incidents/{alarm}/merge", json=body)).status_code == 200
    page = (await client.get(f"{API}/answers/{link(hub, row)}")).json()
    assert (page["state"], page["kind"]) == ("open", "alarm_fire")
    assert "stairwell" not in str(page)


async def test_a_link_that_exists_is_never_refused_for_others_who_guess(
    hub: Hub, client: Client, sign_in: SignIn, home: Home
) -> None:
    """Hundreds of telephones share the address of one carrier."""
    await set_up_gateway(await sign_in("administrator"))
    staff = await sign_in("duty_staff", AREA)
    await verified_phone(hub, staff)
    token = link(hub, await alert(hub, await pressed(home), staff.account_id))
    for _ in range(MISSES):
        await client.get(f"{API}/contact-consents/{new_id()}")
    assert (await client.get(f"{API}/answers/x{token}")).status_code == 429
    assert (await client.get(f"{API}/answers/{token}")).status_code == 200
    answer = await client.post(f"{API}/answers/{token}", json={"answer": "seen"})
    assert answer.status_code == 200, answer.text


async def test_an_alarm_that_is_called_off_again_and_again_floods_nobody(
    hub: Hub, sign_in: SignIn, home: Home
) -> None:
    await set_up_gateway(await sign_in("administrator"))
    staff = await sign_in("duty_staff", AREA)
    await verified_phone(hub, staff)
    identity = str(new_id())
    answer = await home.device.post("/alarms", json={"id": identity, "kind": "fire"})
    row = await alert(hub, UUID(answer.json()["incident_id"]), staff.account_id)
    async with hub.database.transaction() as session:
        found = await session.get(Delivery, row.id)
        assert found is not None
        found.state = "sent"
    answers = [
        await home.device.post(f"/alarms/{identity}/cancel", json={"note": f"sorry {n}"})
        for n in range(20)
    ]
    assert {answer.status_code for answer in answers} == {200}
    async with hub.database.read() as session:
        news = await session.scalars(select(Delivery).where(Delivery.purpose == "news"))
        assert len(news.all()) == 3, "the first three; the rest stand in the history"
        incident = (await session.scalars(select(Incident))).one()
    assert incident.is_open


async def test_a_huge_set_of_policies_is_refused_and_read_beside_what_arrives(
    home: Home, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading half a megabyte of YAML took 18 s, in which nothing else was heard."""
    staff = await sign_in("duty_staff", AREA)
    step = {"after_s": 0, "targets": ["duty"], "channels": []}
    policies = [{"id": f"p{n}", "name": "x" * 100, "steps": [step] * 20} for n in range(200)]
    check = f"{API}/dispatch-policies/check"
    for body in ({"policies": policies}, {"text": "# " + "x" * MAX_TEXT}):
        answer = await staff.post(check, json=body)
        assert "longer than" in answer.json()["faults"][0]["message"]
    heard, real = threading.Event(), reading.read_text

    def slow(text: str) -> Any:
        assert heard.wait(30), "nothing else was heard meanwhile"
        return real(text)

    monkeypatch.setattr(dispatch_routes, "read_text", slow)
    checked = asyncio.create_task(staff.post(check, json={"text": "policies: []"}))
    await asyncio.sleep(0)
    await pressed(home)
    heard.set()
    assert (await checked).json()["valid"] is False
