"""Invariant 8: index before delete.

A file is deleted only when the index says so; what the disk has and the index lacks is re-indexed,
never erased. Evidence under lock survives disk pressure.
"""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from camera_hub.recording.index.locks import LockedCamera, LockWanted
from camera_hub.recording.index.models import RecordingDeletion, Segment
from core.clock import ManualClock
from core.database import Database
from tests.camera_hub.recording.index.conftest import (
    Shelf,
    make_disk,
    make_recordings,
    settings_of,
)
from tests.support.stores import ON_SQLITE

MB = 1_000_000

CHILD = """
import asyncio, os, signal, sys
from datetime import datetime
from pathlib import Path
from core.clock import ManualClock
from core.database import Database
from tests.camera_hub.recording.index.conftest import make_recordings, settings_of

url, data, now, where = sys.argv[1:]
removed, real = 0, os.unlink

def unlink(*args, **more):
    global removed
    if where == "before" or (where == "between" and removed == 2):
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args, **more)
    removed += 1

async def main():
    database = Database(url)
    clock = ManualClock(datetime.fromisoformat(now))
    recordings = make_recordings(database, clock, settings_of(Path(data)))
    os.unlink = unlink
    async def die(*args):
        os.kill(os.getpid(), signal.SIGKILL)
    if where == "after":
        recordings.sweeper._note = die
    await recordings.sweep()

asyncio.run(main())
"""


async def rows(shelf: Shelf) -> tuple[int, int]:
    """Return how many rows there are, and how many are being deleted."""
    async with shelf.database.read() as session:
        every = await session.scalar(select(func.count()).select_from(Segment)) or 0
        marked = select(func.count()).select_from(Segment).where(Segment.deleting)
        return every, await session.scalar(marked) or 0


async def deleted(shelf: Shelf) -> int:
    async with shelf.database.read() as session:
        return await session.scalar(select(func.sum(RecordingDeletion.segments))) or 0


@pytest.mark.faults
@pytest.mark.parametrize(("where", "left"), [("before", 4), ("between", 2), ("after", 0)], ids=str)
async def test_a_sweep_that_is_killed_is_finished_by_the_next(
    shelf: Shelf, store_url: str, where: str, left: int
) -> None:
    """Between the mark and the first file, between two files, between the files and their rows."""
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [90, 80, 70, 60, 1])
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, store_url, str(shelf.disk.parent / "data"),
         shelf.clock.now().isoformat(), where],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert sum(shelf.on_disk(files[:4])) == left
    # The index knew before any file went, and shows nobody what is going.
    assert await rows(shelf) == (5, 4)
    assert await shelf.indexed(camera) == [files[4].id]
    report = await shelf.recordings.sweep()
    assert report.deleted == {"retention": 4}
    assert shelf.on_disk(files) == [False] * 4 + [True]
    assert await rows(shelf) == (1, 0)
    assert await deleted(shelf) == 4


async def test_what_the_index_does_not_know_is_never_deleted_but_indexed(shelf: Shelf) -> None:
    camera = await shelf.camera(retention_hours=48)
    old = await shelf.record(camera, [90, 80, 1])
    # The index was restored from a backup: it knows nothing of any file.
    async with shelf.database.transaction() as session:
        for row in await session.scalars(select(Segment)):
            await session.delete(row)
    (shelf.disk / str(camera) / "notes.txt").write_text("by hand")
    stray = shelf.disk / "elsewhere.mp4"
    stray.write_bytes(b"?")
    assert (await shelf.recordings.sweep()).deleted == {}
    assert shelf.on_disk(old) == [True] * 3
    _age(shelf, old)
    report = await shelf.recordings.check(adopt=True)
    assert (report.unknown, report.indexed, report.missing) == (3, 3, 0)
    assert await shelf.indexed(camera) == [one.id for one in old]
    # Now it says so.
    assert (await shelf.recordings.sweep()).deleted == {"retention": 2}
    assert shelf.on_disk(old) == [False, False, True]
    assert stray.exists()
    assert (shelf.disk / str(camera) / "notes.txt").exists()


def _age(shelf: Shelf, files: list) -> None:  # type: ignore[type-arg]
    """Files are as old as the clock of the test would have them."""
    at = (shelf.clock.now() - timedelta(minutes=30)).timestamp()
    for one in files:
        os.utime(shelf.disk / one.path, (at, at))


async def test_evidence_under_lock_survives_disk_pressure(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "data", quota_gb=0.2)
    shelf = Shelf(
        make_recordings(database, clock, settings), database, clock, make_disk(tmp_path / "disk")
    )
    camera = await shelf.camera(retention_hours=1)
    files = await shelf.record(camera, [30, 20, 10], size=100 * MB)
    async with database.transaction() as session:
        for one in files:
            await shelf.recordings.locks.lock(
                session,
                None,
                LockedCamera(camera, "Gate", "demo/here"),
                LockWanted(
                    one.started_at + timedelta(milliseconds=500),
                    one.ends_at + timedelta(seconds=5),
                    "A theft",
                    clock.now() + timedelta(days=9),
                ),
            )
    (disk,) = await shelf.recordings.make_room()
    assert disk.state == "full"
    assert (await shelf.recordings.sweep()).deleted == {}
    assert shelf.on_disk(files) == [True] * 3
    clock.advance(timedelta(days=9).total_seconds() + 1)
    (disk,) = await shelf.recordings.make_room()
    # No more than is needed goes.
    assert shelf.on_disk(files) == [False, False, True]
    assert disk.state == "ok"


