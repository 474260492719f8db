"""Zones in the store: replaced as one set, under one version, on both stores."""

from uuid import UUID

import pytest

from analytics.zones import service
from analytics.zones.schemas import Rule, ZoneIn, ZonesOut, ZonesUpdate
from camera_hub.devices.models import Camera
from core.clock import ManualClock
from core.database import Database
from core.errors import ConflictError
from core.ids import new_id

TRIANGLE = ((0.1, 0.1), (0.9, 0.1), (0.5, 0.9))


def named(*names: str) -> tuple[ZoneIn, ...]:
    return tuple(
        ZoneIn(name=name, polygon=TRIANGLE, rules=(Rule(kind="intrusion"),)) for name in names
    )


async def add_camera(database: Database, clock: ManualClock) -> UUID:
    camera_id = new_id()
    async with database.transaction() as session:
        session.add(
            Camera(
                id=camera_id,
                name="Gate 3",
                area="demo",
                place_kind="public_space",
                source_kind="rtsp",
                address="rtsp://192.0.2.1/",
                created_at=clock.now(),
            )
        )
    return camera_id


async def put(
    database: Database, clock: ManualClock, camera: UUID, version: int, zones: tuple[ZoneIn, ...]
) -> ZonesOut:
    async with database.transaction() as session:
        return await service.replace_zones(
            session, clock, camera, ZonesUpdate(version=version, zones=zones)
        )


async def read(database: Database, camera: UUID) -> ZonesOut:
    async with database.read() as session:
        return await service.read_zones(session, camera)


async def test_zones_are_replaced_as_one_set_and_keep_their_ids(
    database: Database, clock: ManualClock
) -> None:
    camera = await add_camera(database, clock)
    assert await read(database, camera) == ZonesOut(version=0, zones=())
    first = await put(database, clock, camera, 0, named("one", "two"))
    assert first.version == 1
    assert await read(database, camera) == first
    kept = first.zones[1]
    changed = ZoneIn(id=kept.id, name="two, renamed", polygon=TRIANGLE)
    second = await put(database, clock, camera, 1, (changed, *named("three")))
    assert [zone.name for zone in second.zones] == ["two, renamed", "three"]
    assert second.zones[0].id == kept.id
    assert await read(database, camera) == second


async def test_of_two_editors_the_second_is_told(database: Database, clock: ManualClock) -> None:
    camera = await add_camera(database, clock)
    await put(database, clock, camera, 0, named("first"))
    for stale in (0, 7):
        with pytest.raises(ConflictError) as refused:
            await put(database, clock, camera, stale, named("late"))
        assert refused.value.code == "version-conflict"
        assert refused.value.detail == {"current": 1}
    assert [zone.name for zone in (await read(database, camera)).zones] == ["first"]


async def test_the_id_of_another_cameras_zone_is_not_taken_over(
    database: Database, clock: ManualClock
) -> None:
    mine, other = await add_camera(database, clock), await add_camera(database, clock)
    theirs = (await put(database, clock, other, 0, named("theirs"))).zones[0]
    same_id = ZoneIn(id=theirs.id, name="mine", polygon=TRIANGLE)
    put_mine = await put(database, clock, mine, 0, (same_id, same_id))
    assert theirs.id not in {zone.id for zone in put_mine.zones}
    async with database.read() as session:
        both = await service.zones_of_cameras(session, [mine, other, new_id()])
    assert [zone.name for zone in both[other].zones] == ["theirs"]
    assert both[mine] == put_mine
    assert len(both) == 3
