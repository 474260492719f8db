"""Compares the index with the disks, both ways, while recording goes on.

A file that the index lacks is read and indexed, never erased. A row whose file is gone is reported;
only a repair takes it out, and says so. What is young is left alone: it may be on its way.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.recording.index import deletions, files, repository
from camera_hub.recording.index.checking_files import (
    Found,
    Listing,
    Reading,
    folders,
    hash_of,
    listed,
    read_all,
)
from camera_hub.recording.index.schemas import DiskPlace, SegmentIn, SegmentRow
from core.clock import Clock
from core.database import Database
from core.logging import get_logger

if TYPE_CHECKING:
    from camera_hub.recording.index.service import Recordings

Depth = Literal["presence", "size", "hash"]
YOUNG = timedelta(minutes=5)
MOST_NAMED = 200
"""Files that a report names; the others are counted."""
_DAY = timedelta(days=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 500


@dataclass
class CheckReport:
    """What a check found. Counts are of files or rows; the lists name at most 200 of each.

    `missing`: rows without a file; `unknown`: files without a row; `indexed`: those of them that
    a repair has put into the index; `broken`: files that cannot be read as recordings, and what
    has a name like one and is a link, a folder or a film of somebody else;
    `changed`: files of another size or hash than the index says; `removed`: rows that a repair
    has taken out; `away`: disks that are not there.
    """

    files: int = 0
    rows: int = 0
    bytes: int = 0
    missing: int = 0
    unknown: int = 0
    indexed: int = 0
    broken: int = 0
    changed: int = 0
    hashed: int = 0
    removed: int = 0
    away: list[str] = field(default_factory=list)
    missing_files: list[str] = field(default_factory=list)
    unknown_files: list[str] = field(default_factory=list)
    broken_files: list[str] = field(default_factory=list)
    changed_files: list[str] = field(default_factory=list)
    lost_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether index and disks agree now."""
        left = self.missing - self.removed + self.unknown - self.indexed
        return not (left or self.changed or self.broken or self.away)


_log = get_logger("recordings.check")

Progress = Callable[[int, int, CheckReport], None]
"""Told how many folders are done, of how many, and what was found so far."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What is asked of a check, and what it has found so far."""

    depth: Depth
    adopt: bool
    repair: bool
    report: CheckReport


