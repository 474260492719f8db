"""Homes over HTTP and WebSocket: open by consent only, and closed again at once."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import websockets
from sqlalchemy import select, text

from access.ledger.models import LedgerEntry
from api import guards
from api.door import CSRF_HEADER
from camera_hub.devices.models import Camera
from core.clock import ManualClock
from core.ids import new_id
from tests.governance.support import attachment, picture, signal
from tests.support.http import Client, ServiceClient, SignIn
from tests.support.live import AREA, WAIT_S, WHY, Scene, closed, receive_media

pytestmark = pytest.mark.consent


@dataclass
class Home:
    """A household whose one member is signed in, and whose camera is being read."""

    scene: Scene
    id: UUID
    member: Client
    admin: Client
    sensor: Client

    @property
    def camera(self) -> str:
        return f"/api/v1/cameras/{self.scene.camera_id}"

    async def give(self, **values: Any) -> dict[str, Any]:
        body = {"camera_id": str(self.scene.camera_id), **values}
        answer = await self.member.post("/api/v1/grants", json=body)
        assert answer.status_code == 201, answer.text
        grant: dict[str, Any] = answer.json()
        return grant

    async def share(self, to: Client, **values: Any) -> dict[str, Any]:
        ends_at = {"ends_at": "2026-02-01T00:00:00Z", **values}
        return await self.give(kind="share", username=to.username, **ends_at)

    async def press(
        self,
        household: UUID | None = None,
        kind: str = "fire",
        button: Client | None = None,
        **values: Any,
    ) -> str:
        """Raise an alarm of the household; return the incident."""
        event = {
            "specversion": "1.0", "id": str(new_id()), "source": "/buttons/1",
            "type": f"org.camerahub.alarm.{kind}",
            "data": {"household_id": str(household or self.id), **values},
        }  # fmt: skip
        answer = await (button or self.sensor).post("/api/v1/signals", json=event)
        assert answer.status_code == 201, answer.text
        incident: str = answer.json()["incident_id"]
        return incident

    async def step(self, who: Client, incident: str, step: str, **values: Any) -> None:
        found = (await who.get(f"/api/v1/incidents/{incident}")).json()
        body = {"version": found["version"], **values}
        answer = await who.post(f"/api/v1/incidents/{incident}/{step}", json=body)
        assert answer.is_success, answer.text

    async def looks(self, who: Client) -> int:
        """Return the status of a snapshot: a picture, or what was answered instead."""
        answer = await who.get(f"{self.camera}/snapshot", params=WHY)
        assert (answer.status_code == 200) == (answer.content[:2] == b"\xff\xd8")
        return answer.status_code


async def make_household(admin: Client, name: str, member: Client) -> UUID:
    made = await admin.post("/api/v1/households", json={"name": name, "area": AREA})
    assert made.status_code == 201, made.text
    household = made.json()["id"]
    added = await admin.post(
        f"/api/v1/households/{household}/members", json={"username": member.username}
    )
    assert added.is_success, added.text
    return UUID(household)


@pytest.fixture
async def home(scene: Scene, sign_in: SignIn, service_client: ServiceClient) -> Home:
    admin = await sign_in("administrator", at=scene.server)
    member = await sign_in("resident", AREA, at=scene.server)
    household = await make_household(admin, "Flat 1204", member)
    async with scene.hub.database.transaction() as session:
        camera = await scene.hub.devices.get(session, scene.camera_id)
        camera.place_kind, camera.household_id = "home", household
    sensor = await service_client(["signal.post"], AREA, at=scene.server, household_id=household)
    return Home(scene, household, member, admin, sensor)


EVERYBODY = ("duty_staff", "operator", "supervisor", "patrol", "department", "auditor", "resident")


async def test_without_consent_a_home_is_closed_to_every_role_and_to_all_of_them_together(
    home: Home, sign_in: SignIn
) -> None:
    for role in EVERYBODY:
        client = await sign_in(role, "", at=home.scene.server)
        assert await home.looks(client) in (403, 404), role
        async with home.scene.watch(client) as socket:
            assert (await closed(socket))[0] in (4403, 4404), role
    assert await home.looks(home.admin) == 403
    assert await home.scene.records() == []
    # Its own household sees it, and needs no purpose.
    async with home.scene.watch(home.member) as socket:
        await receive_media(socket)
    assert (await home.member.get(f"{home.camera}/snapshot")).status_code == 200
    records = await home.scene.records()
    assert [(r.kind, r.purpose, r.household_id) for r in records] == [
        ("live", "", home.id), ("snapshot", "", home.id)]  # fmt: skip


async def test_consent_is_revocable(home: Home, sign_in: SignIn) -> None:
    """A withdrawal cuts the running stream within two seconds; the next request is refused."""
    guest = await sign_in("resident", AREA, at=home.scene.server)
    grant = await home.share(guest)
    assert guards.FRESH_FOR_S < 2.0
    async with home.scene.watch(guest) as socket, home.scene.watch(home.member) as own:
        await receive_media(socket)
        await receive_media(own)
        (record, _) = await home.scene.records()
        assert str(record.grant_id) == grant["id"]
        answer = await home.member.post(f"/api/v1/grants/{grant['id']}/withdraw")
        assert answer.json()["state"] == "ended"
        async with asyncio.timeout(2.0):
            assert (await closed(socket))[0] == 4403
        await receive_media(own, 20)
    assert await home.looks(guest) == 404
    # The same URL with the same cookie opens nothing any more.
    async with home.scene.watch(guest) as socket:
        assert (await closed(socket))[0] == 4404
    again = await home.member.post(f"/api/v1/grants/{grant['id']}/withdraw")
    assert again.json() == answer.json()
    async with asyncio.timeout(WAIT_S):
        while any(r.ended_at is None for r in await home.scene.records()):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("end", ["the end", "the hours", "the camera's household", "the account"])
async def test_a_share_that_ends_by_itself_cuts_the_running_stream(
    home: Home, sign_in: SignIn, clock: ManualClock, end: str
) -> None:
    guest = await sign_in("resident", AREA, at=home.scene.server)
    # The clock of the test stands at Thursday, 08:00 UTC.
    zone = home.scene.hub.settings.site.zone
    local = clock.now().astimezone(zone)
    hours = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
              "from": f"{(local.hour - 1) % 24:02d}:00",
              "to": f"{(local.hour + 1) % 24:02d}:00"}]  # fmt: skip
    values: dict[str, Any] = {"hours": hours} if end == "the hours" else {}
    if end == "the end":
        values["ends_at"] = "2026-01-01T09:00:00Z"
    await home.share(guest, **values)
    async with home.scene.watch(guest) as socket:
        await receive_media(socket)
        if end in ("the end", "the hours"):
            clock.advance(3600)
        elif end == "the account":
            path = f"/api/v1/accounts/{guest.account_id}"
            assert (await home.admin.patch(path, json={"active": False})).is_success
        else:
            path = f"/api/v1/households/{home.id}/close"
            assert (await home.admin.post(path)).is_success
        assert (await closed(socket))[0] == 4403
    assert await home.looks(guest) in (401, 404)
    if end == "the camera's household":
        # Its password is forgotten, and nobody switches it on again.
        closed_home = (await home.admin.get(home.camera)).json()
        assert (closed_home["enabled"], closed_home["has_password"]) == (False, False)
        body = {"version": closed_home["version"], "enabled": True}
        answer = await home.admin.patch(home.camera, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_password_that_an_administrator_sets_opens_no_home(
    home: Home, sign_in: SignIn, clock: ManualClock
) -> None:
    """Signed in as a member they see nothing for a day, and the others of the household see it."""
    other = await sign_in("resident", AREA, at=home.scene.server)
    members = f"/api/v1/households/{home.id}/members"
    assert (await home.member.post(members, json={"username": other.username})).is_success
    grant = await home.share(await sign_in("resident", AREA))
    clock.advance(1)
    known = "a password that they know"
    path = f"/api/v1/accounts/{other.account_id}"
    assert (await home.admin.patch(path, json={"password": known})).is_success
    login = {"username": other.username, "password": known}
    for _ in range(2):  # also with a password of their own choice, once signed out and in again
        other.cookies.clear()
        opened = await other.post("/api/v1/sessions", json=login)
        assert opened.status_code == 201, opened.text
        other.headers[CSRF_HEADER] = opened.json()["csrf_token"]
        own = {"current": login["password"], "new": f"{login['password']} again"}
        changed = await other.put("/api/v1/accounts/me/password", json=own)
        assert changed.is_success, changed.text
        other.headers[CSRF_HEADER] = changed.json()["csrf_token"]
        login["password"] = own["new"]
        answer = await other.get(f"{home.camera}/snapshot")
        assert (answer.status_code, answer.json()["code"]) == (403, "home-waits")
    cookies = "; ".join(f"{name}={value}" for name, value in other.cookies.items())
    async with websockets.connect(
        home.scene.url(), additional_headers={"Cookie": cookies}
    ) as socket:
        assert (await closed(socket))[0] == 4403
    puppet = await sign_in("resident", AREA)
    give = {"camera_id": str(home.scene.camera_id), "kind": "share", "username": puppet.username,
            "ends_at": "2026-02-01T00:00:00Z"}  # fmt: skip
    assert (await other.post("/api/v1/grants", json=give)).status_code == 403
    for answer in (
        await other.post(members, json={"username": puppet.username}),
        await other.delete(f"{members}/{home.member.account_id}"),
        await other.delete(home.camera),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "home-waits")
    assert (await other.post(f"/api/v1/grants/{grant['id']}/withdraw")).is_success
    assert await home.scene.records() == []
    seen = (await home.member.get("/api/v1/home")).json()["households"][0]["members"]
    resets = {m["account"]["username"]: m["password_reset"] for m in seen}
    assert resets[home.member.username] is None
    assert resets[other.username]["by"] == home.admin.username.title()
    assert (await home.member.get(f"{home.camera}/snapshot")).status_code == 200
    assert "camera.snapshot" not in (await other.get(home.camera)).json()["actions"]
    clock.advance(24 * 3600)
    other.cookies.clear()
    again = await other.post("/api/v1/sessions", json=login)
    assert again.status_code == 201
    # Its worker has not been heard of for that day, so the camera says what may be looked at.
    assert "camera.snapshot" in (await other.get(home.camera)).json()["actions"]


async def test_a_member_who_is_taken_out_sees_nothing_from_then_on(
    home: Home, sign_in: SignIn
) -> None:
    other = await sign_in("resident", AREA, at=home.scene.server)
    members = f"/api/v1/households/{home.id}/members"
    # An administrator cannot add to those who live there, nor take anybody out.
    refused = await home.admin.post(members, json={"username": other.username})
    assert (refused.status_code, refused.json()["code"]) == (409, "household-has-members")
    added = await home.member.post(members, json={"username": other.username})
    assert [m["account"]["username"] for m in added.json()["members"]] == [
        home.member.username, other.username]  # fmt: skip
    assert (await home.admin.delete(f"{members}/{other.account_id}")).status_code == 403
    async with home.scene.watch(other) as socket:
        await receive_media(socket)
        removed = await home.member.delete(f"{members}/{other.account_id}")
        assert removed.is_success, removed.text
        assert (await closed(socket))[0] == 4403
    assert await home.looks(other) == 404
    last = await home.member.delete(f"{members}/{home.member.account_id}")
    assert (last.status_code, last.json()["code"]) == (409, "last-member")


async def test_an_alarm_opens_the_home_to_who_answers_it_and_closes_it_with_itself(
    home: Home, sign_in: SignIn
) -> None:
    duty = await sign_in("duty_staff", AREA, at=home.scene.server)
    await home.give(kind="alarm")
    incident = await home.press()
    assert await home.press() == incident, "pressing again joins"
    assert await home.looks(duty) == 404
    await home.step(duty, incident, "acknowledge")
    async with home.scene.watch(duty) as socket:
        await receive_media(socket)
        assert await home.looks(duty) == 200
        listed = (await duty.get("/api/v1/cameras")).json()["items"]
        assert [(c["id"], c["grant"]["kind"]) for c in listed] == [
            (str(home.scene.camera_id), "alarm")]  # fmt: skip
        shown = (await home.member.get("/api/v1/home")).json()["households"][0]["cameras"][0]
        assert shown["grants"][0]["open_now"]
        assert [a["username"] for a in shown["grants"][0]["answering"]] == [duty.username]
        await home.step(duty, incident, "close", note="False alarm.", resolution="false_alarm")
        assert (await closed(socket))[0] == 4403
    assert await home.looks(duty) == 404
    assert (await duty.get("/api/v1/cameras")).json()["items"] == []


async def test_what_opens_nothing(
    home: Home, sign_in: SignIn, service_client: ServiceClient
) -> None:
    """Another household's alarm, an exercise, who has no duty there, who only reads it."""
    duty = await sign_in("duty_staff", AREA, at=home.scene.server)
    await home.give(kind="alarm")
    neighbour = await sign_in("resident", AREA, at=home.scene.server)
    flat = await make_household(home.admin, "Flat 1205", neighbour)
    button = await service_client(["signal.post"], AREA, at=home.scene.server, household_id=flat)
    foreign = await home.press(flat, button=button)
    exercise = await home.press(status="Exercise", kind="medical")
    for incident in (foreign, exercise):
        await home.step(duty, incident, "handle")
    assert await home.looks(duty) == 404
    own = await home.press(kind="security")
    patrol = await sign_in("patrol", AREA, at=home.scene.server)
    await home.step(patrol, own, "acknowledge")
    assert await home.looks(patrol) == 403
    # Reading the incident, or naming it as the reason, is no consent.
    number = (await duty.get(f"/api/v1/incidents/{own}")).json()["number"]
    answer = await duty.get(
        f"{home.camera}/snapshot", params={"purpose": "incident", "reference": number}
    )
    assert answer.status_code == 404
    # A supervisor of another area may not even answer it.
    far = await sign_in("supervisor", "demo/elsewhere", at=home.scene.server)
    assert (await far.get(f"/api/v1/incidents/{own}")).status_code == 404
    assert await home.looks(neighbour) == 404


