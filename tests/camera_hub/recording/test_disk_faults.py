"""Disks that fill up, turn read-only, hang or are pulled; the recording goes on with the others."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from io import FileIO
from pathlib import Path

import pytest

from camera_hub.recording.care import mend
from camera_hub.recording.disks import MARKER, Disk, Disks, DiskState
from camera_hub.recording.format import (
    PART_SUFFIX,
)
from camera_hub.recording.scanning import (
    scan,
)
from core.clock import ManualClock
from tests.camera_hub.recording.footage_feed import START, Rig, disk_at, info_of
from tests.camera_hub.recording.test_recorder import Make
from tests.support.media import wait_until

pytestmark = pytest.mark.faults


def run(*command: str | Path) -> None:
    """Run a command of the system; fail with what it says."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class LoopDisk:
    """A file system in a file, mounted at `path`."""

    def __init__(self, folder: Path) -> None:
        self.image, self.path = folder / "image", folder / "mounted"
        self.path.mkdir()
        with self.image.open("wb") as file:
            file.truncate(160_000_000)
        run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", self.image)
        self.mount()

    def mount(self) -> None:
        """Mount it."""
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.path)

    def pull(self) -> None:
        """Take it away from under those who write."""
        run("umount", "-l", self.path)

    def device(self) -> str:
        """Return the name of its block device."""
        found = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", str(self.path)], capture_output=True, check=True
        )
        return found.stdout.decode().strip().rpartition("/")[2]


def fill_with(file: FileIO, size: int) -> None:
    """Write blocks of this size until the disk refuses."""
    while True:
        file.write(bytes(size))


