"""What cameras notice themselves: in the queue, or told to the worker that records them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from access.policy.types import Role
from api import camera_events
from api.camera_events import CLOCK_OFF_S, SETTLE_S, CameraEvents
from api.hub import Hub, build_hub
from api.only_one import OnlyOne
from camera_hub.devices.motions import LINGER_S, LONGEST_S, Motions
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import StreamProfile
from core.clock import ManualClock, SystemClock
from core.ids import new_id
from core.settings import Settings
from tests.support.http import Client, ServiceClient, SignIn
from tests.support.waiting import until

BOTH_STORES = pytest.mark.parametrize("hub_url", ["sqlite", "postgresql"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("hub_url", ["postgresql"], indirect=True)
AREA = "demo/riverside"
PASSWORD = "p@ss:w/rd?#%"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still at the true time, as the device's clock is compared with it."""
    return ManualClock(SystemClock().now())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests' clock stands still: changes are told, and cameras looked for, at every turn.
    monkeypatch.setattr(camera_events, "SETTLE_S", 0.0)
    monkeypatch.setattr(camera_events, "LOOK_EVERY_S", 0.0)


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    async with asyncio.timeout(60):
        device = make_device()
        await device.start()
        yield device
        await device.close()


def make_device(**more: Any) -> OnvifDevice:
    profile = StreamProfile("main", "rtsp://127.0.0.1:9/main", 1280, 720, 25, 2000, 25)
    return OnvifDevice(
        [profile], username="viewer", password=PASSWORD, clock=SystemClock(), reboot_s=0.1, **more
    )


