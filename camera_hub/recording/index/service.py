"""The index of recordings: what lies where, from when to when."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.recording.index import repository
from camera_hub.recording.index.schemas import (
    BadSegment,
    DiskPlace,
    RefusedSegment,
    SegmentIn,
    SegmentRow,
    SegmentsOut,
)
from core.clock import Clock
from core.errors import NotFoundError
from core.logging import get_logger
from core.settings import Settings

_GB = 1_000_000_000
_SAME = ("camera_id", "role", "started_at", "ends_at", "bytes", "disk", "path", "sequence")
_log = get_logger("recording.index")


def disk_places(settings: Settings) -> dict[str, DiskPlace]:
    """Return the disks of the settings by name."""
    return {
        disk.name: DiskPlace(
            name=disk.name,
            path=disk.path,
            quota=int(disk.quota_gb * _GB),
            keep_free=int(disk.keep_free_gb * _GB),
        )
        for disk in settings.recording_disks
    }


class Recordings:
    """Takes segments into the index and finds them again; commits nothing."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock = clock
        self.disks = disk_places(settings)

    async def take(
        self, session: AsyncSession, worker: str, found: Sequence[SegmentIn | BadSegment]
    ) -> SegmentsOut:
        """Write what is new; an id that is known stays as it is.

        The answer counts after the caller's commit. What is refused is not lost: its file stays,
        and a check of the disk finds it again.
        """
        out = SegmentsOut(taken=[])
        wanted: dict[UUID, SegmentIn] = {}
        for one in found:
            if isinstance(one, BadSegment):
                _refuse(out, one.id, "bad-segment", one.message)
            elif (before := wanted.setdefault(one.id, one)) != one and not _same(before, one):
                _refuse(out, one.id, "other-content", _OTHER)
        await repository.insert_new(session, [_values(one) for one in wanted.values()])
        known = await repository.by_ids(session, wanted)
        for one in wanted.values():
            row = known.get(one.id)
            if row is None:
                _refuse(out, one.id, "path-taken", "Another segment lies at this path of the disk.")
            elif not _same(row, one):
                _refuse(out, one.id, "other-content", _OTHER)
            else:
                if one.sha256 and not row.sha256:
                    await repository.fill_hash(session, one.id, one.sha256)
                out.taken.append(one.id)
        if out.refused:
            _log.error(
                "segments_refused",
                worker=worker,
                count=len(out.refused),
                first=out.refused[0].model_dump(mode="json"),
            )
        return out

    async def segments(
        self,
        session: AsyncSession,
        camera_id: UUID,
        start: datetime,
        end: datetime,
        role: str | None = None,
    ) -> list[SegmentRow]:
        """Return the segments that overlap [start, end), by start; none that is being deleted."""
        return await repository.segments(session, camera_id, start, end, role)

    def path_of(self, segment: SegmentRow | SegmentIn) -> Path:
        """Return where the file lies; never outside of its disk.

        Raises:
            NotFoundError: code `no-such-disk`: the settings have no disk of this name (any more).
        """
        disk = self.disks.get(segment.disk)
        if disk is None:
            raise NotFoundError(
                f"The recording lies on a disk '{segment.disk}' that the settings do not name.",
                remedy="Put the disk back into `recording.disks`, with its old name.",
                code="no-such-disk",
            )
        path = (disk.path / segment.path).absolute()
        if ".." in path.parts or disk.path.absolute() not in path.parents:
            raise NotFoundError("There is no such recording.", remedy="Check the index.")
        return path


_OTHER = "The index has other content under this id."


def _values(one: SegmentIn) -> dict[str, object]:
    return {**one.model_dump(), "deleting": False}


def _same(known: SegmentRow | SegmentIn, one: SegmentIn) -> bool:
    """Say whether two tell of the same file; times as the database keeps them."""
    if any(_value(known, name) != _value(one, name) for name in _SAME):
        return False
    return not (known.sha256 and one.sha256) or known.sha256 == one.sha256


def _value(one: SegmentRow | SegmentIn, name: str) -> object:
    value = getattr(one, name)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _refuse(out: SegmentsOut, segment_id: UUID, code: str, message: str) -> None:
    out.refused.append(
        RefusedSegment.model_validate({"id": segment_id, "code": code, "message": message})
    )