async def test_who_was_given_one_camera_sees_no_other(home: Home, sign_in: SignIn) -> None:
    guest = await sign_in("resident", AREA, at=home.scene.server)
    other, now = new_id(), home.scene.hub.clock.now()
    async with home.scene.hub.database.transaction() as session:
        session.add(
            Camera(id=other, name="Balcony", area=AREA, place_kind="home", household_id=home.id,
                   source_kind="rtsp", address="rtsp://camera/", created_at=now)
        )  # fmt: skip
    answer = await home.member.post(
        "/api/v1/grants",
        json={"camera_id": str(other), "kind": "share", "username": guest.username,
              "ends_at": "2026-02-01T00:00:00Z"},
    )  # fmt: skip
    assert answer.status_code == 201
    assert (await guest.get(f"/api/v1/cameras/{other}")).status_code == 200
    assert (await guest.get(home.camera)).status_code == 404
    assert await home.looks(guest) == 404
    mine = (await guest.get("/api/v1/home")).json()
    assert [c["id"] for c in mine["shared_with_me"]] == [str(other)]
    assert mine["households"] == []
    grants = (await guest.get("/api/v1/grants")).json()["items"]
    assert [g["id"] for g in grants] == [answer.json()["id"]]
    # What one was given cannot be withdrawn, or given on, by oneself.
    withdraw = f"/api/v1/grants/{answer.json()['id']}/withdraw"
    assert (await guest.post(withdraw)).status_code in (403, 404)
    assert (await home.admin.post(withdraw)).status_code in (403, 404)