@pytest.mark.faults
@pytest.mark.parametrize("how", ["no marker", "another disk", "no folder"])
@ON_SQLITE
async def test_a_disk_that_is_away_has_lost_nothing(shelf: Shelf, how: str) -> None:
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [90, 1])
    there = shelf.disk.with_name("there")
    shelf.disk.rename(there)
    if how != "no folder":
        shelf.disk.mkdir()
    if how == "another disk":
        (shelf.disk / ".camera-hub-disk").write_text("other\n")
    assert (await shelf.recordings.sweep()).deleted == {}
    report = await shelf.recordings.check(repair=True)
    assert (report.missing, report.removed, report.away) == (0, 0, ["main"])
    (disk,) = await shelf.recordings.make_room()
    assert disk.state == "away"
    assert await rows(shelf) == (2, 0)
    if how != "no folder":
        for path in shelf.disk.iterdir():
            path.unlink()
        shelf.disk.rmdir()
    there.rename(shelf.disk)
    assert (await shelf.recordings.sweep()).deleted == {"retention": 1}
    assert shelf.on_disk(files) == [False, True]


@pytest.mark.faults
@ON_SQLITE
async def test_a_disk_that_goes_while_it_is_swept_has_lost_nothing(shelf: Shelf) -> None:
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [90, 80, 70])
    away = shelf.disk.with_name("away")
    real, done = os.unlink, []

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        real(path, dir_fd=dir_fd)
        done.append(path)
        if len(done) == 1:
            (shelf.disk / ".camera-hub-disk").rename(shelf.disk / "marker")
            (shelf.disk / str(camera)).rename(away)

    os.unlink = unlink  # type: ignore[assignment]
    try:
        report = await shelf.recordings.sweep()
    finally:
        os.unlink = real
    assert (report.deleted, report.kept) == ({}, 3)
    assert await rows(shelf) == (3, 3)
    away.rename(shelf.disk / str(camera))
    (shelf.disk / "marker").rename(shelf.disk / ".camera-hub-disk")
    assert (await shelf.recordings.sweep()).deleted == {"retention": 3}
    assert shelf.on_disk(files) == [False] * 3


async def test_two_sweeps_at_once_delete_and_count_everything_once(
    shelf: Shelf, store_url: str
) -> None:
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [*range(50, 110), 1])
    other = Database(store_url)
    try:
        second = make_recordings(other, shelf.clock, settings_of(shelf.disk.parent / "data"))
        reports = await asyncio.gather(shelf.recordings.sweep(), second.sweep())
    finally:
        await other.close()
    assert sum(report.deleted.get("retention", 0) for report in reports) == 60
    assert await deleted(shelf) == 60
    assert shelf.on_disk(files) == [False] * 60 + [True]
    assert await rows(shelf) == (1, 0)


@ON_SQLITE
async def test_no_link_leads_a_sweep_out_of_its_disk(shelf: Shelf, tmp_path: Path) -> None:
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [200, 150, 100])
    outside = tmp_path / "outside"
    outside.mkdir()
    victim = outside / files[0].path.rpartition("/")[2]
    victim.write_text("not yours")
    first = (shelf.disk / files[0].path).parent
    first.rename(first.with_name("moved"))
    first.symlink_to(outside)
    # A link in place of a file goes nowhere either.
    second = shelf.disk / files[1].path
    second.unlink()
    second.symlink_to(victim)
    report = await shelf.recordings.sweep()
    assert victim.read_text() == "not yours"
    assert (report.deleted, report.kept) == ({"retention": 1}, 2)
    assert await rows(shelf) == (2, 2)


async def test_a_lock_and_a_sweep_at_once_never_lose_what_is_locked(
    shelf: Shelf, store_url: str
) -> None:
    """Whatever comes first: what is locked and was not marked before stays."""
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [60, 50])
    wanted = LockWanted(
        files[0].started_at, files[0].ends_at, "A theft", shelf.clock.now() + timedelta(days=1)
    )

    async def lock() -> None:
        async with shelf.database.transaction() as session:
            await shelf.recordings.locks.lock(
                session, None, LockedCamera(camera, "Gate", "demo/here"), wanted
            )
            # Until here the sweep, which began, could not mark anything.
            held.set()
            if not shelf.database.is_sqlite:
                await asyncio.sleep(0.3)

    held = asyncio.Event()
    other = Database(store_url)
    second = make_recordings(other, shelf.clock, settings_of(shelf.disk.parent / "data"))
    locking = asyncio.create_task(lock())
    await held.wait()
    report = await second.sweep()
    await locking
    await other.close()
    assert report.deleted == {"retention": 1}
    assert shelf.on_disk(files) == [True, False]
    assert await shelf.indexed(camera) == [files[0].id]
