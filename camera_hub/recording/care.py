"""What a disk needs besides writing: mending what a kill left behind, and counting what it holds.

All of it runs on threads of its own, because both take long on a large disk. A file that somebody
writes is locked (`flock`) and is left alone; so are files whose names are not ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from camera_hub.recording.disks import PENDING, Disk, Disks
from camera_hub.recording.files import SegmentRecord, publish, record_of
from camera_hub.recording.format import (
    CLOSED_SUFFIX,
    PART_SUFFIX,
    Scan,
)
from camera_hub.recording.scanning import (
    repair,
)
from core.clock import Clock
from core.logging import get_logger
from core.metrics import counter

_COUNT_EVERY_S = 300.0
_COUNT_EVERY_WHEN_FULL_S = 30.0
_TICK_S = 1.0
_EMPTY_FOR_S = 60.0
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NAME = re.compile(r"\d{6}-(\d{1,12})-(main|sub)\.(mp4|part)")
_BLOCK = 1 << 20
_AFTER_FAILURE_S = 10.0

log = get_logger(__name__)
MENDED = counter("recordings_mended", "Recordings that were cut off and closed again")
SET_ASIDE = counter("recordings_set_aside", "Recordings without one whole part")
ERRORS = counter("recording_care_errors", "Errors in mending and counting that nobody expected")


def camera_folders(disk: Path) -> Iterator[Path]:
    """Yield the folders of cameras on a disk.

    Raises:
        OSError: the disk refuses.
    """
    with os.scandir(disk) as entries:
        for entry in entries:
            try:
                UUID(entry.name)
            except ValueError:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def day_folders(camera: Path) -> list[Path]:
    """Return a camera's folders of days, the newest last.

    Raises:
        OSError: the disk refuses.
    """
    with os.scandir(camera) as entries:
        names = [
            entry.name
            for entry in entries
            if _DAY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        ]
    return [camera / name for name in sorted(names)]


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder.

    Raises:
        OSError: the disk refuses.
    """
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def last_sequence(disk: Path, camera_id: UUID, role: str) -> int:
    """Return the highest number among a camera's newest files, 0 without any.

    Raises:
        OSError: the disk refuses.
    """
    camera = disk / str(camera_id)
    if not camera.is_dir():
        return 0
    for day in reversed(day_folders(camera)):
        found = [_NAME.fullmatch(name) for name in names_in(day)]
        numbers = [int(match[1]) for match in found if match and match[2] == role]
        if numbers:
            return max(numbers)
    return 0


def recorded_bytes(disk: Path) -> int:
    """Return how much all recordings on a disk take.

    Raises:
        OSError: the disk refuses.
    """
    total = 0
    for camera in camera_folders(disk):
        for day in day_folders(camera):
            with os.scandir(day) as entries:
                total += sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return total


def mend(disk: Disk, clock: Clock) -> Iterator[SegmentRecord]:
    """Close every file that nobody writes any more; yield what became of each that has a part.

    Raises:
        OSError: the disk refuses.
    """
    for camera in camera_folders(disk.path):
        for day in day_folders(camera):
            for name in sorted(names_in(day)):
                if name.endswith(PART_SUFFIX) and _NAME.fullmatch(name):
                    record = _mend_one(disk, day / name, clock)
                    if record is not None:
                        yield record


def _mend_one(disk: Disk, partial: Path, clock: Clock) -> SegmentRecord | None:
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        found = os.fstat(descriptor)
        if not _is_still(partial, found.st_ino):
            return None
        if found.st_size == 0 and abs(clock.now().timestamp() - found.st_mtime) < _EMPTY_FOR_S:
            return None  # somebody has just made it and is about to lock it
        scan = repair(partial)
        if scan is None:
            SET_ASIDE.inc()
            log.warning("a recording without a whole part is set aside", file=str(partial))
            return None
        record = _described(disk, partial, scan)
        publish(disk.path, record, partial)
        MENDED.inc()
        log.info("a recording that was cut off is closed", file=record.path, bytes=record.bytes)
        return record
    finally:
        os.close(descriptor)


def _is_still(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def _described(disk: Disk, partial: Path, scan: Scan) -> SegmentRecord:
    digest = hashlib.sha256()
    with partial.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    final = partial.with_suffix(CLOSED_SUFFIX)
    return record_of(
        scan.header,
        ends_at=scan.ends_at,
        size=scan.whole_bytes,
        sha256=digest.hexdigest(),
        disk=disk.name,
        path=final.relative_to(disk.path).as_posix(),
        motion=scan.motion,
    )


def waiting_markers(disk: Path) -> list[UUID]:
    """Return the ids that are named in `pending`, oldest first.

    Raises:
        OSError: the disk refuses.
    """
    found = []
    for name in names_in(disk / PENDING):
        stem, dot, suffix = name.partition(".")
        if dot and suffix == "json":
            try:
                found.append(UUID(stem))
            except ValueError:
                continue
    return sorted(found)


class Caretaker:
    """Mends each disk when it comes (back) into use, and counts what those with a quota hold."""

    def __init__(
        self,
        disks: Disks,
        clock: Clock,
        *,
        on_waiting: Callable[[Disk, list[UUID]], None],
    ) -> None:
        """Make a caretaker; `start` it.

        Args:
            disks: all of them.
            clock: measures how often.
            on_waiting: told, on a thread of its own, what is to be sent from a disk.
        """
        self._clock = clock
        self._on_waiting = on_waiting
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(disk,), name=f"care-{disk.name}", daemon=True)
            for disk in disks
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; a thread that waits for its disk is left behind."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(0.5)

    def _run(self, disk: Disk) -> None:
        counted = float("-inf")
        while not self._stopped.wait(0.05 if disk.returned.is_set() else _TICK_S / 4):
            try:
                if disk.returned.is_set():
                    disk.returned.clear()
                    for _ in mend(disk, self._clock):
                        pass
                    self._on_waiting(disk, waiting_markers(disk.path))
                tight = disk.recorded is not None and disk.state.value == "full"
                every = _COUNT_EVERY_WHEN_FULL_S if tight else _COUNT_EVERY_S
                now = self._clock.monotonic()
                if disk.quota and disk.state.value in ("ok", "full") and now - counted > every:
                    counted = now
                    disk.recorded = recorded_bytes(disk.path)
            except OSError as error:
                log.warning("a disk cannot be looked after", disk=disk.name, reason=error.strerror)
                self._stopped.wait(_AFTER_FAILURE_S)
                disk.returned.set()
            except Exception as error:  # noqa: BLE001 - top of the loop: counted, logged, gone on
                ERRORS.inc()
                log.error("looking after a disk failed", disk=disk.name, error=repr(error))