@pytest.mark.faults
@pytest.mark.parametrize("table", ["view_record", "ledger_entry"])
async def test_no_frame_of_a_home_leaves_before_its_view_record_is_committed(
    home: Home, table: str
) -> None:
    """Neither without the record nor without the ledger's entry of it."""
    async with home.scene.hub.database.transaction() as session:
        await session.execute(
            text(
                f"CREATE TRIGGER refuse BEFORE INSERT ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'database is locked'); END"
            )
        )
    async with home.scene.watch(home.member) as socket:
        assert (await closed(socket))[0] == 4503
    assert await home.looks(home.member) == 503


async def test_a_snapshot_says_what_it_is_for(home: Home, sign_in: SignIn) -> None:
    duty = await sign_in("duty_staff", AREA, at=home.scene.server)
    async with home.scene.hub.database.transaction() as session:
        camera = await home.scene.hub.devices.get(session, home.scene.camera_id)
        camera.place_kind, camera.household_id = "shared_space", None
    seen = await home.press()
    number = (await duty.get(f"/api/v1/incidents/{seen}")).json()["number"]
    elsewhere = await make_household(home.admin, "Flat 9", await sign_in("resident", AREA))
    assert elsewhere != home.id
    for params, code in [
        ({}, "purpose-needed"),
        ({"reference": "K-1"}, "purpose-needed"),
        ({"purpose": "curiosity", "reference": "K-17"}, "unknown-purpose"),
        ({"purpose": "case"}, "reference-needed"),
        ({"purpose": "case", "reference": "  "}, "reference-needed"),
        ({"purpose": "case", "reference": "K1"}, "unknown-reference"),
        ({"purpose": "case", "reference": "x" * 81}, "unknown-reference"),
        ({"purpose": "case", "reference": "line\nbreak"}, "reference-needed"),
        ({"purpose": "incident", "reference": "2026-999999"}, "unknown-reference"),
    ]:
        answer = await duty.get(f"{home.camera}/snapshot", params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, code), params
    assert await home.scene.records() == []
    answer = await duty.get(
        f"{home.camera}/snapshot", params={"purpose": "incident", "reference": number}
    )
    assert answer.status_code == 200
    (record,) = await home.scene.records()
    assert (record.purpose, record.reference, str(record.incident_id)) == ("incident", number, seen)
    keys = [p["key"] for p in (await duty.get("/api/v1/purposes")).json()]
    assert keys == ["incident", "case", "maintenance", "subject_access", "exercise"]


