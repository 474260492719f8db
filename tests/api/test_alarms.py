"""The one-key alarm over HTTP: pressed, followed, located, called off; on both stores."""

from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from access.ledger.models import LedgerEntry
from api.hub import Hub
from core.clock import ManualClock
from core.ids import new_id
from governance.alarms.models import AlarmDevice
from governance.deliveries.models import Delivery
from governance.deliveries.types import Recipient
from governance.incidents.models import Incident, IncidentLog
from governance.signals.models import Signal
from tests.support.http import ASGI_ORIGIN, Client, ServiceClient, SignIn

AREA = "demo/riverside/jade-garden"
HOUSEHOLD = "Building 3, Flat 1204"

both_stores = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)


@dataclass
class Home:
    """A household, its member signed in, and the device that the member has let in."""

    id: str
    member: Client
    device_id: str
    device: httpx.AsyncClient


def client_of(app: FastAPI, token: str) -> httpx.AsyncClient:
    """A client that shows a device's token."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url=f"{ASGI_ORIGIN}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    )


async def a_home(hub: Hub, app: FastAPI, sign_in: SignIn, name: str = HOUSEHOLD) -> Home:
    member = await sign_in("resident", AREA)
    member.base_url = httpx.URL(f"{ASGI_ORIGIN}/api/v1")
    async with hub.database.transaction() as session:
        household = await hub.households.create(session, None, name=name, area=AREA)
        await hub.households.add_member(
            session, None, household, username=member.username, cameras=0
        )
    made = await member.post(
        f"/households/{household.id}/alarm-devices", json={"kind": "phone", "name": "Li's phone"}
    )
    assert made.status_code == 201, made.text
    body = made.json()
    return Home(str(household.id), member, body["device"]["id"], client_of(app, body["token"]))


@pytest.fixture
async def home(hub: Hub, app: FastAPI, sign_in: SignIn) -> Home:
    return await a_home(hub, app, sign_in)


def press(kind: str = "medical", **more: Any) -> dict[str, Any]:
    return {"id": str(new_id()), "kind": kind, **more}


async def in_store(hub: Hub, table: type[Any]) -> list[Any]:
    async with hub.database.read() as session:
        return list(await session.scalars(select(table).order_by(*table.__table__.primary_key)))


@both_stores
async def test_a_press_is_received_once_and_again_with_the_same_answer(
    hub: Hub, home: Home
) -> None:
    pressed = press("fire", pressed_at=hub.clock.now().isoformat(), held=True)
    first = await home.device.post("/alarms", json=pressed)
    assert first.status_code == 201, first.text
    again = await home.device.post("/alarms", json=pressed)
    assert (again.status_code, again.json()) == (200, first.json())
    alarm = first.json()
    assert (alarm["id"], alarm["kind"], alarm["open"]) == (pressed["id"], "fire", True)
    assert [step["step"] for step in alarm["steps"]] == ["received"]
    assert alarm["device_id"] == home.device_id
    (incident,) = await in_store(hub, Incident)
    assert incident.headline == f"Fire alarm: {HOUSEHOLD}"
    assert (incident.kind, incident.area, str(incident.household_id)) == (
        "alarm_fire", AREA, home.id)  # fmt: skip
    (signal,) = await in_store(hub, Signal)
    assert signal.source == f"/devices/{home.device_id}"
    assert signal.payload["data"]["held"] is True


@both_stores
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("medical", {}),
        ("security", {"pressed_at": "here", "status": "Exercise"}),
        ("fire", {"pressed_at": "far away"}),
        ("medical", {"pressed_at": "yesterday", "status": "test", "location": "at home"}),
    ],
)
async def test_the_answer_to_a_press_is_what_reading_it_gives(
    hub: Hub, home: Home, kind: str, more: dict[str, Any]
) -> None:
    """Also by a clock that is wrong or of another zone; nothing is read for the answer."""
    here = hub.clock.now().astimezone(timezone(timedelta(hours=8))) - timedelta(microseconds=1)
    moments = {"here": here, "far away": here + timedelta(days=400)}
    if (moment := moments.get(more.get("pressed_at", ""))) is not None:
        more = {**more, "pressed_at": moment.isoformat()}
    pressed = press(kind, **more)
    answer = await home.device.post("/alarms", json=pressed)
    assert answer.status_code == 201, answer.text
    read = await home.device.get(f"/alarms/{pressed['id']}")
    assert (read.status_code, read.json()) == (200, answer.json())
    assert answer.headers["content-type"] == "application/json"


@both_stores
async def test_what_a_device_adds_never_refuses_its_alarm(hub: Hub, home: Home) -> None:
    """A wrong clock, an impossible place, words nobody knows: dropped with a warning, and told."""
    far = hub.clock.now() + timedelta(days=400)
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"pressed_at": far.isoformat()}, ["clock_off"]),
        ({"pressed_at": "1970-01-01T00:00:00Z"}, ["clock_off"]),
        ({"pressed_at": "yesterday", "held": "very"}, ["pressed_at_unread"]),
        ({"location": {"latitude": 91, "longitude": 0}}, ["location_dropped"]),
        ({"location": "at home", "colour": "red"}, ["location_dropped"]),
        ({"status": "actual"}, []),
    ]
    for more, warnings in cases:
        pressed = press("medical", **more)
        answer = await home.device.post("/alarms", json=pressed)
        assert (answer.status_code, answer.json()["warnings"]) == (201, warnings), more
    signals = await in_store(hub, Signal)
    assert signals[0].occurred_at == hub.clock.now()
    assert signals[0].payload["data"]["pressed_at"] == far.isoformat()
    (incident,) = await in_store(hub, Incident)
    assert (incident.signal_count, incident.location) == (len(cases), None)


async def test_what_nobody_could_understand_is_refused_and_says_how_to_do_it(
    hub: Hub, home: Home
) -> None:
    for body, field in (
        ({"kind": "earthquake", "id": str(new_id())}, "kind"),
        ({"kind": "fire", "id": "7"}, "id"),
        ({"kind": "fire", "id": str(new_id()), "status": "Perhaps"}, "status"),
        ({"kind": "fire"}, "id"),
    ):
        answer = await home.device.post("/alarms", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "invalid-alarm"), body
        assert [error["field"] for error in problem["errors"]] == [field]
        assert problem["remedy"]
    for content, status in ((b"{", 422), (b"[]", 422), (b'"' + b"x" * 70_000 + b'"', 413)):
        answer = await home.device.post("/alarms", content=content)
        assert answer.status_code == status
    assert await in_store(hub, Signal) == []


async def test_a_tiny_device_may_leave_out_the_id_with_an_idempotency_key(
    hub: Hub, home: Home
) -> None:
    keyed = {"Idempotency-Key": "boot 17, press 4"}
    first = await home.device.post("/alarms", json={"kind": "security"}, headers=keyed)
    again = await home.device.post("/alarms", json={"kind": "security"}, headers=keyed)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = {"Idempotency-Key": "boot 17, press 5"}
    joined = await home.device.post("/alarms", json={"kind": "security"}, headers=other)
    assert joined.status_code == 201
    assert joined.json()["incident_id"] == first.json()["incident_id"]
    assert len(await in_store(hub, Signal)) == 2


async def test_a_repetition_that_knows_more_is_the_same_press(hub: Hub, home: Home) -> None:
    pressed = press("fire")
    assert (await home.device.post("/alarms", json=pressed)).status_code == 201
    place = {"latitude": 30.52, "longitude": 114.31, "accuracy_m": 12}
    again = await home.device.post("/alarms", json={**pressed, "location": place})
    assert again.status_code == 200
    (incident,) = await in_store(hub, Incident)
    assert (incident.location["latitude"], incident.signal_count) == (30.52, 1)
    # Another alarm under an id that was used is nothing that could be received silently.
    reused = await home.device.post("/alarms", json={**pressed, "kind": "medical"})
    assert (reused.status_code, reused.json()["code"]) == (409, "signal-id-reused")


async def test_only_a_device_in_use_of_a_household_that_lives_there_presses(
    hub: Hub, app: FastAPI, home: Home, service_client: ServiceClient, sign_in: SignIn
) -> None:
    forged = client_of(app, "chub_" + "A" * 43)
    assert (await forged.post("/alarms", json=press())).status_code == 401
    area = await service_client(["alarm.press", "signal.post"], "")
    assert (await area.post("/api/v1/alarms", json=press())).status_code == 403
    assert (await home.member.post("/alarms", json=press())).status_code == 403
    removed = await home.member.delete(f"/households/{home.id}/alarm-devices/{home.device_id}")
    assert removed.status_code == 204
    assert (await home.device.post("/alarms", json=press())).status_code == 401
    assert await in_store(hub, Signal) == []
    other = await a_home(hub, app, sign_in, "Building 4, Flat 2")
    admin = await sign_in("administrator")
    await admin.post(f"/api/v1/households/{other.id}/close")
    assert (await other.device.post("/alarms", json=press())).status_code == 401
    async with hub.database.read() as session:
        kinds = list(await session.scalars(select(LedgerEntry.kind).order_by(LedgerEntry.seq)))
    assert kinds.count("device.paired") == 2
    assert kinds.count("device.removed") == 2


async def test_a_device_that_presses_without_end_is_slowed_down_and_never_at_its_first(
    hub: Hub, home: Home, clock: ManualClock
) -> None:
    for _ in range(60):
        assert (await home.device.post("/alarms", json=press("fire"))).status_code == 201
    refused = await home.device.post("/alarms", json=press("fire"))
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-presses")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert (await home.device.post("/alarms", json=press("medical"))).status_code == 201
    clock.advance(61)
    assert (await home.device.post("/alarms", json=press("fire"))).status_code == 201


async def steps(home: Home, alarm_id: str) -> list[tuple[str, str]]:
    found = (await home.device.get(f"/alarms/{alarm_id}")).json()["steps"]
    return [(step["step"], step["by"]) for step in found]


async def test_the_ladder_says_what_people_did(
    hub: Hub, home: Home, sign_in: SignIn, clock: ManualClock
) -> None:
    pressed = press("medical")
    alarm_id = pressed["id"]
    assert (await home.device.get(f"/alarms/{alarm_id}")).status_code == 404
    made = (await home.device.post("/alarms", json=pressed)).json()
    incident = f"/api/v1/incidents/{made['incident_id']}"
    duty = await sign_in("supervisor", AREA)
    duty_name = duty.username.title()

    async def act(step: str, **body: Any) -> None:
        now = (await duty.get(incident)).json()
        answer = await duty.post(f"{incident}/{step}", json={"version": now["version"], **body})
        assert answer.status_code == 200, answer.text

    assert await steps(home, alarm_id) == [("received", "")]
    await act("acknowledge")
    await duty.post(f"{incident}/progress", json={"progress": "going", "minutes": 5})
    clock.advance(60)
    found = (await home.device.get(f"/alarms/{alarm_id}")).json()
    assert [s["step"] for s in found["steps"]] == ["received", "seen", "coming"]
    coming = found["steps"][2]
    assert coming["eta_at"] > coming["at"]
    await duty.post(f"{incident}/progress", json={"progress": "arrived"})
    who = [("received", ""), *((step, duty_name) for step in ("seen", "coming", "arrived"))]
    assert await steps(home, alarm_id) == who
    await act("handle")
    await act("close", note="All well.", resolution="handled")
    assert await steps(home, alarm_id) == [*who, ("closed", duty_name)]
    await act("reopen", reason="It hurts again.")
    found = (await home.device.get(f"/alarms/{alarm_id}")).json()
    assert found["open"] is True
    assert [s["step"] for s in found["steps"]] == ["received", "seen"]
    assert "reopened" in [news["what"] for news in found["news"]]


async def test_following_costs_nothing_while_nothing_changes(home: Home, sign_in: SignIn) -> None:
    pressed = press("fire")
    made = (await home.device.post("/alarms", json=pressed)).json()
    first = await home.device.get(f"/alarms/{pressed['id']}")
    known = {"If-None-Match": first.headers["ETag"]}
    assert (await home.device.get(f"/alarms/{pressed['id']}", headers=known)).status_code == 304
    duty = await sign_in("duty_staff", AREA)
    await duty.post(f"/api/v1/incidents/{made['incident_id']}/acknowledge", json={"version": 1})
    changed = await home.device.get(f"/alarms/{pressed['id']}", headers=known)
    assert (changed.status_code, changed.headers["ETag"] != first.headers["ETag"]) == (200, True)


async def test_calling_it_off_is_a_message_and_the_alarm_stays_open(hub: Hub, home: Home) -> None:
    pressed = press("security")
    await home.device.post("/alarms", json=pressed)
    for _ in range(2):  # said twice with the same words, it is the same message
        answer = await home.device.post(
            f"/alarms/{pressed['id']}/cancel", json={"note": "It was the cat."}
        )
        assert answer.status_code == 200
    found = answer.json()
    assert (found["open"], found["cancel_asked_at"] is not None) == (True, True)
    assert [news["what"] for news in found["news"]] == ["cancel_asked"]
    asked = [e for e in await in_store(hub, IncidentLog) if e.action == "cancel_asked"]
    assert [entry.data["note"] for entry in asked] == ["It was the cat."]
    (incident,) = await in_store(hub, Incident)
    assert incident.is_open
    chinese = await home.device.get(
        f"/alarms/{pressed['id']}", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}
    )
    assert "报警" in chinese.json()["news"][0]["text"]


async def test_a_place_may_come_later_and_must_lie_on_earth(hub: Hub, home: Home) -> None:
    pressed = press("medical")
    await home.device.post("/alarms", json=pressed)
    path = f"/alarms/{pressed['id']}/location"
    for wrong in ({"latitude": 90.1, "longitude": 0}, {"latitude": "north", "longitude": 0}, {}):
        assert (await home.device.post(path, json=wrong)).status_code == 422
    answer = await home.device.post(path, json={"latitude": -33.9, "longitude": 151.2})
    assert [news["what"] for news in answer.json()["news"]] == ["location"]
    (incident,) = await in_store(hub, Incident)
    assert (incident.location["latitude"], incident.location["at"]) == (
        -33.9, hub.clock.now().isoformat())  # fmt: skip


async def test_who_lives_there_follows_and_nobody_elses_household_does(
    hub: Hub, app: FastAPI, home: Home, sign_in: SignIn
) -> None:
    other = await a_home(hub, app, sign_in, "Building 4, Flat 2")
    pressed = press("fire")
    await home.device.post("/alarms", json=pressed)
    await home.device.post("/alarms", json=press("fire"))
    own = (await home.member.get(f"/households/{home.id}/alarms")).json()
    assert [alarm["id"] for alarm in own] == [pressed["id"]]
    assert [news["what"] for news in own[0]["news"]] == ["pressed_again"]
    assert (await home.device.get("/alarms")).json() == own
    for stranger in (other.member, other.device):
        assert (await stranger.get("/alarms")).json() == []
        assert (await stranger.get(f"/alarms/{pressed['id']}")).status_code == 404
        assert (await stranger.post(f"/alarms/{pressed['id']}/cancel", json={})).status_code == 404
        assert (await stranger.get(f"/households/{home.id}/alarms")).status_code in {403, 404}


async def test_a_test_press_is_remembered_and_due_again_after_a_month(
    hub: Hub, home: Home, clock: ManualClock
) -> None:
    me = (await home.device.get("/alarm-devices/me")).json()
    assert (me["household"], me["tested_at"], me["test_due"]) == (
        {"name": HOUSEHOLD, "area": AREA}, None, False)  # fmt: skip
    clock.advance(31 * 86400)
    assert (await home.device.get("/alarm-devices/me")).json()["test_due"] is True
    answer = await home.device.post("/alarms", json=press("medical", status="Test"))
    assert answer.json()["status"] == "Test"
    me = (await home.device.get("/alarm-devices/me")).json()
    assert (me["test_due"], me["tested_at"] is not None) == (False, True)
    (incident,) = await in_store(hub, Incident)
    assert incident.status == "test"
    assert [device.tested_at for device in await in_store(hub, AlarmDevice)] == [clock.now()]


async def test_an_alarm_that_was_merged_is_followed_where_it_is_dealt_with(
    hub: Hub, home: Home, sign_in: SignIn
) -> None:
    fire, medical = press("fire"), press("medical")
    into = (await home.device.post("/alarms", json=fire)).json()
    merged = (await home.device.post("/alarms", json=medical)).json()
    duty = await sign_in("duty_staff", AREA)
    path = "/api/v1/incidents"
    answer = await duty.post(
        f"{path}/{merged['incident_id']}/merge",
        json={"version": 1, "into_id": into["incident_id"], "reason": "One flat, one call."},
    )
    assert answer.status_code == 200, answer.text
    now = (await duty.get(f"{path}/{into['incident_id']}")).json()
    body = {"version": now["version"]}
    await duty.post(f"{path}/{into['incident_id']}/acknowledge", json=body)
    found = (await home.device.get(f"/alarms/{medical['id']}")).json()
    assert (found["open"], found["number"], found["kind"]) == (True, into["number"], "medical")
    assert [s["step"] for s in found["steps"]] == ["received", "seen"]
    assert "merged" in [news["what"] for news in found["news"]]
    await home.device.post(f"/alarms/{medical['id']}/cancel", json={})
    asked = [e for e in await in_store(hub, IncidentLog) if e.action == "cancel_asked"]
    assert [str(entry.incident_id) for entry in asked] == [into["incident_id"]]
    now = (await duty.get(f"{path}/{merged['incident_id']}")).json()
    answer = await duty.post(
        f"{path}/{merged['incident_id']}/unmerge",
        json={"version": now["version"], "reason": "Two people."},
    )
    assert answer.status_code == 200, answer.text
    found = (await home.device.get(f"/alarms/{medical['id']}")).json()
    assert (found["number"], found["cancel_asked_at"]) == (merged["number"], None)
    assert [s["step"] for s in found["steps"]] == ["received"]


async def test_those_who_were_told_hear_that_it_was_called_off(hub: Hub, home: Home) -> None:
    made = (await home.device.post("/alarms", json=(pressed := press("fire")))).json()
    async with hub.database.transaction() as session:
        incident = await hub.governance.incidents.locked(session, UUID(made["incident_id"]))
        neighbour = Recipient("contact", new_id(), "Wang Fang", "zh-CN")
        await hub.governance.deliveries.queue(
            session, incident, [neighbour], channels=("sms",), round_key="0", purpose="alert"
        )
        await session.execute(update(Delivery).values(state="sent"))
    for _ in range(2):
        await home.device.post(f"/alarms/{pressed['id']}/cancel", json={"note": "Toast."})
    news = [row for row in await in_store(hub, Delivery) if row.purpose == "news"]
    assert {(row.recipient_name, row.round_key.partition(":")[0]) for row in news} == {
        ("Wang Fang", "cancel_asked")
    }
    # One message, by each of the ways tried; said again with the same words it is no second one.
    assert len({row.round_key for row in news}) == 1
