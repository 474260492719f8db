"""How long recordings are kept: the law's bounds, a disk's need, and what was withdrawn."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from access.households.models import Household
from access.jurisdictions import Law
from access.ledger.models import LedgerEntry
from camera_hub.recording.index.models import RecordingDeletion
from camera_hub.recording.index.retention import hours_in_force
from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from tests.camera_hub.recording.index.conftest import (
    Shelf,
    make_disk,
    make_recordings,
    settings_of,
)
from tests.support.stores import ON_SQLITE

CN = Law.load(None, "cn")
MB = 1_000_000


async def deletions(shelf: Shelf) -> list[tuple[str, int, int]]:
    async with shelf.database.read() as session:
        rows = await session.scalars(select(RecordingDeletion).order_by(RecordingDeletion.id))
        return [(row.cause, row.segments, row.bytes) for row in rows]


async def ledger(shelf: Shelf) -> list[tuple[str, str]]:
    async with shelf.database.read() as session:
        rows = await session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq))
        return [(row.kind, row.subject) for row in rows]


@pytest.mark.parametrize(
    ("place", "kind", "asked", "expected"),
    [
        ("street", "public_space", None, (720, 720)),
        ("street", "public_space", 48, (720, 720)),  # from before the law: the floor counts
        ("street", "public_space", 1000, (1000, 720)),
        ("", "shared_space", None, (None, 0)),
        ("", "shared_space", 72, (72, 0)),
        ("street", "home", 24, (24, 0)),
        ("gone-from-the-law", "public_space", 24, (24, 0)),
    ],
)
def test_the_law_bounds_what_was_asked_for(
    place: str, kind: str, asked: int | None, expected: tuple[int | None, int]
) -> None:
    assert hours_in_force(CN, place, kind, asked) == expected


async def test_what_is_too_old_goes_with_its_thumbnails_and_is_written_down(shelf: Shelf) -> None:
    forgotten: list[tuple[UUID, Any, Any]] = []
    shelf.recordings.sweeper.forget.append(lambda *what: forgotten.append(what))
    kept, forever = await shelf.camera(retention_hours=48), await shelf.camera()
    old = await shelf.record(kept, [72, 60, 49, 47, 1])
    always = await shelf.record(forever, [2000])
    report = await shelf.recordings.sweep()
    assert report.deleted == {"retention": 3}
    assert shelf.on_disk(old) == [False, False, False, True, True]
    assert await shelf.indexed(kept) == [one.id for one in old[3:]]
    assert await shelf.indexed(forever) == [always[0].id]
    assert await deletions(shelf) == [("retention", 3, sum(one.bytes for one in old[:3]))]
    assert await ledger(shelf) == [("recording.deleted", str(kept))]
    assert [(c, a, b) for c, a, b in forgotten] == [
        (kept, one.started_at, one.ends_at) for one in old[:3]
    ]
    # The day's folder is gone with its last file; that of today stays.
    assert len(list((shelf.disk / str(kept)).iterdir())) == 2
    assert (await shelf.recordings.sweep()).deleted == {}


async def test_what_was_withdrawn_goes_at_once_unless_it_is_locked(shelf: Shelf) -> None:
    household = Household(id=new_id(), name="Flat", area="demo/here", created_at=shelf.clock.now())
    async with shelf.database.transaction() as session:
        session.add(household)
    removed = await shelf.camera(retention_hours=720)
    home = await shelf.camera(place_kind="home", household_id=household.id)
    first, second = await shelf.record(removed, [5, 1]), await shelf.record(home, [5, 1])
    assert (await shelf.recordings.sweep(only_withdrawn=True)).deleted == {}
    async with shelf.database.transaction() as session:
        from camera_hub.devices.models import Camera

        gone = await session.get_one(Camera, removed)
        gone.deleted_at = shelf.clock.now()
        (await session.get_one(Household, household.id)).closed_at = shelf.clock.now()
    await lock(shelf, home, second[1])
    report = await shelf.recordings.sweep(only_withdrawn=True)
    assert report.deleted == {"withdrawn": 3}
    assert shelf.on_disk(first) == [False, False]
    assert shelf.on_disk(second) == [False, True]
    assert {cause for cause, _, _ in await deletions(shelf)} == {"withdrawn"}


async def lock(shelf: Shelf, camera_id: UUID, segment: Any, hours: float = 24) -> UUID:
    from camera_hub.recording.index.locks import LockedCamera, LockWanted

    async with shelf.database.transaction() as session:
        row = await shelf.recordings.locks.lock(
            session,
            None,
            LockedCamera(camera_id, "Gate", "demo/here"),
            LockWanted(
                segment.started_at,
                segment.ends_at,
                "A theft",
                shelf.clock.now() + timedelta(hours=hours),
            ),
        )
        return row.id


@ON_SQLITE
async def test_a_camera_that_the_database_does_not_know_loses_nothing(shelf: Shelf) -> None:
    stranger = new_id()
    files = await shelf.record(stranger, [5000])
    await shelf.recordings.sweep()
    assert shelf.on_disk(files) == [True]


@ON_SQLITE
async def test_a_clock_that_jumps_ahead_deletes_nothing_for_an_hour(shelf: Shelf) -> None:
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [1])
    await shelf.recordings.sweep()
    shelf.clock.jump(timedelta(days=30).total_seconds())
    assert (await shelf.recordings.sweep()).clock_jumped
    assert shelf.on_disk(files) == [True]
    shelf.clock.jump(-timedelta(days=30).total_seconds())
    assert (await shelf.recordings.sweep()).clock_jumped
    shelf.clock.advance(3601)
    assert not (await shelf.recordings.sweep()).clock_jumped
    assert shelf.on_disk(files) == [True]


async def test_a_clock_that_jumps_ahead_opens_no_lock_and_no_floor_for_room(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    shelf = Shelf(
        make_recordings(database, clock, settings_of(tmp_path / "data", quota_gb=0.08), CN),
        database, clock, make_disk(tmp_path / "disk"),
    )  # fmt: skip
    public = await shelf.camera(place_type="street", place_kind="public_space", retention_hours=900)
    free = await shelf.camera()
    young = await shelf.record(public, [5], size=35 * MB)
    evidence = await shelf.record(free, [700], size=35 * MB)
    await lock(shelf, free, evidence[0], hours=240)
    shelf.clock.jump(timedelta(days=60).total_seconds())
    (disk,) = await shelf.recordings.make_room()
    assert disk.state == "full"
    assert shelf.on_disk(young + evidence) == [True, True]
    # An hour later the clock is believed: a machine that was off for long has such a clock.
    shelf.clock.advance(3601)
    (disk,) = await shelf.recordings.make_room()
    assert shelf.on_disk(young + evidence) == [False, False]
    assert disk.state == "ok"


async def test_a_camera_that_is_removed_keeps_what_the_law_wants_kept(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    from camera_hub.devices.models import Camera

    shelf = Shelf(
        make_recordings(database, clock, settings_of(tmp_path / "data"), CN),
        database, clock, make_disk(tmp_path / "disk"),
    )  # fmt: skip
    public = await shelf.camera(place_type="street", place_kind="public_space", retention_hours=900)
    files = await shelf.record(public, [850, 719, 1])
    async with shelf.database.transaction() as session:
        (await session.get_one(Camera, public)).deleted_at = clock.now()
    assert (await shelf.recordings.sweep(only_withdrawn=True)).deleted == {"withdrawn": 1}
    assert shelf.on_disk(files) == [False, True, True]
    clock.advance(2 * 3600)
    assert (await shelf.recordings.sweep(only_withdrawn=True)).deleted == {"withdrawn": 1}
    assert shelf.on_disk(files) == [False, False, True]


async def test_a_full_disk_takes_the_oldest_that_law_and_locks_let_go(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "data", quota_gb=0.5)
    shelf = Shelf(
        make_recordings(database, clock, settings, CN),
        database, clock, make_disk(tmp_path / "disk"),
    )  # fmt: skip
    public = await shelf.camera(place_type="street", place_kind="public_space", retention_hours=900)
    free = await shelf.camera()
    protected = await shelf.record(public, [800, 750, 10], size=60 * MB)
    ring = await shelf.record(free, [700, 600, 500, 400, 300], size=60 * MB)
    await lock(shelf, free, ring[0])
    await lock(shelf, public, protected[0])
    # 480 of 500 MB are used; a recorder wants 64 free, and something comes next: 200 MB are near.
    (disk,) = await shelf.recordings.make_room()
    assert shelf.on_disk(protected) == [True, False, True]
    assert shelf.on_disk(ring) == [True, False, True, True, True]
    assert disk.state == "ok"
    assert await deletions(shelf) == [("quota", 1, 60 * MB)] * 2
    # Now everything that is left is locked or under the floor, but for three of the ring.
    await shelf.record(public, [5, 4, 3, 2], size=60 * MB)
    shelf.clock.advance(601)  # the index is counted anew
    (disk,) = await shelf.recordings.make_room()
    assert shelf.on_disk(ring) == [True, False, False, False, False]
    assert shelf.on_disk(protected) == [True, False, True]
    assert disk.state == "ok"
    await shelf.record(public, [1.5], size=60 * MB)
    shelf.clock.advance(601)
    (disk,) = await shelf.recordings.make_room()
    assert (disk.state, disk.reason) == ("full", "no-room")
    assert disk.full_at == clock.now()
    assert shelf.on_disk(protected) == [True, False, True]
    assert shelf.on_disk(ring)[0]


@ON_SQLITE
async def test_a_lock_that_has_expired_or_ended_keeps_nothing(shelf: Shelf) -> None:
    camera = await shelf.camera(retention_hours=2)
    files = await shelf.record(camera, [3, 2.5])
    await lock(shelf, camera, files[0], hours=1)
    ended = await lock(shelf, camera, files[1], hours=10)
    assert (await shelf.recordings.sweep()).deleted == {}
    async with shelf.database.transaction() as session:
        row = await shelf.recordings.locks.get(session, ended)
        from access.policy.types import ANONYMOUS

        await shelf.recordings.locks.unlock(session, ANONYMOUS, row, "demo/here")
    shelf.clock.advance(3600)
    async with shelf.database.transaction() as session:
        assert await shelf.recordings.locks.expire(session) == 1
        assert await shelf.recordings.locks.expire(session) == 0
    assert (await shelf.recordings.sweep()).deleted == {"retention": 2}
    kinds = [kind for kind, _ in await ledger(shelf)]
    assert kinds == [
        "recording.locked", "recording.locked", "recording.unlocked", "recording.lock_expired",
        "recording.deleted",
    ]  # fmt: skip
