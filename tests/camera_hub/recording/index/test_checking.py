"""Index and disks are compared both ways; what differs is told, and nothing is erased."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from camera_hub.recording.index.checking import CheckReport
from camera_hub.recording.index.models import RecordingDeletion, Segment
from camera_hub.recording.index.schemas import SegmentIn
from core.ids import new_id
from tests.camera_hub.recording.index.conftest import Shelf
from tests.support.recorded import write_segment
from tests.support.stores import ON_SQLITE


def age(shelf: Shelf, *files: SegmentIn | Path) -> None:
    """Files are half an hour old by the clock of the test."""
    at = (shelf.clock.now() - timedelta(minutes=30)).timestamp()
    for one in files:
        os.utime(one if isinstance(one, Path) else shelf.disk / one.path, (at, at))


async def forget(shelf: Shelf) -> None:
    async with shelf.database.transaction() as session:
        await session.execute(delete(Segment))


async def hashes(shelf: Shelf) -> list[str]:
    async with shelf.database.read() as session:
        return list(await session.scalars(select(Segment.sha256).order_by(Segment.started_at)))


async def test_an_index_is_made_anew_from_the_files_alone(shelf: Shelf) -> None:
    first, second = await shelf.camera(), await shelf.camera()
    files = [*await shelf.record(first, [50, 49, 2]), *await shelf.record(second, [30])]
    age(shelf, *files)
    async with shelf.database.read() as session:
        before = (await session.execute(select(Segment.__table__).order_by(Segment.id))).all()
    await forget(shelf)
    seen: list[tuple[int, int]] = []
    report = await shelf.recordings.check(
        "hash", repair=True, progress=lambda done, total, _: seen.append((done, total))
    )
    assert (report.unknown, report.indexed, report.broken, report.good) == (4, 4, 0, True)
    assert seen == [(n, 3) for n in range(1, 4)]
    async with shelf.database.read() as session:
        after = (await session.execute(select(Segment.__table__).order_by(Segment.id))).all()
    assert after == before
    again = await shelf.recordings.check("hash", repair=True)
    assert (again.unknown, again.hashed, again.files, again.rows) == (0, 4, 4, 4)


async def test_without_repair_nothing_is_changed(shelf: Shelf) -> None:
    camera = await shelf.camera()
    files = await shelf.record(camera, [50, 2])
    age(shelf, *files)
    await forget(shelf)
    report = await shelf.recordings.check("hash")
    assert (report.unknown, report.indexed, report.good) == (2, 0, False)
    assert report.unknown_files == [f"main:{one.path}" for one in files]
    assert await shelf.indexed(camera) == []


async def test_a_file_that_is_gone_is_told_and_only_a_repair_takes_its_row(shelf: Shelf) -> None:
    camera = await shelf.camera()
    files = await shelf.record(camera, [50, 30, 2])
    age(shelf, *files)
    (shelf.disk / files[1].path).unlink()
    (shelf.disk / files[1].path).parent.rmdir()
    report = await shelf.recordings.check()
    assert (report.missing, report.removed, report.good) == (1, 0, False)
    assert report.missing_files == [f"main:{files[1].path}"]
    assert len(await shelf.indexed(camera)) == 3
    report = await shelf.recordings.check(repair=True)
    assert (report.missing, report.removed, report.good) == (1, 1, True)
    assert await shelf.indexed(camera) == [files[0].id, files[2].id]
    async with shelf.database.read() as session:
        (row,) = await session.scalars(select(RecordingDeletion))
    assert (row.cause, row.segments, row.from_at) == ("lost", 1, files[1].started_at)
    assert (await shelf.recordings.check()).good


@ON_SQLITE
async def test_each_depth_finds_what_it_looks_for(shelf: Shelf) -> None:
    camera = await shelf.camera()
    short, flipped, good = await shelf.record(camera, [50, 30, 2])
    with (shelf.disk / short.path).open("r+b") as file:
        file.truncate(short.bytes - 1)
    with (shelf.disk / flipped.path).open("r+b") as file:
        file.seek(flipped.bytes // 2)
        byte = file.read(1)[0]
        file.seek(flipped.bytes // 2)
        file.write(bytes([byte ^ 1]))
    age(shelf, short, flipped, good)
    found = {depth: await shelf.recordings.check(depth) for depth in ("presence", "size", "hash")}
    assert [report.changed for report in found.values()] == [0, 1, 2]
    assert found["hash"].changed_files == [f"main:{short.path}", f"main:{flipped.path}"]
    assert found["presence"].good
    # Evidence of what happened stays: a repair changes neither file nor hash.
    report = await shelf.recordings.check("hash", repair=True)
    assert (report.changed, report.removed) == (2, 0)
    assert await hashes(shelf) == [short.sha256, flipped.sha256, good.sha256]


@ON_SQLITE
async def test_a_hash_is_filled_in_when_the_file_is_first_read(shelf: Shelf) -> None:
    camera = await shelf.camera()
    files = await shelf.record(camera, [2, 1])
    age(shelf, *files)
    await forget(shelf)
    await shelf.recordings.check(adopt=True)
    assert await hashes(shelf) == ["", ""]
    await shelf.recordings.check("hash")
    assert await hashes(shelf) == ["", ""]
    await shelf.recordings.check("hash", repair=True)
    assert await hashes(shelf) == [one.sha256 for one in files]


@ON_SQLITE
async def test_what_is_being_written_or_is_no_recording_is_left_alone(shelf: Shelf) -> None:
    camera = await shelf.camera()
    at = shelf.clock.now() - timedelta(hours=3)
    day = shelf.disk / str(camera) / f"{at:%Y-%m-%d}"
    await shelf.record(camera, [5])
    young = write_segment(shelf.disk, camera, at, sequence=7, seconds=1)
    moment = (shelf.clock.now() - timedelta(minutes=2)).timestamp()
    os.utime(shelf.disk / young.path, (moment, moment))
    part = day / "080000-8-sub.mp4.part"
    part.write_bytes(b"ftyp")
    junk, cut = day / "090000-9-main.mp4", day / "091000-10-main.mp4"
    junk.write_bytes(b"no film at all")
    cut.write_bytes((shelf.disk / young.path).read_bytes()[:-40])
    others = [part, junk, cut, shelf.disk / "notes.txt", day / "note.txt"]
    for path in others[3:]:
        path.write_text("mine")
    # Another camera's file in this folder, and a link out of the disk.
    stranger = write_segment(shelf.disk, new_id(), at, sequence=3, seconds=1)
    moved = day / "100000-3-sub.mp4"
    (shelf.disk / stranger.path).rename(moved)
    link = day / "101000-4-main.mp4"
    link.symlink_to(junk)
    (row,) = await shelf.indexed(camera)
    age(shelf, *others, moved)
    for path in (shelf.disk / str(camera)).rglob("*"):
        if path.is_file() and not path.is_symlink() and path != shelf.disk / young.path:
            age(shelf, path)
    content = {path: path.read_bytes() for path in shelf.disk.rglob("*") if path.is_file()}
    report = await shelf.recordings.check("hash", repair=True)
    assert await shelf.indexed(camera) == [row]
    assert (report.indexed, report.unknown, report.broken) == (0, 3, 4)
    assert {path: path.read_bytes() for path in shelf.disk.rglob("*") if path.is_file()} == content
    assert report.broken_files == [
        f"main:{path.relative_to(shelf.disk)}" for path in (link, junk, cut, moved)
    ]
    # An hour later the young one is not young any more.
    age(shelf, young)
    assert (await shelf.recordings.check(adopt=True)).indexed == 1


@ON_SQLITE
async def test_what_goes_by_rule_while_it_is_checked_is_not_lost(shelf: Shelf) -> None:
    camera = await shelf.camera(retention_hours=48)
    files = await shelf.record(camera, [90, 60, 1])
    age(shelf, *files)
    swept: list[Any] = []

    def sweep_once(_done: int, _total: int, _report: CheckReport) -> None:
        # After the first folder the sweep deletes what the second is about.
        if not swept:
            swept.append(True)
            (shelf.disk / files[1].path).unlink()

    async with shelf.database.transaction() as session:
        row = await session.get_one(Segment, files[1].id)
        row.deleting = True
    report = await shelf.recordings.check(repair=True, progress=sweep_once)
    assert (report.missing, report.removed) == (0, 0)
    assert (await shelf.recordings.sweep()).deleted == {"retention": 2}
    assert (await shelf.recordings.check()).good