async def test_a_picture_of_an_incident_at_home_is_the_households(
    home: Home, sign_in: SignIn
) -> None:
    duty = await sign_in("duty_staff", AREA, at=home.scene.server)
    seen = signal(camera_id=str(home.scene.camera_id), attachments=[attachment(picture())])
    incident = (await home.sensor.post("/api/v1/signals", json=seen)).json()["incident_id"]
    found = (await duty.get(f"/api/v1/incidents/{incident}")).json()
    assert found["household_id"] == str(home.id)
    url = found["snapshot"]["url"]
    assert (await duty.get(url)).status_code == 403
    assert (await home.member.get(url)).status_code == 200
    # The consent for alarms has to name detections to count for one.
    grant = await home.give(kind="alarm")
    await home.step(duty, incident, "handle")
    assert (await duty.get(url)).status_code == 403
    await home.member.post(f"/api/v1/grants/{grant['id']}/withdraw")
    await home.give(kind="alarm", on_detection=True)
    assert (await duty.get(url)).status_code == 200
    assert [(r.purpose, r.reference) for r in await home.scene.records()] == [
        ("incident", found["number"])] * 2  # fmt: skip


async def test_an_alarm_names_a_household_that_lives_there(home: Home) -> None:
    async def post(**values: Any) -> tuple[int, str]:
        event = {"specversion": "1.0", "id": str(new_id()), "source": "/buttons/1",
                 "type": "org.camerahub.alarm.fire", "data": values}  # fmt: skip
        answer = await home.sensor.post("/api/v1/signals", json=event)
        errors = answer.json().get("errors") or [{"field": ""}]
        return answer.status_code, json.dumps(errors)

    assert await post() == (422, json.dumps([
        {"field": "", "message": "data.household_id: a signal of type org.camerahub.alarm.fire "
         "must name its household"}]))  # fmt: skip
    status, errors = await post(household_id=str(new_id()))
    assert (status, json.loads(errors)[0]["field"]) == (422, "data.household_id")
    status, errors = await post(household_id=str(home.id), camera_id=str(new_id()))
    assert (status, json.loads(errors)[0]["field"]) == (422, "data.camera_id")
    assert (await home.admin.post(f"/api/v1/households/{home.id}/close")).is_success
    status, errors = await post(household_id=str(home.id))
    assert (status, json.loads(errors)[0]["field"]) == (422, "data.household_id")


