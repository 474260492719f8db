"""A store that somebody laid hands on: all is told, nothing is erased, the index is mended."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from app.cli.main import app
from camera_hub.recording.index.checking import CheckReport, Depth
from camera_hub.recording.index.schemas import SegmentIn
from core.ids import new_id
from tests.camera_hub.recording.index.conftest import Shelf, make_disk
from tests.support.recorded import write_segment
from tests.support.stores import ON_SQLITE

DEPTHS: Sequence[Depth] = ("presence", "size", "hash")


@dataclass
class Store:
    """A store with damage of every kind, and the paths below its disk by what was done to them."""

    shelf: Shelf
    cameras: tuple[UUID, UUID]
    damaged: dict[str, str]
    rows: int

    def path(self, what: str) -> Path:
        return self.shelf.disk / self.damaged[what]

    def bytes_of_all(self) -> dict[str, bytes | str]:
        """Return everything that lies there, links as what they point to, folders as such."""
        return {
            str(one): str(one.readlink())
            if one.is_symlink()
            else one.read_bytes()
            if one.is_file()
            else "folder"
            for one in sorted(self.shelf.disk.rglob("*"))
        }

    def named(self, *damages: str) -> list[str]:
        return sorted(f"main:{self.damaged[one]}" for one in damages)


def set_age(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()), follow_symlinks=False)


def foreign(disk: Path, camera: UUID, at: datetime, sequence: int) -> SegmentIn:
    return write_segment(disk, camera, at, sequence=sequence, seconds=1)


@pytest.fixture
async def store(shelf: Shelf, tmp_path: Path) -> Store:
    now = shelf.clock.now()
    one, other = await shelf.camera(), await shelf.camera()
    mine = await shelf.record(one, [30, 29, 28, 27, 26, 25, 24.5, 3])
    theirs = await shelf.record(other, [30])
    disk = shelf.disk
    day = f"{one}/{mine[0].started_at:%Y-%m-%d}"
    gone, short, empty, swapped, linked, folder, flipped, _good = mine
    (disk / gone.path).unlink()
    with (disk / short.path).open("r+b") as file:
        file.truncate(short.bytes - 7)
    (disk / empty.path).write_bytes(b"")
    # Two files change their names between two cameras.
    aside = tmp_path / "aside"
    (disk / swapped.path).rename(aside)
    (disk / theirs[0].path).rename(disk / swapped.path)
    aside.rename(disk / theirs[0].path)
    elsewhere = tmp_path / "elsewhere.mp4"
    (disk / linked.path).rename(elsewhere)
    (disk / linked.path).symlink_to(elsewhere)
    (disk / folder.path).unlink()
    (disk / folder.path).mkdir()
    with (disk / flipped.path).open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        byte = file.read(1)[0] ^ 1
        file.seek(-9, os.SEEK_END)
        file.write(bytes([byte]))
    # What the index knows nothing of.
    found = {
        "foreign film": f"{day}/101000-70-main.mp4",
        "film with a name of its own": f"{day}/holiday.mp4",
        "empty and unknown": f"{day}/102000-71-sub.mp4",
        "cut and unknown": f"{day}/103000-72-sub.mp4",
        "link": f"{day}/104000-73-sub.mp4",
        "folder": f"{day}/105000-74-sub.mp4",
        "moved to another camera": f"{day}/106000-75-sub.mp4",
        "being written": f"{day}/107000-76-sub.part",
        "just closed": f"{day}/108000-77-sub.mp4",
    }
    stranger = foreign(tmp_path, new_id(), now - timedelta(hours=30), 75)
    content = (tmp_path / stranger.path).read_bytes()
    for what in ("foreign film", "film with a name of its own"):
        (disk / found[what]).write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(4000))
    (disk / found["empty and unknown"]).touch()
    (disk / found["cut and unknown"]).write_bytes(content[:-99])
    (disk / found["link"]).symlink_to(elsewhere)
    (disk / found["folder"]).mkdir()
    for what in ("moved to another camera", "being written", "just closed"):
        (disk / found[what]).write_bytes(content)
    # Dates that a host without a battery gives, and one that was wrong.
    unknown_camera = new_id()
    past = f"{one}/1970-01-01/000500-78-sub.mp4"
    with suppress(ValidationError):  # it is written, and no row can be made of it
        foreign(disk, one, datetime(1970, 1, 1, 0, 5, tzinfo=UTC), 78)
    future = foreign(disk, other, datetime(2099, 5, 5, tzinfo=UTC), 79)
    hubs = foreign(disk, unknown_camera, now - timedelta(hours=9), 80)
    found |= {"1970": past, "2099": future.path, "another hub": hubs.path}
    for path in [*disk.rglob("*"), elsewhere]:
        set_age(path, now - timedelta(hours=1))
    set_age(disk / future.path, datetime(2099, 5, 5, tzinfo=UTC))
    set_age(disk / past, datetime(1970, 1, 1, tzinfo=UTC))
    for what in ("being written", "just closed"):
        set_age(disk / found[what], now - timedelta(seconds=20))
    found |= {
        "gone": gone.path, "short": short.path, "emptied": empty.path, "swapped": swapped.path,
        "swapped too": theirs[0].path, "linked": linked.path, "made a folder": folder.path,
        "flipped": flipped.path,
    }  # fmt: skip
    return Store(shelf, (one, other), found, len(mine) + len(theirs))


NO_FILES = ("link", "folder", "linked", "made a folder", "film with a name of its own")
UNKNOWN = (
    "foreign film", "empty and unknown", "cut and unknown", "moved to another camera",
    "1970", "2099", "another hub",
)  # fmt: skip


@ON_SQLITE
async def test_each_depth_tells_what_was_done_and_touches_nothing(store: Store) -> None:
    before = store.bytes_of_all()
    reports: dict[str, CheckReport] = {}
    for depth in DEPTHS:
        reports[depth] = await store.shelf.recordings.check(depth)
    for report in reports.values():
        assert not report.good
        assert sorted(report.unknown_files) == store.named(*UNKNOWN)
        assert report.missing_files == store.named("gone")
        # Seen without opening anything: they are no files of ours, whatever they are called.
        assert sorted(report.broken_files) == store.named(*NO_FILES)
    assert reports["presence"].changed == 0
    sizes = store.named("short", "emptied")
    assert set(sizes) <= set(reports["size"].changed_files)
    hashes = store.named("short", "emptied", "swapped", "swapped too", "flipped")
    assert sorted(reports["hash"].changed_files) == hashes
    assert store.bytes_of_all() == before


@ON_SQLITE
async def test_a_repair_mends_the_index_and_erases_no_file(store: Store) -> None:
    before, shelf = store.bytes_of_all(), store.shelf
    report = await shelf.recordings.check("hash", repair=True)
    assert store.bytes_of_all() == before
    assert (report.missing, report.removed) == (1, 1)
    # Of what the index lacked our own recordings are in it now, if their date can be.
    assert (report.unknown, report.indexed) == (len(UNKNOWN), 1)
    broken = store.named(
        *NO_FILES, "foreign film", "empty and unknown", "cut and unknown",
        "moved to another camera", "1970",
    )  # fmt: skip
    assert sorted(report.broken_files) == broken
    async with shelf.database.read() as session:
        span = datetime(2099, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
        (row,) = await shelf.recordings.segments(session, store.cameras[1], *span)
    assert row.path == store.damaged["2099"]
    # The same again: what cannot be mended is told again, what was mended is not.
    again = await shelf.recordings.check("hash", repair=True)
    assert (again.missing, again.removed, again.indexed) == (0, 0, 0)
    assert sorted(again.broken_files) == broken
    assert again.changed_files == report.changed_files
    assert again.rows == store.rows - 1 + 1
    left = [one for one in UNKNOWN if one != "2099"]
    assert sorted(again.unknown_files) == store.named(*left)
    # Once a person has put it right, all is well.
    for what in (*NO_FILES, "foreign film", "empty and unknown", "cut and unknown", "1970"):
        path = store.path(what)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    store.path("moved to another camera").unlink()
    store.path("another hub").unlink()
    good = await shelf.recordings.check("presence", repair=True)
    assert good.missing_files == store.named("linked", "made a folder")
    assert good.good
    # A row of a time to come is missed like any other.
    store.path("2099").unlink()
    assert (await shelf.recordings.check()).missing_files == store.named("2099")


@ON_SQLITE
async def test_a_day_or_a_camera_that_is_a_link_is_not_looked_into(
    shelf: Shelf, tmp_path: Path
) -> None:
    camera = await shelf.camera()
    (file,) = await shelf.record(camera, [30])
    set_age(shelf.disk / file.path, shelf.clock.now() - timedelta(hours=30))
    day = (shelf.disk / file.path).parent
    day.rename(tmp_path / "day")
    day.symlink_to(tmp_path / "day")
    set_age(day, shelf.clock.now() - timedelta(hours=1))
    report = await shelf.recordings.check("hash", repair=True)
    assert (report.missing, report.removed, report.good) == (0, 0, False)
    assert report.broken_files == [f"main:{day.relative_to(shelf.disk)}"]
    day.unlink()
    (tmp_path / "day").rename(day)
    assert (await shelf.recordings.check("hash")).good


def test_the_command_says_by_its_status_whether_index_and_disks_agree(tmp_path: Path) -> None:
    data = tmp_path / "data"
    disk = make_disk(data / "recordings")

    def check(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            app,
            ["--data-dir", str(data), "recordings", "check", *words],
            env={"COLUMNS": "200", "CAMERA_HUB_SITE__NAME": "test"},
        )
        return done.exit_code, done.output

    at = datetime(2026, 1, 1, 7, tzinfo=UTC)
    files = [foreign(disk, new_id(), at + timedelta(minutes=n), n) for n in range(2)]
    for one in files:
        set_age(disk / one.path, at)
    status, said = check()
    assert status == 1
    assert all(one.path in said for one in files)
    assert check("--repair")[0] == 0
    with (disk / files[0].path).open("ab") as file:
        file.write(b"x")
    set_age(disk / files[0].path, at)
    assert check()[0] == 0
    # What is changed is told for as long as it is, whatever is mended beside it.
    assert check("--depth", "size", "--repair")[0] == 1
