"""Who turns a camera, for all processes of a site, on both stores."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from camera_hub.devices import ptz
from camera_hub.devices.address import CameraAddress, parse_address
from camera_hub.devices.conversations import Conversations
from camera_hub.devices.ptz_leases import LEASE_S, PtzLeases
from camera_hub.devices.ptz_rows import ABANDONED_AFTER_S, STOPPING_S, PtzRows
from camera_hub.simulator.onvif import OnvifDevice
from camera_hub.simulator.onvif_xml import StreamProfile
from camera_hub.simulator.quirks import Quirk
from core.clock import ManualClock, SystemClock
from core.database import Database
from core.errors import ConflictError
from core.ids import new_id
from tests.support.stores import ON_SQLITE
from tests.support.waiting import until

RIGHT = ptz.Place(pan=0.3, tilt=0.0)


async def is_taken(rows: PtzRows, camera: UUID, who: str) -> bool:
    try:
        await rows.take(camera, who, LEASE_S)
    except ConflictError as error:
        return error.code == "ptz-taken"
    return False


async def test_two_people_never_turn_one_camera(database: Database, clock: ManualClock) -> None:
    here, there, camera = PtzRows(database, clock), PtzRows(database, clock), new_id()
    assert not await is_taken(here, camera, "ann")
    assert await is_taken(there, camera, "bob")
    assert await is_taken(here, camera, "bob"), "the same process makes no difference"
    with pytest.raises(ConflictError):
        await there.check(camera, "bob")
    assert not await is_taken(there, new_id(), "bob")
    # Her next request goes to the other process, which sees to the stop from then on.
    assert not await is_taken(there, camera, "ann")
    assert await here.of_another(camera)
    assert not await there.of_another(camera)
    await here.drop(camera)
    assert await is_taken(here, camera, "bob"), "nobody drops another's"
    clock.advance(LEASE_S + 0.1)
    assert not await here.live(camera)
    assert not await is_taken(here, camera, "bob")
    await here.drop(camera)
    assert not await is_taken(there, camera, "ann")


async def test_only_one_of_many_at_once_gets_it(database: Database, clock: ManualClock) -> None:
    camera = new_id()
    asked = [is_taken(PtzRows(database, clock), camera, f"person {n}") for n in range(6)]
    assert sorted(await asyncio.gather(*asked)) == [False] + [True] * 5


async def test_what_a_dead_process_left_is_adopted_once(
    database: Database, clock: ManualClock
) -> None:
    dead, camera, other = PtzRows(database, clock), new_id(), new_id()
    await dead.take(camera, "ann", LEASE_S)
    await dead.take(other, "ann", LEASE_S)
    await dead.stopping(other)
    living = [PtzRows(database, clock) for _ in range(2)]
    assert await living[0].adopt() == [], "it may be alive"
    clock.advance(LEASE_S + ABANDONED_AFTER_S + 0.1)
    found = await asyncio.gather(*(one.adopt() for one in living))
    assert sorted(found) == [[], [camera]]
    assert not await is_taken(living[0], camera, "bob"), "whoever wants may turn it"
    clock.advance(STOPPING_S)
    assert other in await living[1].adopt()


async def test_a_clock_that_was_set_back_locks_nobody_out(
    database: Database, clock: ManualClock
) -> None:
    before, camera = PtzRows(database, clock), new_id()
    await before.take(camera, "ann", LEASE_S)
    back = ManualClock(clock.now() - timedelta(hours=1))
    assert not await is_taken(PtzRows(database, back), camera, "bob")


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    profile = StreamProfile("one", "rtsp://127.0.0.1:8554/one", 1280, 720, 25, 2000, 25)
    made = OnvifDevice([profile], username="viewer", password="s3cret", clock=SystemClock())
    # It turns until it is told to stop.
    made.quirks = {Quirk.PTZ_IGNORES_TIMEOUT}
    await made.start()
    yield made
    await made.close()


def address_of(device: OnvifDevice) -> CameraAddress:
    found = parse_address("onvif", device.address)
    return CameraAddress(
        host=found.host, port=found.port, url=found.url, text=found.text, username="viewer",
        password="s3cret",
    )  # fmt: skip


@ON_SQLITE
@pytest.mark.faults
async def test_a_camera_that_a_dead_process_left_turning_is_stopped(
    database: Database, device: OnvifDevice
) -> None:
    """The process that turned it is gone with its watcher; another finds the row."""
    clock, camera, address = SystemClock(), new_id(), address_of(device)
    early = ManualClock(clock.now() - timedelta(seconds=LEASE_S + ABANDONED_AFTER_S + 1))
    await PtzRows(database, early).take(camera, "ann", LEASE_S)
    talks = Conversations(clock)
    async with talks.use(camera, address) as kept:
        await ptz.move(kept.talk, await kept.head_of(), RIGHT, LEASE_S)
    assert device.ptz.moving[0]
    rows = PtzRows(database, clock)
    leases = PtzLeases(clock, talks, rows)

    async def where(_: UUID) -> CameraAddress:
        return address

    assert await leases.adopt(where) == [camera]
    await until(lambda: not device.ptz.moving[0])

    async def forgotten() -> bool:
        return not await rows.live(camera)

    await until(forgotten)
    await leases.close()
    await talks.close()


@ON_SQLITE
async def test_a_movement_goes_on_by_another_process_and_is_stopped_by_that_one(
    database: Database, device: OnvifDevice
) -> None:
    clock, camera, address = SystemClock(), new_id(), address_of(device)
    talks = [Conversations(clock) for _ in range(2)]
    first, second = (PtzLeases(clock, one, PtzRows(database, clock)) for one in talks)
    await first.move(camera, address, RIGHT, "ann")
    await second.move(camera, address, RIGHT, "ann")
    with pytest.raises(ConflictError):
        await first.move(camera, address, RIGHT, "bob")
    with pytest.raises(ConflictError):
        await first.instead(camera, address, lambda: asyncio.sleep(0), "bob")

    async def handed_over() -> bool:
        # She goes on by the second; the first one's lease runs out meanwhile.
        await second.move(camera, address, RIGHT, "ann")
        return not first.moving(camera)

    await until(handed_over)
    assert "Stop" not in device.ptz.commands, "the first has left it to the second"
    await second.stop(camera, address)
    assert not device.ptz.moving[0]
    assert not await first.moving_now(camera)
    for leases, talk in zip((first, second), talks, strict=True):
        await leases.close()
        await talk.close()
