"""Cameras over HTTP: probed, added, changed, moved, deleted, with a simulated device behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from access.policy.types import Role
from api.hub import Hub
from camera_hub.devices.models import Camera
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from core.clock import ManualClock, SystemClock
from governance.outbox.models import OutboxEvent
from tests.support.http import Client, SignIn

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
URL = "/api/v1/cameras"
AREA = "demo/riverside"
PASSWORD = "p@ss:w/rd?#%"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still at the true time, as the device's clock is compared with it."""
    return ManualClock(SystemClock().now())


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    async with asyncio.timeout(60):
        device = OnvifDevice(
            [
                StreamProfile("big", "rtsp://127.0.0.1:8554/big", 1920, 1080, 25, 2000, 25),
                StreamProfile("mid", "rtsp://127.0.0.1:8554/mid", 1280, 720, 25, 900, 25),
                StreamProfile("small", "rtsp://127.0.0.1:8554/small", 640, 360, 25, 400, 25),
            ],
            username="viewer",
            password=PASSWORD,
            clock=SystemClock(),
            identity=Identity("Acme", "Dome 5", "2.1", "A-77"),
        )
        await device.start()
        yield device
        await device.close()


def entry(device: OnvifDevice, **more: Any) -> dict[str, Any]:
    return {
        "name": "Gate", "area": AREA, "place_kind": "shared_space", "source_kind": "onvif",
        "address": device.address, "username": "viewer", "password": PASSWORD, **more,
    }  # fmt: skip


def account(device: OnvifDevice, **more: Any) -> dict[str, Any]:
    keys = ("source_kind", "address", "username", "password")
    return {key: entry(device)[key] for key in keys} | more


async def add(admin: Client, body: dict[str, Any]) -> dict[str, Any]:
    made = await admin.post(URL, json=body)
    assert made.status_code == 201, made.text
    camera: dict[str, Any] = made.json()
    return camera


async def add_unprobed(admin: Client, name: str, area: str) -> dict[str, Any]:
    return await add(admin, {
        "name": name, "area": area, "source_kind": "rtsp", "probe": False,
        "address": "rtsp://viewer:s3cret%40@127.0.0.1:9/cam",
    })  # fmt: skip


async def names(client: Client, query: str = "") -> list[str]:
    return [item["name"] for item in (await client.get(f"{URL}{query}")).json()["items"]]


