"""A camera's own settings and its head over HTTP, with a simulated device behind."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.ledger.models import LedgerEntry
from access.policy.types import Role
from api.hub import Hub
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from camera_hub.simulator.ptz import Place
from core.clock import Clock, SystemClock
from tests.support.http import Client, SignIn
from tests.support.waiting import until

URL = "/api/v1/cameras"
AREA = "demo/riverside"
PASSWORD = "p@ss:w/rd?#%"
PROFILES = [
    StreamProfile("big", "rtsp://127.0.0.1:8554/big", 1920, 1080, 25, 4000, 100),
    StreamProfile("small", "rtsp://127.0.0.1:8554/small", 1280, 720, 25, 2000, 50),
]


@pytest.fixture
def clock() -> Clock:
    """The true time: leases and the device's clock run beside it."""
    return SystemClock()


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    device = OnvifDevice(
        PROFILES, username="viewer", password=PASSWORD, clock=SystemClock(),
        identity=Identity("Acme", "Dome 5", "2.1", "A-77"),
    )  # fmt: skip
    await device.start()
    yield device
    await device.close()


@pytest.fixture
async def camera(sign_in: SignIn, device: OnvifDevice) -> dict[str, Any]:
    admin = await sign_in(Role.ADMINISTRATOR)
    made = await admin.post(URL, json={
        "name": "Gate", "area": AREA, "place_kind": "shared_space", "source_kind": "onvif",
        "address": device.address, "username": "viewer", "password": PASSWORD,
    })  # fmt: skip
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


@pytest.fixture
async def admin(sign_in: SignIn) -> Client:
    return await sign_in(Role.ADMINISTRATOR)


@pytest.fixture
async def guard(sign_in: SignIn) -> Client:
    return await sign_in(Role.DUTY_STAFF, AREA)


def path(camera: dict[str, Any], rest: str) -> str:
    return f"{URL}/{camera['id']}/{rest}"


@pytest.mark.parametrize("quirk", [None, Quirk.NO_MEDIA2], ids=["media2", "media1"])
async def test_a_sub_stream_is_made_to_fit_and_read_back(
    hub: Hub, admin: Client, device: OnvifDevice, camera: dict[str, Any], quirk: Quirk | None
) -> None:
    device.quirks = {quirk} if quirk else set()
    found = (await admin.get(path(camera, "device"))).json()
    assert found["media"] == (1 if quirk else 2)
    assert found["device"]["model"] == "Dome 5"
    assert found["ptz"]
    assert [w["code"] for w in found["warnings"]] == ["long-gop", "long-gop"]
    sub = next(e for e in found["encoders"] if e["roles"] == ["sub"])
    options = next(o for o in sub["options"] if o["codec"] == "h264")
    assert {"width": 640, "height": 360} in options["sizes"]
    assert (options["gop"], options["bitrate_kbps"]) == (
        {"min": 1, "max": 100}, {"min": 64, "max": 8192},
    )  # fmt: skip
    assert (min(options["fps"]), max(options["fps"])) == (1, 25)

    done = await admin.put(path(camera, f"encoders/{sub['token']}"), json={"fit": "sub"})
    retuned = hub.devices.retuned.among({UUID(camera["id"])})
    assert retuned, "what it sends is learned anew"
    assert done.status_code == 200, done.text
    now = done.json()["encoder"]
    assert (now["codec"], now["width"], now["height"], now["fps"], now["gop"]) == (
        "h264", 640, 360, 25, 25,
    )  # fmt: skip
    assert done.json()["not_taken"] == []
    small = device.profiles[1]
    assert (small.width, small.gop, small.bitrate_kbps) == (640, 25, 512)
    assert device.profiles[0] == PROFILES[0], "the other encoder stays as it was"
    streams = {s["role"]: s for s in (await admin.get(f"{URL}/{camera['id']}")).json()["streams"]}
    assert (streams["sub"]["width"], streams["main"]["width"]) == (640, 1920)
    async with hub.database.read() as session:
        kinds = list(await session.scalars(select(LedgerEntry.kind)))
    assert "camera.configured" in kinds