@pytest.fixture
def loop_disk(tmp_path: Path) -> Iterator[LoopDisk]:
    """Give a disk that can be broken."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("breaking disks needs root and mkfs.ext4: run the faults as root")
    (tmp_path / "loop").mkdir()
    try:
        disk = LoopDisk(tmp_path / "loop")
    except AssertionError as error:
        pytest.skip(f"no loop devices here: {error}")
    yield disk
    subprocess.run(["fsfreeze", "-u", str(disk.path)], check=False, capture_output=True)
    subprocess.run(["umount", "-l", str(disk.path)], check=False, capture_output=True)


class Broken:
    """A rig on two disks, of which the first has more room and is going to break."""

    def __init__(self, rig_of: Make, loop: LoopDisk, tmp_path: Path, manual: ManualClock) -> None:
        self.manual = manual
        self.bad = disk_at(loop.path, manual, name="bad")
        self.good = disk_at(tmp_path / "good", manual, name="good", quota_gb=0.07)
        self.rig: Rig = rig_of(self.bad, self.good, segment_s=60)
        self.rig.recorder.opened(info_of())
        self.rig.recorder.wish("always", 5)
        self.feed(130)
        assert self.rig.recorder.progress().disk == "bad"

    def feed(self, pictures: int) -> None:
        """Feed, waiting for the good disk only."""
        for _ in range(pictures):
            self.rig.feed(1, settle=False)
            if self.rig.number % 25 == 0:
                self.good.ask(lambda: None).result(20)
                if self.bad.state is not DiskState.HANGING:
                    wait_until(lambda: self.bad.state is DiskState.HANGING or not self.bad._jobs)

    def heal_and_finish(self) -> None:
        """Wait until the bad disk is used again, and end."""
        self.manual.advance(11)
        wait_until(lambda: self.bad.usable)
        self.rig.recorder.closed()
        self.rig.settle()

    def pictures(self) -> set[int]:
        """Return the numbers of all pictures in closed files, mended where they were cut off."""
        numbers: set[int] = set()
        for disk in (self.bad, self.good):
            list(mend(disk, self.manual))
            assert not list(disk.path.rglob(f"*{PART_SUFFIX}"))
            for path in disk.path.rglob("*.mp4"):
                for part in scan(path).parts:
                    first = round((part.starts_at - START) / timedelta(milliseconds=40))
                    numbers |= set(range(first, first + part.duration // 3600))
        return numbers


def test_a_full_disk_is_left_and_used_again_when_it_has_room(
    rig_of: Make,
    loop_disk: LoopDisk,
    tmp_path: Path,
    manual: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("camera_hub.recording.disks.LEAST_ROOM", 0)
    two = Broken(rig_of, loop_disk, tmp_path, manual)
    fill = loop_disk.path / "fill"
    with fill.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with pytest.raises(OSError, match="No space"):
                fill_with(file, size)
    two.feed(200)
    assert two.bad.state is DiskState.FULL
    assert "full" in two.bad.report().reason
    assert two.rig.recorder.progress().disk == "good"
    fill.unlink()
    two.heal_and_finish()
    assert set(range(two.rig.number)) - two.pictures() == set()


def test_a_quota_is_kept_before_the_disk_is_full(
    rig_of: Make, tmp_path: Path, manual: ManualClock
) -> None:
    small = disk_at(tmp_path / "small", manual, name="small", quota_gb=0.1)
    small.recorded = 50_000_000
    rig = rig_of(small)
    assert small.state is DiskState.FULL
    assert "quota" in small.report().reason
    assert rig.disks.choose() is None
    small.recorded = 1_000_000
    manual.advance(11)
    wait_until(lambda: small.usable)


def test_a_disk_that_turns_read_only_is_left(
    rig_of: Make, loop_disk: LoopDisk, tmp_path: Path, manual: ManualClock
) -> None:
    two = Broken(rig_of, loop_disk, tmp_path, manual)
    # What the kernel does when it finds the file system damaged.
    Path(f"/sys/fs/ext4/{loop_disk.device()}/trigger_fs_error").write_text("test")
    two.feed(200)
    assert two.bad.state is DiskState.READ_ONLY
    assert two.rig.recorder.progress().disk == "good"
    loop_disk.pull()
    subprocess.run(["e2fsck", "-f", "-y", str(loop_disk.image)], check=False, capture_output=True)
    loop_disk.mount()
    two.heal_and_finish()
    missing = set(range(two.rig.number)) - two.pictures()
    # What was not flushed yet when the file system failed is the disk's to lose: 5 s and a group.
    assert len(missing) <= 175
    assert max(missing, default=0) < 200


def test_a_disk_that_is_pulled_is_left_and_nothing_is_written_where_it_was(
    rig_of: Make, loop_disk: LoopDisk, tmp_path: Path, manual: ManualClock
) -> None:
    two = Broken(rig_of, loop_disk, tmp_path, manual)
    loop_disk.pull()
    two.feed(200)
    assert two.bad.state is DiskState.GONE
    assert "not mounted" in two.bad.report().reason
    assert two.rig.recorder.progress().disk == "good"
    manual.advance(30)
    two.feed(50)
    assert list(loop_disk.path.iterdir()) == []
    loop_disk.mount()
    two.heal_and_finish()
    missing = set(range(155, two.rig.number)) - two.pictures()
    assert missing == set()


def test_a_disk_that_hangs_holds_up_nobody_but_itself(
    rig_of: Make, loop_disk: LoopDisk, tmp_path: Path, manual: ManualClock
) -> None:
    two = Broken(rig_of, loop_disk, tmp_path, manual)
    run("fsfreeze", "-f", loop_disk.path)
    try:
        for _ in range(200):
            two.rig.feed(1, settle=False)
            two.good.ask(lambda: None).result(20)
        wait_until(lambda: two.bad.state is DiskState.HANGING)
        for _ in range(200):
            two.rig.feed(1, settle=False)
        wait_until(lambda: two.rig.recorder.progress().disk == "good")
    finally:
        run("fsfreeze", "-u", loop_disk.path)
    two.heal_and_finish()
    assert set(range(two.rig.number)) - two.pictures() == set()


def test_a_disk_that_is_slow_is_given_no_new_files(
    rig_of: Make, tmp_path: Path, manual: ManualClock
) -> None:
    large = disk_at(tmp_path / "large", manual, name="large")
    small = disk_at(tmp_path / "small", manual, name="small", quota_gb=1)
    rig = rig_of(large, small)
    large.recorded, small.recorded = 0, 0
    wait_until(lambda: large.usable and small.usable)

    def work(disk: Disk, seconds: float) -> None:
        disk.ask(lambda: manual.advance(seconds)).result(20)

    assert rig.disks.choose() is large
    for _ in range(30):
        work(large, 0.9)
        manual.advance(0.1)
    assert large.usable
    assert rig.disks.choose() is small
    assert Disks([large]).choose() is large, "a slow disk is better than none"
    # One that has come to rest is used again.
    for _ in range(60):
        work(large, 0.01)
        work(small, 0.01)
        manual.advance(1)
    assert rig.disks.choose() is large


def test_only_an_empty_folder_or_its_own_disk_is_written_to(
    tmp_path: Path, manual: ManualClock
) -> None:
    def started(disk: Disk) -> Disk:
        disk.start()
        wait_until(lambda: disk.usable or "looked at yet" not in disk.report().reason)
        return disk

    # A start that was killed has left its marker half made.
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f".{MARKER}.0123.tmp").write_bytes(b"")
    first = started(disk_at(tmp_path / "a", manual, name="a"))
    assert first.usable
    assert (tmp_path / "a" / MARKER).read_text() == "a\n"
    assert first.stop(5)

    other = started(disk_at(tmp_path / "a", manual, name="b"))
    assert (other.state, "holds the disk 'a'" in other.report().reason) == (DiskState.FAILED, True)
    assert other.stop(5)

    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").mkdir()
    away = started(disk_at(tmp_path / "a", manual, name="a"))
    assert away.state is DiskState.GONE
    (tmp_path / "a" / MARKER).write_text("a\n")
    manual.advance(11)
    wait_until(lambda: away.usable)
    assert away.stop(5)

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    full = started(disk_at(tmp_path / "mine", manual, name="c"))
    assert (full.state, "not empty" in full.report().reason) == (DiskState.FAILED, True)
    assert full.stop(5)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["file"]