@BOTH_STORES
async def test_a_camera_is_probed_added_and_read(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    probed = await admin.post(f"{URL}/probe", json=account(device))
    assert probed.status_code == 200, probed.text
    found = probed.json()
    assert (found["main"], found["sub"]) == ("big", "small")
    assert found["device"]["model"] == "Dome 5"
    assert [p["token"] for p in found["profiles"]] == ["big", "mid", "small"]
    assert await names(admin) == [], "a probe stores nothing"

    camera = await add(admin, entry(device, main_profile="mid"))
    streams = {s["role"]: (s["url"], s["width"], s["codec"]) for s in camera["streams"]}
    assert streams == {
        "main": ("rtsp://127.0.0.1:8554/mid", 1280, "h264"),
        "sub": ("rtsp://127.0.0.1:8554/small", 640, "h264"),
    }
    assert camera["device"]["serial"] == "A-77"
    assert abs(camera["device"]["clock_offset_s"]) < 60
    assert camera["has_password"]
    assert camera["status"]["state"] == "connecting"
    assert (await admin.get(f"{URL}/{camera['id']}")).json() == camera
    for answer in (probed.text, str(camera)):
        assert PASSWORD not in answer
    async with hub.database.read() as session:
        row = (await session.scalars(select(Camera))).one()
    assert PASSWORD not in row.password_sealed
    assert hub.devices.password_of(row) == PASSWORD


@pytest.mark.parametrize(
    ("quirk", "changes", "status", "code"),
    [
        (None, {"password": "wrong"}, 502, "camera-unauthorised"),
        (None, {"address": "127.0.0.1:1"}, 502, "camera-unreachable"),
        (Quirk.NOT_A_CAMERA, {}, 502, "not-a-camera"),
        (Quirk.MALFORMED_XML, {}, 502, "malformed-answer"),
        (Quirk.NO_PROFILES, {}, 502, "no-video-profile"),
        (None, {"address": "http://169.254.169.254/latest"}, 422, "invalid-address"),
        (None, {"address": "file:///etc/passwd"}, 422, "invalid-address"),
    ],
)
async def test_a_probe_that_fails_says_how_and_adds_nothing(
    sign_in: SignIn, device: OnvifDevice, quirk: Quirk | None, changes: dict[str, str],
    status: int, code: str,
) -> None:  # fmt: skip
    admin = await sign_in(Role.ADMINISTRATOR)
    device.quirk = quirk
    for url, body in ((f"{URL}/probe", account(device)), (URL, entry(device))):
        answer = await admin.post(url, json=body | changes)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"]
        assert problem["remedy"]
        assert PASSWORD not in answer.text
    assert await names(admin) == []


async def test_a_profile_that_the_camera_lacks_is_refused(
    sign_in: SignIn, device: OnvifDevice
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    answer = await admin.post(URL, json=entry(device, sub_profile="tiny"))
    assert (answer.status_code, answer.json()["code"]) == (422, "no-such-profile")


@BOTH_STORES
async def test_of_two_changes_of_the_same_version_one_is_refused(sign_in: SignIn, hub: Hub) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"{URL}/{(await add_unprobed(admin, 'Gate', AREA))['id']}"
    answers = await asyncio.gather(
        *(admin.patch(url, json={"version": 1, "name": name}) for name in ("East", "West"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    winner, loser = sorted(answers, key=lambda answer: answer.status_code)
    assert loser.json()["code"] == "version-conflict"
    now = (await admin.get(url)).json()
    assert (now["version"], now["name"]) == (2, winner.json()["name"])


@BOTH_STORES
async def test_credentials_in_an_address_become_fields(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera = await add_unprobed(admin, "Gate", AREA)
    assert camera["address"] == "rtsp://127.0.0.1:9/cam"
    assert (camera["username"], camera["has_password"]) == ("viewer", True)
    assert [s["url"] for s in camera["streams"]] == ["rtsp://127.0.0.1:9/cam"]
    change = {"version": 1, "address": "rtsp://other:n3w@127.0.0.1:9/two", "probe": False}
    changed = (await admin.patch(f"{URL}/{camera['id']}", json=change)).json()
    assert (changed["address"], changed["username"]) == ("rtsp://127.0.0.1:9/two", "other")
    assert [s["url"] for s in changed["streams"]] == ["rtsp://127.0.0.1:9/two"]
    async with hub.database.read() as session:
        row = (await session.scalars(select(Camera))).one()
    assert hub.devices.password_of(row) == "n3w"


async def test_a_new_password_is_tried_before_it_is_kept(
    sign_in: SignIn, device: OnvifDevice
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"{URL}/{(await add(admin, entry(device, main_profile='mid')))['id']}"
    wrong = await admin.patch(url, json={"version": 1, "password": "wrong"})
    assert wrong.json()["code"] == "camera-unauthorised"
    assert (await admin.get(url)).json()["version"] == 1
    device.profiles = device.profiles[1:]
    good = (await admin.patch(url, json={"version": 1, "password": PASSWORD})).json()
    assert good["version"] == 2
    assert {s["role"]: s["width"] for s in good["streams"]} == {"main": 1280, "sub": 640}


async def test_a_stored_password_never_goes_to_another_host(
    sign_in: SignIn, device: OnvifDevice
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"{URL}/{(await add(admin, entry(device)))['id']}"
    elsewhere = f"localhost:{device.port}"
    for probe in (True, False):
        body = {"version": 1, "address": elsewhere, "probe": probe}
        refused = await admin.patch(url, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "password-needed")
    body = {"version": 1, "address": elsewhere, "password": PASSWORD}
    moved = await admin.patch(url, json=body)
    assert moved.status_code == 200, moved.text
    assert moved.json()["address"].startswith(f"http://{elsewhere}/")


@BOTH_STORES
async def test_areas_bound_what_is_listed_and_pages_join_up(sign_in: SignIn) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF, "demo/a")
    for number in range(5):
        await add_unprobed(admin, f"A{number}", "demo/a/cell")
    other = await add_unprobed(admin, "B", "demo/b")
    await add_unprobed(admin, "AB", "demo/ab")

    assert await names(duty) == ["A0", "A1", "A2", "A3", "A4"]
    assert (await duty.get(f"{URL}/{other['id']}")).status_code == 404
    assert (await duty.post(URL, json={})).status_code == 403
    seen, query = [], "?limit=2"
    while True:
        page = (await duty.get(f"{URL}{query}")).json()
        seen += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert seen == ["A0", "A1", "A2", "A3", "A4"]


async def test_an_administrator_moves_cameras_within_the_own_areas_only(
    hub: Hub, sign_in: SignIn
) -> None:
    site, local = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.ADMINISTRATOR, "demo/a")
    camera = await add_unprobed(site, "Gate", "demo/a/cell")
    url = f"{URL}/{camera['id']}"
    stolen = await local.patch(url, json={"version": 1, "area": "demo/b"})
    assert stolen.status_code in (403, 404)
    moved = await local.patch(url, json={"version": 1, "area": "demo/a/other"})
    assert moved.json()["area"] == "demo/a/other"
    async with hub.database.read() as session:
        rows = list(await session.scalars(select(OutboxEvent).order_by(OutboxEvent.seq)))
    areas = {row.area for row in rows[1:]}
    assert areas == {"demo/a/cell", "demo/a/other"}, "those left behind hear of it too"


@BOTH_STORES
async def test_a_deleted_camera_is_kept_and_never_listed(hub: Hub, sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"{URL}/{(await add_unprobed(admin, 'Gate', AREA))['id']}"
    assert (await admin.delete(url)).status_code == 204
    assert await names(admin) == []
    for answer in (
        await admin.get(url),
        await admin.delete(url),
        await admin.patch(url, json={"version": 2, "name": "x"}),
        await admin.get(f"{url}/zones"),
    ):
        assert answer.status_code == 404
    async with hub.database.read() as session:
        row = (await session.scalars(select(Camera))).one()
    assert row.deleted_at is not None
    assert row.password_sealed == "", "a password that nobody needs is not kept"


@BOTH_STORES
async def test_zones_are_replaced_as_a_whole_and_versioned(sign_in: SignIn) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    url = f"{URL}/{(await add_unprobed(admin, 'Gate', AREA))['id']}/zones"
    assert (await admin.get(url)).json() == {"version": 0, "zones": []}
    zone = {"name": "Door", "polygon": [[0, 0], [1, 0], [1, 1]], "rules": []}
    put = await admin.put(url, json={"version": 0, "zones": [zone]})
    assert put.status_code == 200, put.text
    assert [z["name"] for z in put.json()["zones"]] == ["Door"]
    assert (await admin.get(url)).json() == put.json()
    stale = await admin.put(url, json={"version": 0, "zones": []})
    assert stale.status_code == 409
    crossed = {**zone, "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}
    wrong = await admin.put(url, json={"version": put.json()["version"], "zones": [crossed]})
    assert wrong.status_code == 422
    duty = await sign_in(Role.DUTY_STAFF, AREA)
    assert (await duty.get(url)).status_code == 200
    assert (await duty.put(url, json={"version": 1, "zones": []})).status_code == 403
