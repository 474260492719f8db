"""A segment on its way to the disk: written part by part, closed, named in `pending`, renamed.

The recorder hands parts over and goes on at once; the disk's thread writes them. What waits is
bounded: beyond that whole parts are left out, up to the next that begins with a keyframe.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from camera_hub.recording.disks import (
    PENDING,
    Disk,
    DiskState,
    explained,
)
from camera_hub.recording.format import (
    CLOSED_SUFFIX,
    PART_SUFFIX,
    SegmentHeader,
)
from camera_hub.recording.writing import SegmentWriter
from core.durable import sync_folder, write_all, write_once
from core.metrics import counter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from camera_hub.streams.types import Packet, SoundInfo, SoundPacket

QUEUE_BYTES = 16 * 1024 * 1024
"""What may wait for the disk per camera."""
_LONGEST_CODEC = 40

LOST = counter("recording_parts_lost", "Parts of recordings that a disk did not keep up with")


@dataclass(slots=True, eq=False)
class CutPart:
    """A part that is still packets. `wall_us`: of its first packet, microseconds since 1970.

    `end_dts` is that of the packet after it; `new_run`: the wall clock does not follow on;
    `sound` is what was heard by then; `bytes` of all of it; `written`: a disk took it.
    """

    packets: Sequence[Packet]
    start_dts: int
    end_dts: int
    wall_us: int
    bytes: int
    keyframe: bool
    new_run: bool
    sound: Sequence[SoundPacket] = ()
    file: SegmentFile | None = None
    written: bool = False

    @property
    def pending(self) -> bool:
        """Whether a file has it that did not write it yet."""
        return self.file is not None and not self.written

    @property
    def safe(self) -> bool:
        """Whether it is in a file, or will be."""
        file = self.file
        return file is not None and not file.failed and (self.written or file.disk.usable)


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A closed segment as the hub is told of it (`SegmentIn` of the index). Times in UTC."""

    id: UUID
    camera_id: UUID
    role: str
    started_at: datetime
    ends_at: datetime
    bytes: int
    sha256: str
    disk: str
    path: str
    sequence: int
    codec: str
    width: int
    height: int
    cause: str
    clock: str
    motion: str

    def to_json(self) -> dict[str, Any]:
        """Return it as on the wire."""
        return {
            "id": str(self.id),
            "camera_id": str(self.camera_id),
            "role": self.role,
            "started_at": self.started_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "disk": self.disk,
            "path": self.path,
            "sequence": self.sequence,
            "codec": self.codec,
            "width": self.width,
            "height": self.height,
            "cause": self.cause,
            "clock": self.clock,
            "motion": self.motion,
        }


def record_of(
    header: SegmentHeader,
    *,
    ends_at: datetime,
    size: int,
    sha256: str,
    disk: str,
    path: str,
    motion: str,
) -> SegmentRecord:
    """Return what the hub is told of a closed file; `path` below the disk's folder."""
    return SegmentRecord(
        header.segment_id, header.camera_id, header.role, header.started_at, ends_at, size, sha256,
        disk, path, header.sequence,
        _short(header.codec),
        header.width, header.height, header.cause, header.clock, motion,
    )  # fmt: skip


def _short(codec: str) -> str:
    """Return a codec string that the index takes; only constraints can be so long."""
    video, comma, sound = codec.partition(",")
    most = _LONGEST_CODEC - len(comma + sound)
    if len(video) > most:
        video = video[:most].rpartition(".")[0]
    return video + comma + sound


def folder_of(camera_id: UUID, at: datetime) -> str:
    """Return the folder of a camera's recordings of a day (UTC), below the disk's."""
    return f"{camera_id}/{at:%Y-%m-%d}"


def publish(disk_path: Path, record: SegmentRecord, partial: Path) -> None:
    """Name a closed file in `pending` and give it its name for good, durably.

    Raises:
        OSError: the disk refuses.
    """
    marker = disk_path / PENDING / f"{record.id}.json"
    with suppress(FileExistsError):
        write_once(marker, orjson.dumps(record.to_json()), mode=0o640)
    final = disk_path / record.path
    partial.rename(final)
    sync_folder(final.parent)


