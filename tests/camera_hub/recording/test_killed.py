"""The recorder is killed two hundred times; what it wrote is read all the same."""

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from camera_hub.recording.care import mend, waiting_markers
from camera_hub.recording.disks import PENDING
from camera_hub.recording.format import (
    CLOSED_SUFFIX,
    PART_SUFFIX,
)
from camera_hub.recording.reading import SegmentFile
from camera_hub.recording.scanning import (
    scan,
)
from core.clock import ManualClock
from core.ids import new_id
from tests.camera_hub.recording.footage_feed import START, Rig, disk_at, info_of, stored, units_of
from tests.camera_hub.recording.sound_feed import footage
from tests.camera_hub.recording.test_recorder import Make, samples_of

KILLS = 200


def killed_somewhere(
    process: subprocess.Popen[str], folder: Path, camera: UUID, more: str = ""
) -> int:
    """Have a child record, kill it at some moment; return how many pictures it was given."""
    assert process.stdin is not None
    assert process.stdout is not None
    (folder / "fed").unlink(missing_ok=True)
    process.stdin.write(f"{folder} {camera} {more}\n")
    process.stdin.flush()
    pid = int(process.stdout.readline())
    began = time.monotonic()
    # From before the first file to the middle of the fourth, and then at any byte.
    until = random.randrange(350)
    while not (folder / "fed").exists() or fed_to(folder) < until:
        assert time.monotonic() < began + 20, "the recorder does not begin"
        time.sleep(0.0002)
    time.sleep(random.uniform(0, 0.003))
    os.kill(pid, signal.SIGKILL)
    pidfd_gone(pid)
    return fed_to(folder)


def fed_to(folder: Path) -> int:
    """Return how many pictures the recorder was given."""
    return int.from_bytes((folder / "fed").read_bytes(), "little")


def pidfd_gone(pid: int) -> None:
    """Wait until the process is gone, and its locks with it."""
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until


@pytest.mark.faults
def test_killed_at_any_moment_nothing_named_is_unreadable_and_two_seconds_are_lost(
    tmp_path: Path, manual: ManualClock
) -> None:
    disk = disk_at(tmp_path / "disk", manual)
    camera, lost_most, mended = new_id(), 0, 0
    source = [stored(unit) for unit in units_of()]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.camera_hub.recording.killable"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seen: set[Path] = set()
        for _ in range(KILLS):
            fed = killed_somewhere(process, tmp_path, camera)
            day = tmp_path / "disk" / str(camera) / f"{START:%Y-%m-%d}"
            before = {p for p in day.glob("*.mp4")} if day.exists() else set()
            # What had its name for good is closed, whole and waits to be told.
            for path in before - seen:
                assert scan(path).closed
            records = list(mend(disk, manual))
            mended += len(records)
            written: list[bytes] = []
            new = sorted(set(day.glob("*.mp4")) - seen, key=lambda p: int(p.name.split("-")[1]))
            for path in new:
                found = scan(path)
                assert found.closed
                assert found.header.camera_id == camera
                written += samples_of(path, found)
                marker = tmp_path / "disk" / PENDING / f"{found.header.segment_id}.json"
                assert orjson.loads(marker.read_bytes())["bytes"] == path.stat().st_size
            seen |= set(new)
            assert not list(day.glob(f"*{PART_SUFFIX}"))
            assert written == [source[n % 250] for n in range(len(written))]
            lost_most = max(lost_most, fed - len(written))
        process.stdin.close() if process.stdin else None
    assert mended > KILLS / 4
    assert lost_most <= 50, f"{lost_most / 25} s were lost"
    assert len(waiting_markers(disk.path)) == len(seen)


@pytest.mark.faults
def test_a_file_that_somebody_writes_is_left_alone(
    rig_of: Make, tmp_path: Path, manual: ManualClock
) -> None:
    rig: Rig = rig_of()
    rig.recorder.opened(info_of())
    rig.recorder.wish("always", 5)
    rig.feed(100)
    (partial,) = tmp_path.rglob(f"*{PART_SUFFIX}")
    before = partial.read_bytes()
    (disk,) = rig.disks
    assert list(mend(disk, manual)) == []
    assert partial.read_bytes() == before
    with partial.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    rig.recorder.closed()
    rig.settle()
    assert partial.with_suffix(CLOSED_SUFFIX).exists()


def test_what_is_no_segment_is_neither_mended_nor_touched(
    tmp_path: Path, manual: ManualClock
) -> None:
    disk = disk_at(tmp_path / "disk", manual)
    day = tmp_path / "disk" / str(new_id()) / "2026-03-01"
    day.mkdir(parents=True)
    (day / "120000-1-sub.part").write_bytes(b"not a recording" * 100)
    (day / "notes.part").write_bytes(b"mine")
    (tmp_path / "disk" / "elsewhere").mkdir()
    (tmp_path / "disk" / "elsewhere" / "120000-1-sub.part").write_bytes(b"mine too")
    assert list(mend(disk, manual)) == []
    assert (day / "120000-1-sub.part.broken").read_bytes() == b"not a recording" * 100
    assert (day / "notes.part").read_bytes() == b"mine"
    assert (tmp_path / "disk" / "elsewhere" / "120000-1-sub.part").exists()


@pytest.mark.faults
def test_killed_with_sound_pictures_and_sound_are_whole_up_to_the_same_part(
    tmp_path: Path, manual: ManualClock
) -> None:
    disk = disk_at(tmp_path / "disk", manual)
    camera, heard, mended = new_id(), 0, 0
    spoken = {one.data for one in footage().sound}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.camera_hub.recording.killable"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seen: set[Path] = set()
        for _ in range(12):
            fed = killed_somewhere(process, tmp_path, camera, "sound")
            mended += len(list(mend(disk, manual)))
            day = tmp_path / "disk" / str(camera) / f"{START:%Y-%m-%d}"
            new = set(day.glob("*.mp4")) - seen
            pictures = 0
            for path in new:
                with SegmentFile(path) as file:
                    assert file.closed
                    assert file.sounds
                    pictures += sum(len(file.samples(part)) for part in file.parts)
                    for part in file.parts:
                        frames = file.heard(part)
                        heard += len(frames)
                        assert {file.read(one.position, one.size) for one in frames} <= spoken
                    # Only the part that was being written may have lost its sound.
                    assert all(part.sound for part in file.parts[:-1])
                    assert len(list(file.decoded(file.parts))) == sum(
                        len(file.samples(part)) for part in file.parts
                    )
            assert fed - pictures <= 50
            seen |= new
    assert mended > 0
    assert heard > 200
