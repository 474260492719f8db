"""Media workers over HTTP: what they are told to read, and what becomes of what they report."""

import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.policy.types import Role
from api.hub import Hub, build_hub
from api.lost_workers import LostCameras
from camera_hub.devices.models import MediaWorker
from core.clock import ManualClock
from core.settings import Settings
from governance.outbox.models import OutboxEvent
from tests.support.http import Client, ServiceClient, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
AREA = "demo/riverside"
PASSWORD = "p@ss:w/rd?"


async def add_camera(admin: Client, name: str = "Gate", **more: Any) -> str:
    body = {
        "name": name, "area": AREA, "place_kind": "shared_space", "source_kind": "rtsp",
        "address": "rtsp://127.0.0.1:9/cam", "username": "viewer", "password": PASSWORD,
        "probe": False, **more,
    }  # fmt: skip
    made = await admin.post("/api/v1/cameras", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def report(clock: ManualClock, camera_id: str, state: str = "online") -> dict[str, Any]:
    reason = {"online": "ok", "connecting": "starting", "stalled": "no_data"}[state]
    return {
        "camera_id": camera_id, "state": state, "reason_code": reason, "reason": "As it is.",
        "since": clock.now().isoformat(), "fps": 25.0, "frames_read": 7,
    }  # fmt: skip


async def beat(
    worker: Client, *cameras: dict[str, Any], name: str = "media-0", revision: str | None = None
) -> dict[str, Any]:
    body = {"pid": 1, "address": f"unix:/run/{name}.sock", "revision": revision,
            "cameras": list(cameras)}  # fmt: skip
    answer = await worker.post(f"/api/v1/workers/{name}/heartbeat", json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def state_of(admin: Client, camera_id: str) -> tuple[str, str]:
    status = (await admin.get(f"/api/v1/cameras/{camera_id}")).json()["status"]
    return status["state"], status["reason_code"]


async def events(hub: Hub) -> list[tuple[str, str]]:
    """Return (type, state) of what was put into the outbox, in order."""
    async with hub.database.read() as session:
        rows = await session.scalars(select(OutboxEvent).order_by(OutboxEvent.seq))
        return [(row.type, row.payload.get("status", {}).get("state", "")) for row in rows]


async def incidents(duty: Client) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await duty.get("/api/v1/incidents?state=all")).json()["items"]
    return items


@BOTH_STORES
async def test_a_worker_is_told_its_cameras_once_and_again_after_each_change(
    sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, worker = await sign_in(Role.ADMINISTRATOR), await service_client(["worker.heartbeat"])
    camera_id = await add_camera(admin)

    first = await beat(worker)
    (camera,) = first["cameras"]
    assert camera["id"] == camera_id
    assert camera["streams"] == {
        "main": {"url": "rtsp://127.0.0.1:9/cam", "username": "viewer", "password": PASSWORD}
    }
    assert camera["zones"] == []
    revision = first["revision"]
    again = await beat(worker, report(clock, camera_id), revision=revision)
    assert again == {
        "revision": revision,
        "cameras": None,
        "moving": [],
        "asked": [],
        "turned": [],
        "retuned": [],
    }

    zone = {
        "name": "Door", "polygon": [[0, 0], [1, 0], [1, 1]],
        "rules": [{"kind": "intrusion", "enabled": True, "severity": "severe",
                   "objects": ["person"], "dwell_seconds": 0, "confidence": 0.5,
                   "schedule": [], "cooldown_seconds": 30}],
    }  # fmt: skip
    url = f"/api/v1/cameras/{camera_id}"
    put = await admin.put(f"{url}/zones", json={"version": 0, "zones": [zone]})
    assert put.status_code == 200, put.text
    zoned = await beat(worker, revision=revision)
    assert [z["name"] for z in zoned["cameras"][0]["zones"]] == ["Door"]

    version = (await admin.get(url)).json()["version"]
    change = {"version": version, "password": "another", "probe": False}
    assert (await admin.patch(url, json=change)).status_code == 200
    changed = await beat(worker, revision=zoned["revision"])
    assert changed["cameras"][0]["streams"]["main"]["password"] == "another"

    off = {"version": version + 1, "enabled": False}
    assert (await admin.patch(url, json=off)).status_code == 200
    assert (await beat(worker, revision=changed["revision"]))["cameras"] == []
    assert await state_of(admin, camera_id) == ("disabled", "disabled")


@BOTH_STORES
async def test_each_camera_has_exactly_one_living_worker(
    sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, worker = await sign_in(Role.ADMINISTRATOR), await service_client(["worker.heartbeat"])
    every = {await add_camera(admin, f"Camera {n}") for n in range(12)}

    async def share(name: str) -> set[str]:
        return {camera["id"] for camera in (await beat(worker, name=name))["cameras"]}

    alone = await share("media-0")
    assert alone == every
    second = await share("media-1")
    first = await share("media-0")
    assert first | second == every
    assert not first & second
    assert first
    assert second
    clock.advance(11)
    assert await share("media-1") == every, "what a silent worker had is read by the others"


async def test_a_state_is_told_when_it_changes_and_counters_are_fresh(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, worker = await sign_in(Role.ADMINISTRATOR), await service_client(["worker.heartbeat"])
    camera_id = await add_camera(admin)
    assert await state_of(admin, camera_id) == ("connecting", "starting")
    for frames in (7, 8, 9):
        await beat(worker, {**report(clock, camera_id), "frames_read": frames})
        clock.advance(1)
    await beat(worker, report(clock, camera_id, "stalled"))

    assert await events(hub) == [
        ("camera.changed", ""),
        ("camera.state", "online"),
        ("camera.state", "stalled"),
    ]
    await beat(worker, {**report(clock, camera_id, "stalled"), "frames_read": 99})
    camera = (await admin.get(f"/api/v1/cameras/{camera_id}")).json()
    assert camera["status"]["frames_read"] == 99
    assert len(await events(hub)) == 3
    assert PASSWORD not in str(camera)


@BOTH_STORES
async def test_a_silent_worker_makes_its_cameras_stalled_and_then_an_incident(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF, "demo")
    worker = await service_client(["worker.heartbeat"])
    camera_id = await add_camera(admin)
    lost = LostCameras(hub)
    await beat(worker, report(clock, camera_id))
    clock.advance(4.9)
    await lost.look()
    assert await state_of(admin, camera_id) == ("online", "ok")

    clock.advance(0.2)
    await lost.look()
    assert await state_of(admin, camera_id) == ("stalled", "worker_lost")
    assert (await events(hub))[-1] == ("camera.state", "stalled")
    assert await incidents(duty) == []

    clock.advance(hub.settings.media.offline_after_s)
    for _ in range(3):
        await lost.look()
    (incident,) = await incidents(duty)
    assert (incident["kind"], incident["camera_id"]) == ("camera_offline", camera_id)
    assert (incident["camera_name"], incident["area"]) == ("Gate", AREA)

    await beat(worker, report(clock, camera_id, "connecting"))
    await lost.look()
    (incident,) = await incidents(duty)
    assert incident["state"] == "reported", "its worker is back, but the camera is not"
    await beat(worker, report(clock, camera_id))
    await lost.look()
    assert await state_of(admin, camera_id) == ("online", "ok")
    (incident,) = await incidents(duty)
    assert (incident["state"], incident["resolution"]) == ("closed", "recovered")


async def test_a_worker_that_is_restarted_at_once_makes_no_incident(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    worker = await service_client(["worker.heartbeat"])
    camera_id = await add_camera(admin)
    lost = LostCameras(hub)
    for _ in range(3):
        await beat(worker, report(clock, camera_id))
        clock.advance(6)
        await lost.look()
    await beat(worker, report(clock, camera_id))
    clock.advance(3)
    await lost.look()
    assert await state_of(admin, camera_id) == ("online", "ok")
    assert await incidents(duty) == []


@BOTH_STORES
async def test_a_hub_that_comes_back_without_its_workers_says_so(
    hub: Hub, settings: Settings, sign_in: SignIn, service_client: ServiceClient,
    clock: ManualClock
) -> None:  # fmt: skip
    """Hub and worker are killed together: no camera may go on being called online."""
    admin, worker = await sign_in(Role.ADMINISTRATOR), await service_client(["worker.heartbeat"])
    duty = await sign_in(Role.DUTY_STAFF)
    camera_id = await add_camera(admin)
    await beat(worker, report(clock, camera_id))

    second = build_hub(settings, clock)
    lost = LostCameras(second)
    await lost.remember()
    await lost.look()
    async with second.database.read() as session:
        camera = await second.devices.get(session, UUID(camera_id))
    assert second.devices.status_of(camera).state == "online", "its worker may still report"
    clock.advance(11)
    await lost.look()
    async with second.database.read() as session:
        camera = await second.devices.get(session, UUID(camera_id))
    assert second.devices.status_of(camera).reason_code == "worker_lost"
    await second.close()

    third = build_hub(settings, clock)
    lost = LostCameras(third)
    await lost.remember()
    clock.advance(settings.media.offline_after_s)
    await lost.look()
    assert [i["kind"] for i in await incidents(duty)] == ["camera_offline"]
    await third.close()


async def test_a_lost_camera_that_is_switched_off_is_no_incident_any_more(
    hub: Hub, sign_in: SignIn, service_client: ServiceClient, clock: ManualClock
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    worker = await service_client(["worker.heartbeat"])
    camera_id = await add_camera(admin)
    lost = LostCameras(hub)
    await beat(worker, report(clock, camera_id))
    clock.advance(6)
    await lost.look()
    clock.advance(hub.settings.media.offline_after_s)
    await lost.look()
    assert [i["state"] for i in await incidents(duty)] == ["reported"]
    off = {"version": 1, "enabled": False}
    assert (await admin.patch(f"/api/v1/cameras/{camera_id}", json=off)).status_code == 200
    await lost.look()
    assert [i["state"] for i in await incidents(duty)] == ["closed"]


async def test_a_workers_row_is_written_rarely(
    hub: Hub, service_client: ServiceClient, clock: ManualClock
) -> None:
    worker = await service_client(["worker.heartbeat"])
    written = set()
    for _ in range(10):
        await beat(worker)
        async with hub.database.read() as session:
            row = await session.get(MediaWorker, "media-0")
            assert row is not None
            written.add(row.heartbeat_at)
        clock.advance(1)
    assert 2 <= len(written) <= 4


async def test_only_services_with_the_scope_may_report(
    client: Client, sign_in: SignIn, service_client: ServiceClient
) -> None:
    url, body = "/api/v1/workers/media-0/heartbeat", {"pid": 1, "address": "unix:/x"}
    assert (await client.post(url, json=body)).status_code == 401
    other = await service_client(["signal.post"])
    assert (await other.post(url, json=body)).status_code == 403
    admin = await sign_in(Role.ADMINISTRATOR)
    assert (await admin.post(url, json=body)).status_code == 403
    worker = await service_client(["worker.heartbeat"])
    bad = await worker.post("/api/v1/workers/Media%200/heartbeat", json=body)
    assert bad.status_code == 422
    assert re.match(r"application/problem\+json", bad.headers["content-type"])


async def test_a_worker_hears_which_cameras_somebody_turns(
    hub: Hub, clock: ManualClock, sign_in: SignIn, service_client: ServiceClient
) -> None:
    admin = await sign_in("administrator")
    camera_id = await add_camera(admin)
    worker = await service_client(["worker.heartbeat"])
    assert (await beat(worker))["turned"] == []
    for active in (True, False):
        hub.devices.turned.note(UUID(camera_id), "hub", active=active)
    assert (await beat(worker))["turned"] == [camera_id]
    clock.advance(3)
    assert (await beat(worker))["turned"] == []