class SegmentFile:
    """A file that is being written. `put` and `close` are the recorder's, the rest is the disk's.

    `failed` says that the disk let it down: what was put may be lost.
    """

    def __init__(
        self,
        disk: Disk,
        header: SegmentHeader,
        init: bytes,
        time_base: Fraction,
        origin_dts: int,
        *,
        sound: SoundInfo | None = None,
        motion: Callable[[], str],
        on_closed: Callable[[SegmentRecord], None],
        on_written: Callable[[], None],
    ) -> None:
        """Make a file; it is created with its first part.

        Args:
            disk: where.
            header: what it says of itself; its start is that of the first part.
            init: `ftyp moov`.
            time_base: of the packets.
            origin_dts: dts of the first packet.
            sound: of the track of sound in `init`, if it has one.
            motion: gives, when the file is closed, the seconds with motion as in `Scan`.
            on_closed: told, on the disk's thread, when the file has its name for good.
            on_written: told, on the disk's thread, of each part that was written.
        """
        self.disk = disk
        self.header = header
        self.failed = False
        self.lost = 0
        self.bytes = 0
        self._writer = SegmentWriter(init, time_base, origin_dts, sound)
        self._on_closed = on_closed
        self._on_written = on_written
        self._put_bytes = self._done_bytes = 0
        self._skipping = False
        self._descriptor: int | None = None
        self._dirty = False
        self._sha = hashlib.sha256()
        self._motion = motion
        self._folder = folder_of(header.camera_id, header.started_at)
        self._name = f"{header.started_at:%H%M%S}-{header.sequence}-{header.role}"
        self._partial = Path()

    def put(self, part: CutPart) -> bool:
        """Have a part written; False where it was left out because the disk is behind."""
        if self._skipping and not part.keyframe:
            self._lose()
            return False
        if self._put_bytes - self._done_bytes + part.bytes > QUEUE_BYTES:
            self._skipping = True
            self._lose()
            return False
        self._skipping = False
        part.file = self
        self._put_bytes += part.bytes
        self.disk.put(lambda: self._write(part))
        return True

    def end(self, late: Sequence[SoundPacket] = ()) -> None:
        """Take no more; `late` is sound of its last part that came after that part."""
        if late and not self._skipping:
            self.disk.put(lambda: self._write_late(late))

    def close(self) -> None:
        """Have the file closed, with what is known by then of motion in it."""
        self.disk.put(self._close)

    def sync(self) -> None:
        """Bring what was written to the disk (see `OpenFile`)."""
        if self._dirty and self._descriptor is not None:
            self._dirty = False
            os.fdatasync(self._descriptor)

    def abandon(self, error: OSError | None) -> None:
        """Let go of the file; where only room is missing it is closed at its last whole part."""
        self.failed = True
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        # Where this fails the file is mended as it lies there, when the disk is back.
        with suppress(OSError):
            full = error is not None and explained(error)[0] is DiskState.FULL
            if full and self._writer.parts:
                os.ftruncate(descriptor, self._writer.written)
                os.lseek(descriptor, 0, os.SEEK_END)
                self._finish(descriptor)
        with suppress(OSError):
            os.close(descriptor)

    def _lose(self) -> None:
        self.lost += 1
        LOST.inc()

    def _write(self, part: CutPart) -> None:
        self._done_bytes += part.bytes
        if self.failed:
            return
        if self._descriptor is None and not self.disk.usable:
            self.failed = True
            return
        head = b"" if self._writer.parts else self._writer.begin(self.header)
        data = head + self._writer.part(part.packets, part.end_dts, part.wall_us, part.sound)
        try:
            if self._descriptor is None:
                self._descriptor = self._create()
            write_all(self._descriptor, data)
        except OSError:
            self.failed = True
            self._writer.forget_last()
            raise
        self._sha.update(data)
        self._dirty = True
        part.written = True
        self.bytes = self._writer.written
        self._on_written()

    def _write_late(self, late: Sequence[SoundPacket]) -> None:
        if self.failed or self._descriptor is None:
            return
        data = self._writer.more_sound(late)
        try:
            write_all(self._descriptor, data)
        except OSError:
            self.failed = True
            self._writer.forget_last()
            raise
        self._sha.update(data)
        self.bytes = self._writer.written

    def _create(self) -> int:
        """Make the file and lock it: whoever mends what was left behind leaves a locked one alone.

        Raises:
            OSError: the disk refuses.
        """
        day = self.disk.path / self._folder
        if not day.is_dir():
            day.parent.mkdir(mode=0o750, exist_ok=True)
            day.mkdir(mode=0o750, exist_ok=True)
            sync_folder(day.parent)
            sync_folder(self.disk.path)
        self._partial = day / (self._name + PART_SUFFIX)
        if self._partial.with_suffix(CLOSED_SUFFIX).exists():
            raise FileExistsError(errno.EEXIST, "a recording of this name exists")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._partial, flags, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        self.disk.opened(self)
        return descriptor

    def _close(self) -> None:
        descriptor = self._descriptor
        if self.failed or descriptor is None:
            return
        self._finish(descriptor)
        self._descriptor = None
        os.close(descriptor)

    def _finish(self, descriptor: int) -> None:
        """Close the file for good: index, flush, name in `pending`, its own name.

        Raises:
            OSError: the disk refuses.
        """
        last, motion = self._writer.parts[-1], self._motion()
        data = self._writer.finish(motion=motion, lost=self.lost)
        write_all(descriptor, data)
        sha = self._sha.copy()
        sha.update(data)
        os.fsync(descriptor)
        record = record_of(
            self.header,
            ends_at=last.ends_at,
            size=self._writer.written + len(data),
            sha256=sha.hexdigest(),
            disk=self.disk.name,
            path=f"{self._folder}/{self._name}{CLOSED_SUFFIX}",
            motion=motion,
        )
        publish(self.disk.path, record, self._partial)
        self.disk.closed(self, record.bytes)
        self._on_closed(record)