class Checker:
    """Walks disks and index, one camera and day after the other."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        disks: Mapping[str, DiskPlace],
        recordings: "Recordings",
        site: str,
    ) -> None:
        self._site = site
        self._database = database
        self._clock = clock
        self._disks = disks
        self._recordings = recordings

    async def check(
        self,
        depth: Depth = "presence",
        *,
        adopt: bool = False,
        repair: bool = False,
        progress: Progress | None = None,
    ) -> CheckReport:
        """Compare index and disks.

        Args:
            depth: `presence` looks for the files, `size` at their sizes too, `hash` reads them.
            adopt: put into the index what the disks have and it lacks.
            repair: `adopt`, fill in hashes, and take out rows whose file is lost.
            progress: called after each folder.

        Raises:
            OSError: a disk fails while it is read.
        """
        report = CheckReport()
        job = _Job(depth, adopt or repair, repair, report)
        places: dict[tuple[str, str], list[str]] = {}
        for name, disk in self._disks.items():
            if not await asyncio.to_thread(files.is_there, disk):
                async with self._database.read() as session:
                    used = await repository.oldest_on(session, name) is not None
                if used:
                    report.away.append(name)
                continue
            for folder in await asyncio.to_thread(folders, disk):
                places.setdefault(folder, []).append(name)
        for folder in await self._indexed_folders():
            places.setdefault(folder, [])
        for number, (camera, day) in enumerate(sorted(places), 1):
            await self._folder(camera, day, places[camera, day], job)
            if progress is not None:
                progress(number, len(places), report)
        return report

    async def _indexed_folders(self) -> list[tuple[str, str]]:
        """Return each camera with each day on which a row of it begins."""
        found: list[tuple[str, str]] = []
        async with self._database.read() as session:
            for camera_id in await deletions.cameras_recorded(session):
                # From day to day: a clock that was wrong once leaves a hundred years between two.
                first = await repository.begun_after(session, camera_id, _LONG_AGO)
                while first is not None:
                    day = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
                    found.append((str(camera_id), day.date().isoformat()))
                    first = await repository.begun_after(session, camera_id, day + _DAY)
        return found

    async def _folder(
        self,
        camera: str,
        day: str,
        names: Sequence[str],
        job: _Job,
    ) -> None:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC)
        async with self._database.read() as session:
            rows = await repository.begun_between(session, UUID(camera), start, start + _DAY)
        for name, disk in self._disks.items():
            if name in job.report.away:
                continue
            here = [row for row in rows if row.disk == name]
            if not here and name not in names:
                continue
            found = await asyncio.to_thread(listed, disk, f"{camera}/{day}")
            await self._compare(disk, here, found, job)

    async def _compare(
        self,
        disk: DiskPlace,
        rows: Sequence[SegmentRow],
        found: Listing,
        job: _Job,
    ) -> None:
        now = self._clock.now()
        # What is of a time to come was made by a clock that was wrong, and is not young.
        old = {path: one for path, one in found.files.items() if _is_old(now, one.changed_s)}
        job.report.files += len(old)
        job.report.bytes += sum(one.size for one in old.values())
        strange = [one.path for one in found.strange if _is_old(now, one.changed_s)]
        job.report.broken += len(strange)
        _name(job.report.broken_files, disk, strange)
        known = {row.path: row for row in rows}
        doubtful = [row for row in rows if row.path not in found.files and not row.deleting]
        doubtful = [row for row in doubtful if _is_old(now, row.ends_at.timestamp())]
        job.report.rows += len(rows)
        if doubtful:
            await self._missing(disk, doubtful, job)
        if disk.name in job.report.away:
            return
        unknown = await self._unknown(disk, [one for p, one in old.items() if p not in known])
        if unknown:
            await self._index(disk, unknown, job)
        if job.depth != "presence":
            there = [(known[path], one) for path, one in old.items() if path in known]
            await self._contents(disk, there, job)

    async def _missing(self, disk: DiskPlace, rows: Sequence[SegmentRow], job: _Job) -> None:
        """Report rows without a file, once it is certain that disk and row are still there."""

        def gone() -> list[SegmentRow] | None:
            missing = [row for row in rows if not os.path.lexists(disk.path / row.path)]
            return missing if files.is_there(disk) else None

        missing = await asyncio.to_thread(gone)
        if missing is None:
            job.report.away.append(disk.name)
            return
        async with self._database.read() as session:
            still = await repository.by_ids(session, [row.id for row in missing])
        missing = [row for row in missing if row.id in still and not still[row.id].deleting]
        job.report.missing += len(missing)
        _name(job.report.missing_files, disk, (row.path for row in missing))
        if job.repair and missing:
            for first in range(0, len(missing), _BATCH):
                batch = missing[first : first + _BATCH]
                async with self._database.transaction() as session:
                    await deletions.serialise(session)
                    removed = await self._recordings.sweeper.forget_lost(session, batch)
                job.report.removed += removed
            job.report.lost_bytes[disk.name] = job.report.lost_bytes.get(disk.name, 0) + sum(
                row.bytes for row in missing
            )

    async def _unknown(self, disk: DiskPlace, found: Sequence[Found]) -> list[Found]:
        """Return the files that no row names; their rows may begin on another day."""
        known: set[str] = set()
        async with self._database.read() as session:
            for first in range(0, len(found), _BATCH):
                paths = [one.path for one in found[first : first + _BATCH]]
                known |= await repository.at_paths(session, disk.name, paths)
        return [one for one in found if one.path not in known]

    async def _index(
        self,
        disk: DiskPlace,
        found: Sequence[Found],
        job: _Job,
    ) -> None:
        job.report.unknown += len(found)
        _name(job.report.unknown_files, disk, (one.path for one in found))
        if not job.adopt:
            return
        for first in range(0, len(found), _BATCH):
            batch = found[first : first + _BATCH]
            reading = await asyncio.to_thread(read_all, disk, batch, with_hash=job.depth == "hash")
            job.report.broken += len(reading.broken)
            _name(job.report.broken_files, disk, reading.broken)
            async with self._database.transaction() as session:
                read = await self._ours(session, disk, reading)
                out = await self._recordings.take(session, "check", read)
            job.report.indexed += len(out.taken)
            refused = {one.id for one in out.refused}
            _name(job.report.broken_files, disk, (one.path for one in read if one.id in refused))
            job.report.broken += len(refused)

    async def _ours(
        self, session: AsyncSession, disk: DiskPlace, reading: Reading
    ) -> list[SegmentIn]:
        """Return what this site wrote, or what is of a camera that it knows."""
        foreign = [
            one for one in reading.segments if reading.sites[one.path] not in {self._site, ""}
        ]
        known = await repository.known_cameras(session, {one.camera_id for one in foreign})
        left = {one.path for one in foreign if one.camera_id not in known}
        if left:
            _log.warning(
                "recordings_of_another_site",
                disk=disk.name,
                count=len(left),
                first=min(left),
                site=reading.sites[min(left)],
            )
        return [one for one in reading.segments if one.path not in left]

    async def _contents(
        self,
        disk: DiskPlace,
        there: Sequence[tuple[SegmentRow, Found]],
        job: _Job,
    ) -> None:
        changed = [row for row, one in there if row.bytes != one.size]
        if job.depth == "hash":
            for row, one in there:
                if row.bytes != one.size:
                    continue
                digest = await asyncio.to_thread(hash_of, disk, row.path)
                if digest is None:
                    continue  # deleted meanwhile
                job.report.hashed += 1
                if row.sha256 and digest != row.sha256:
                    changed.append(row)
                elif job.repair and not row.sha256:
                    async with self._database.transaction() as session:
                        await repository.fill_hash(session, row.id, digest)
        job.report.changed += len(changed)
        _name(job.report.changed_files, disk, (row.path for row in changed))


def _name(into: list[str], disk: DiskPlace, paths: Iterable[str]) -> None:
    for path in paths:
        if len(into) >= MOST_NAMED:
            return
        into.append(f"{disk.name}:{path}")


def _is_old(now: datetime, at_s: float) -> bool:
    """Say whether what is of `at_s` is long done, and not on its way."""
    return not -YOUNG.total_seconds() < now.timestamp() - at_s < YOUNG.total_seconds()