async def test_what_a_camera_does_not_take_is_told(
    admin: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    device.quirks = {Quirk.ENCODER_LIES}
    body = {"gop": 25, "bitrate_kbps": 1000}
    done = await admin.put(path(camera, "encoders/encoder_big"), json=body)
    assert done.status_code == 200, done.text
    assert done.json()["encoder"]["gop"] == 100
    assert done.json()["not_taken"] == [
        {"setting": "gop", "asked": "25", "accepted": "100"},
        {"setting": "bitrate_kbps", "asked": "1000", "accepted": "4000"},
    ]
    device.quirks = {Quirk.ENCODER_REFUSES}
    answer = await admin.put(path(camera, "encoders/encoder_big"), json=body)
    assert (answer.status_code, answer.json()["code"]) == (502, "camera-refused")
    assert device.profiles == PROFILES


async def test_what_is_not_offered_is_not_asked_for(
    admin: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    for token, body, code in (
        ("encoder_big", {"width": 641, "height": 360}, "not-offered"),
        ("encoder_big", {"fps": 200}, "not-offered"),
        ("encoder_big", {"gop": 5000}, "not-offered"),
        ("encoder_big", {"width": 640}, "nothing-to-do"),
        ("encoder_big", {}, "nothing-to-do"),
        ("encoder_big", {"fit": "sub", "gop": 5}, "nothing-to-do"),
        ("encoder_none", {"gop": 5}, "no-such-encoder"),
        ("encoder_big", {"gop": 0}, "invalid-input"),
    ):
        answer = await admin.put(path(camera, f"encoders/{token}"), json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert device.profiles == PROFILES


async def test_h265_can_be_asked_for(
    admin: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    done = await admin.put(path(camera, "encoders/encoder_big"), json={"codec": "hevc", "gop": 50})
    assert done.status_code == 200, done.text
    assert (done.json()["encoder"]["codec"], done.json()["encoder"]["gop"]) == ("hevc", 50)
    assert device.profiles[0].encoding == "H265"


async def test_a_wrong_clock_is_shown_set_and_handed_to_a_server(
    admin: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    device.clock.skew = timedelta(hours=-3)
    shown = (await admin.get(path(camera, "device"))).json()
    assert shown["clock"]["offset_s"] == pytest.approx(-10800, abs=3)
    assert shown["warnings"][0]["code"] == "clock-skew"
    set_now = await admin.post(path(camera, "clock"), json={"mode": "manual"})
    assert set_now.status_code == 200, set_now.text
    assert abs(set_now.json()["offset_s"]) < 3
    assert abs(device.clock.skew) < timedelta(seconds=3)
    read = (await admin.get(f"{URL}/{camera['id']}")).json()
    assert abs(read["device"]["clock_offset_s"]) < 3

    device.clock.skew = timedelta(days=400)
    body = {"mode": "ntp", "server": "ntp.example.org"}
    by_server = await admin.post(path(camera, "clock"), json=body)
    assert by_server.status_code == 200, by_server.text
    assert (by_server.json()["mode"], by_server.json()["servers"]) == ("ntp", ["ntp.example.org"])
    assert device.clock.by_ntp
    wrong = await admin.post(path(camera, "clock"), json={**body, "server": "a b;c"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-server")


async def test_a_camera_restarts(
    admin: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    assert (await admin.post(path(camera, "reboot"))).status_code == 204
    assert device.reboots == 1


async def test_a_camera_is_turned_and_stops_when_nobody_repeats_it(
    hub: Hub, guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    device.quirks = {Quirk.PTZ_IGNORES_TIMEOUT}
    head = await guard.get(path(camera, "ptz"))
    assert head.status_code == 200, head.text
    assert head.json()["limits"]["zoom"] == {"min": 0, "max": 1}
    assert head.json()["position"] == {"pan": 0, "tilt": 0, "zoom": 0}
    moved = await guard.post(path(camera, "ptz"), json={"op": "move", "pan": 0.5, "tilt": 0})
    assert moved.status_code == 200, moved.text
    assert moved.json() == {"moving": True, "lease_s": 2.0, "preset": ""}
    assert device.ptz.moving[0]
    assert hub.devices.turned.among({UUID(camera["id"])}), "its view is learned anew"
    # The browser is gone, and this camera keeps to no time limit of its own.
    await until(lambda: "Stop" in device.ptz.commands, timeout=10)
    await until(lambda: not device.ptz.moving[0])
    assert not (await guard.get(path(camera, "ptz"))).json()["moving"]


async def test_positions_are_kept_to_what_the_camera_can(
    guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    url = path(camera, "ptz")
    assert (await guard.post(url, json={"op": "absolute", "pan": 5, "tilt": -5})).is_success
    await until(lambda: device.ptz.place[:2] == (1.0, -1.0), timeout=10)
    saved = await guard.post(url, json={"op": "save_preset", "name": "Corner"})
    token = saved.json()["preset"]
    assert device.ptz.presets[token][0] == "Corner"
    assert (await guard.get(url)).json()["presets"] == [{"token": token, "name": "Corner"}]
    assert (await guard.post(url, json={"op": "home"})).is_success
    assert (await guard.post(url, json={"op": "preset", "preset": token})).is_success
    unknown = await guard.post(url, json={"op": "preset", "preset": "nowhere"})
    assert (unknown.status_code, unknown.json()["code"]) == (502, "camera-refused")
    for body in ({"op": "move"}, {"op": "absolute"}, {"op": "preset"}):
        assert (await guard.post(url, json=body)).json()["code"] == "nothing-to-do"


async def test_a_preset_gets_another_name_and_is_forgotten(
    guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    url = path(camera, "ptz")
    corner = Place(0.4, -0.2, 0.0)
    device.ptz.presets["p1"] = ("Corner", corner)
    renamed = await guard.post(url, json={"op": "rename_preset", "preset": "p1", "name": "Gate"})
    assert renamed.status_code == 200, renamed.text
    name, place = device.ptz.presets["p1"]
    assert name == "Gate"
    assert place == pytest.approx(corner, abs=0.01), "it is where it was"
    device.quirks = {Quirk.PTZ_STATUS_INVALID}
    blind = await guard.post(url, json={"op": "rename_preset", "preset": "p1", "name": "Yard"})
    assert (blind.status_code, blind.json()["code"]) == (409, "preset-not-reached")
    assert device.ptz.presets["p1"][0] == "Gate"
    assert (await guard.post(url, json={"op": "remove_preset", "preset": "p1"})).is_success
    assert device.ptz.presets == {}
    gone = await guard.post(url, json={"op": "remove_preset", "preset": "p1"})
    assert gone.json()["code"] == "camera-refused"
    for body in ({"op": "rename_preset", "preset": "p1"}, {"op": "remove_preset"}):
        assert (await guard.post(url, json=body)).json()["code"] == "nothing-to-do"


async def test_whom_a_camera_obeys_it_obeys_alone(
    guard: Client, sign_in: SignIn, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    """It says who may turn it; while one does nobody else can, but everybody may stop it."""
    other = await sign_in(Role.SUPERVISOR)
    assert "camera.ptz" in (await guard.get(f"{URL}/{camera['id']}")).json()["actions"]
    url = path(camera, "ptz")
    move = {"op": "move", "pan": 0.1, "tilt": 0}
    assert (await guard.post(url, json=move)).is_success
    for body in (move, {"op": "home"}):
        refused = await other.post(url, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "ptz-taken")
    assert (await guard.post(url, json=move)).is_success
    assert (await other.get(url)).json()["moving"] is True
    assert (await other.post(url, json={"op": "stop"})).is_success
    assert device.ptz.moving == (False, False)
    assert (await other.post(url, json=move)).is_success
    assert (await other.post(url, json={"op": "stop"})).is_success


@pytest.mark.parametrize("quirk", [Quirk.PTZ_STATUS_INVALID, Quirk.NO_PTZ_LIMITS])
async def test_a_sloppy_head_turns_nevertheless(
    guard: Client, device: OnvifDevice, camera: dict[str, Any], quirk: Quirk
) -> None:
    device.quirks = {quirk}
    head = (await guard.get(path(camera, "ptz"))).json()
    assert head["can_move"]
    assert (head["position"] is None) == (quirk is Quirk.PTZ_STATUS_INVALID)
    body = {"op": "move", "pan": 1, "tilt": 0, "zoom": 0}
    assert (await guard.post(path(camera, "ptz"), json=body)).is_success
    assert (await guard.post(path(camera, "ptz"), json={"op": "stop"})).json()["moving"] is False
    assert device.ptz.commands == ["ContinuousMove", "Stop"]


async def test_a_camera_without_a_head_says_so(
    guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    device.quirks = {Quirk.NO_PTZ}
    answer = await guard.get(path(camera, "ptz"))
    assert (answer.status_code, answer.json()["code"]) == (409, "no-ptz")
    answer = await guard.post(path(camera, "ptz"), json={"op": "stop"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no-ptz")


@pytest.mark.faults
async def test_a_stop_that_never_arrives_is_told_and_tried_until_it_does(
    hub: Hub, guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    device.quirks = {Quirk.PTZ_IGNORES_TIMEOUT}
    body = {"op": "move", "pan": 1, "tilt": 0}
    assert (await guard.post(path(camera, "ptz"), json=body)).is_success
    await device.close()
    answer = await guard.post(path(camera, "ptz"), json={"op": "stop"})
    assert (answer.status_code, answer.json()["code"]) == (502, "ptz-stop-failed")
    assert "may still be turning" in answer.json()["detail"]
    assert hub.remote.leases.moving(UUID(camera["id"]))
    await device.start()
    await until(lambda: not device.ptz.moving[0], timeout=15)


async def test_a_hub_that_ends_stops_what_moves(
    hub: Hub, guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    device.quirks = {Quirk.PTZ_IGNORES_TIMEOUT}
    body = {"op": "move", "pan": 0.1, "tilt": 0}
    assert (await guard.post(path(camera, "ptz"), json=body)).is_success
    await hub.remote.close()
    assert device.ptz.commands == ["ContinuousMove", "Stop"]
    assert device.ptz.moving == (False, False)


async def test_moves_and_stops_of_many_keep_their_order(
    guard: Client, device: OnvifDevice, camera: dict[str, Any]
) -> None:
    url = path(camera, "ptz")
    await guard.get(url)
    asked = [{"op": "move", "pan": 0.1, "tilt": 0}, {"op": "move", "pan": -0.1, "tilt": 0}] * 5
    await asyncio.gather(*(guard.post(url, json=body) for body in asked))
    stopped = await guard.post(url, json={"op": "stop"})
    assert stopped.json()["moving"] is False
    assert device.ptz.commands[-1] == "Stop"
    assert device.ptz.moving == (False, False)