async def add_camera(admin: Client, device: OnvifDevice, name: str = "Gate") -> str:
    body = {
        "name": name, "area": AREA, "place_kind": "shared_space", "source_kind": "onvif",
        "address": device.address, "username": "viewer", "password": PASSWORD,
    }  # fmt: skip
    made = await admin.post("/api/v1/cameras", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@asynccontextmanager
async def listening(hub: Hub) -> AsyncIterator[CameraEvents]:
    events = CameraEvents(hub)
    task = asyncio.create_task(events.run())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def queue(duty: Client, **wanted: str) -> list[dict[str, Any]]:
    found = (await duty.get("/api/v1/incidents?state=all")).json()["items"]
    return [one for one in found if all(one[key] == value for key, value in wanted.items())]


@BOTH_STORES
async def test_tampering_is_an_incident_that_ends_when_the_camera_says_so(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    camera_id = await add_camera(admin, device)
    async with listening(hub):
        await until(lambda: device.events.subscriptions)
        device.events.tamper(True)
        (opened,) = await until(lambda: queue(duty, kind="camera_tampered"))
        assert (opened["severity"], opened["camera_id"]) == ("severe", camera_id)
        assert opened["headline"] == "Gate says that it is being tampered with"
        device.events.tamper(False)
        await until(lambda: queue(duty, kind="camera_tampered", resolution="recovered"))


async def test_an_input_is_an_incident_with_its_name(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    await add_camera(admin, device)
    async with listening(hub):
        await until(lambda: device.events.subscriptions)
        device.events.digital_input("gas <b>", True)
        device.events.digital_input("water", True)
        found = await until(lambda: _two(duty))
    assert sorted(one["headline"] for one in found) == [
        "Input 'gas <b>' of Gate is active",
        "Input 'water' of Gate is active",
    ]
    assert {one["severity"] for one in found} == {"moderate"}


async def _two(duty: Client) -> list[dict[str, Any]]:
    found = await queue(duty, kind="camera_input")
    return found if len(found) == 2 else []


async def test_a_quiet_camera_opens_nothing_and_leaves_no_place_taken(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    await add_camera(admin, device)
    async with listening(hub):
        await until(lambda: device.asked.count("PullMessages") >= 2)
    assert await queue(duty) == []
    assert not device.events.subscriptions


async def test_what_was_open_before_a_restart_of_the_hub_is_closed(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    await add_camera(admin, device)
    async with listening(hub):
        await until(lambda: device.events.subscriptions)
        device.events.tamper(True)
        await until(lambda: queue(duty, kind="camera_tampered"))
    device.events.tamper(False)  # while nobody listens
    async with listening(hub):
        await until(lambda: queue(duty, kind="camera_tampered", resolution="recovered"))


async def test_motion_is_told_to_the_worker_and_opens_nothing(
    hub: Hub,
    sign_in: SignIn,
    service_client: ServiceClient,
    device: OnvifDevice,
    clock: ManualClock,
) -> None:
    admin, worker = await sign_in(Role.ADMINISTRATOR), await service_client(["worker.heartbeat"])
    duty = await sign_in(Role.DUTY_STAFF)
    camera_id = await add_camera(admin, device)

    async def moving() -> list[str]:
        body = {"pid": 1, "address": "unix:/run/media-0.sock", "cameras": []}
        answer = await worker.post("/api/v1/workers/media-0/heartbeat", json=body)
        found: list[str] = answer.json()["moving"]
        return found

    async with listening(hub):
        await until(lambda: device.events.subscriptions)
        assert await moving() == []
        device.events.motion(True)
        assert await until(moving) == [camera_id]
        device.events.motion(False)

        async def at_rest() -> bool:
            clock.advance(LINGER_S)
            return await moving() == []

        # Long before the hub stops believing what never ends.
        await until(at_rest, timeout=10)
    assert await queue(duty) == []


async def test_a_clock_that_is_wrong_is_said_until_it_is_right(
    hub: Hub, sign_in: SignIn, device: OnvifDevice, clock: ManualClock
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    await add_camera(admin, device)
    device.skew = timedelta(hours=-9)
    async with listening(hub):
        (opened,) = await until(lambda: queue(duty, kind="camera_clock"))
        assert opened["headline"] == "The clock of Gate is 9.0 h behind"
        device.events.forget()

        async def right_again() -> list[dict[str, Any]]:
            # The hub's clock only moves here, and the camera's does by itself.
            clock.advance(SETTLE_S)
            device.skew = clock.now() - SystemClock().now()
            return await queue(duty, kind="camera_clock", resolution="recovered")

        await until(right_again)


async def test_a_clock_that_was_set_here_is_right_at_once(
    hub: Hub, sign_in: SignIn, device: OnvifDevice, clock: ManualClock
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    camera_id = await add_camera(admin, device)
    # So little that what is signed with the time before is taken: no new subscription is made.
    device.skew = clock.now() - SystemClock().now() + timedelta(seconds=CLOCK_OFF_S + 10)
    async with listening(hub):
        await until(lambda: queue(duty, kind="camera_clock"))
        made = await admin.post(f"/api/v1/cameras/{camera_id}/clock", json={"mode": "manual"})
        assert made.status_code == 200, made.text
        await until(lambda: queue(duty, kind="camera_clock", resolution="recovered"))
        assert device.events.made == 1


@pytest.mark.faults
async def test_one_broken_camera_disturbs_no_other(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin, duty = await sign_in(Role.ADMINISTRATOR), await sign_in(Role.DUTY_STAFF)
    broken = make_device()
    await broken.start()
    await add_camera(admin, broken, "Broken")
    await add_camera(admin, device)
    broken.quirks = {Quirk.MALFORMED_XML}
    async with listening(hub):
        await until(lambda: broken.asked and device.events.subscriptions)
        device.events.tamper(True)
        (opened,) = await until(lambda: queue(duty, kind="camera_tampered"))
        assert opened["camera_name"] == "Gate"
    await broken.close()


async def test_a_camera_that_is_switched_off_is_listened_to_no_longer(
    hub: Hub, sign_in: SignIn, device: OnvifDevice
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    camera_id = await add_camera(admin, device)
    url = f"/api/v1/cameras/{camera_id}"
    async with listening(hub):
        await until(lambda: device.events.subscriptions)
        version = (await admin.get(url)).json()["version"]
        changed = await admin.patch(url, json={"version": version, "enabled": False})
        assert changed.status_code == 200, changed.text
        await until(lambda: not device.events.subscriptions)
        assert device.events.ended == 1


@ON_POSTGRES
async def test_a_second_process_does_not_subscribe(
    hub: Hub, sign_in: SignIn, device: OnvifDevice, settings: Settings, clock: ManualClock
) -> None:
    admin = await sign_in(Role.ADMINISTRATOR)
    await add_camera(admin, device)
    second = build_hub(settings, clock)
    try:
        async with listening(second):
            async with listening(hub) as first:
                await until(lambda: device.events.subscriptions)
                await until(lambda: device.asked.count("PullMessages") >= 2)
                assert device.events.made == 1
                assert first is not None
            # Whoever listened has ended: the other takes over.
            device.events.digital_input("door", True)
            await until(lambda: device.events.subscriptions)
    finally:
        await second.close()


@ON_POSTGRES
async def test_only_one_is_the_one(hub: Hub, settings: Settings, clock: ManualClock) -> None:
    second = build_hub(settings, clock)
    one, other = OnlyOne(hub.database, 7), OnlyOne(second.database, 7)
    unlike = OnlyOne(second.database, 8)
    assert await one.is_me()
    assert await one.is_me()
    assert not await other.is_me()
    assert await unlike.is_me()
    await one.release()
    assert await other.is_me()
    await other.release()
    await unlike.release()
    await second.close()


def test_a_camera_that_never_ends_its_motion_is_not_believed_for_ever() -> None:
    clock, camera = ManualClock(), new_id()
    motions = Motions(clock)
    motions.note(camera, "rule", True)
    clock.advance(LONGEST_S - 1)
    assert motions.among([camera]) == [camera]
    assert motions.among([UUID(int=1)]) == []
    clock.advance(2)
    assert motions.among([camera]) == []


def test_motion_of_one_rule_goes_on_while_another_ends() -> None:
    clock, camera = ManualClock(), new_id()
    motions = Motions(clock)
    motions.note(camera, "left", True)
    motions.note(camera, "right", True)
    motions.note(camera, "left", False)
    clock.advance(LINGER_S + 1)
    assert motions.among([camera]) == [camera]
    motions.forget(camera)
    clock.advance(LINGER_S + 1)
    assert motions.among([camera]) == []