async def test_pictures_of_an_alarm_that_names_no_camera_are_the_households(
    home: Home, sign_in: SignIn
) -> None:
    """A button names no camera; what a camera of the home sends to the same alarm shows a home."""
    duty = await sign_in("duty_staff", AREA, at=home.scene.server)
    incident = await home.press()
    pictured: dict[str, Any] = {
        "camera_id": str(home.scene.camera_id),
        "attachments": [attachment(picture())],
    }
    assert await home.press(**pictured) == incident, "joins"
    await home.step(duty, incident, "acknowledge")
    found = (await duty.get(f"/api/v1/incidents/{incident}")).json()
    url = found["snapshot"]["url"]
    assert (await duty.get(url)).status_code == 403
    wish = {"incident_id": incident, "purpose": "incident", "reference": found["number"],
            "reason": "For the file.", "audience": "authority", "expires_in_days": 1}  # fmt: skip
    assert (await duty.post("/api/v1/exports", json=wish)).status_code == 403
    assert (await home.member.get(url)).status_code == 200
    # No camera, so no view record; that it was looked at stands in the ledger.
    async with home.scene.hub.database.read() as session:
        entries = await session.scalars(
            select(LedgerEntry.actor_id).where(
                LedgerEntry.kind == "view.opened", LedgerEntry.subject == incident
            )
        )
        assert list(entries) == [str(home.member.account_id)]
