"""Compares the index with the disks, both ways, while recording goes on.

A file that the index lacks is read and indexed, never erased. A row whose file is gone is reported;
only a repair takes it out, and says so. What is young is left alone: it may be on its way.
"""

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from pydantic import ValidationError

from camera_hub.recording.format import (
    CLOSED_SUFFIX,
    FormatError,
    Scan,
)
from camera_hub.recording.index import deletions, files, repository
from camera_hub.recording.index.schemas import PATH, DiskPlace, SegmentIn, SegmentRow
from camera_hub.recording.scanning import (
    scan,
)
from core.clock import Clock
from core.database import Database

if TYPE_CHECKING:
    from camera_hub.recording.index.service import Recordings

Depth = Literal["presence", "size", "hash"]
YOUNG = timedelta(minutes=5)
MOST_NAMED = 200
"""Files that a report names; the others are counted."""
_DAY = timedelta(days=1)
_BATCH = 500
_FOLDER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PATH = re.compile(PATH)


@dataclass
class CheckReport:
    """What a check found. Counts are of files or rows; the lists name at most 200 of each.

    `missing`: rows without a file; `unknown`: files without a row; `indexed`: those of them that
    a repair has put into the index; `broken`: files that cannot be read as recordings;
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


Progress = Callable[[int, int, CheckReport], None]
"""Told how many folders are done, of how many, and what was found so far."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A file in a folder of one day."""

    path: str
    size: int
    changed_at: datetime


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
    ) -> None:
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
        folders: dict[tuple[str, str], list[str]] = {}
        for name, disk in self._disks.items():
            if not await asyncio.to_thread(files.is_there, disk):
                async with self._database.read() as session:
                    used = await repository.oldest_on(session, name) is not None
                if used:
                    report.away.append(name)
                continue
            for folder in await asyncio.to_thread(_folders, disk):
                folders.setdefault(folder, []).append(name)
        for folder in await self._indexed_folders():
            folders.setdefault(folder, [])
        for number, (camera, day) in enumerate(sorted(folders), 1):
            await self._folder(camera, day, folders[camera, day], job)
            if progress is not None:
                progress(number, len(folders), report)
        return report

    async def _indexed_folders(self) -> list[tuple[str, str]]:
        """Return each camera with each day between its first and its last row."""
        found: list[tuple[str, str]] = []
        async with self._database.read() as session:
            for camera_id in await deletions.cameras_recorded(session):
                reach = await repository.reach(session, camera_id)
                if reach is None:
                    continue
                day = reach[0].date()
                while day <= reach[1].date():
                    found.append((str(camera_id), day.isoformat()))
                    day += _DAY
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
            found = await asyncio.to_thread(_listed, disk, f"{camera}/{day}")
            await self._compare(disk, here, found, job)

    async def _compare(
        self,
        disk: DiskPlace,
        rows: Sequence[SegmentRow],
        found: Mapping[str, _Found],
        job: _Job,
    ) -> None:
        now = self._clock.now()
        old = {path: one for path, one in found.items() if now - one.changed_at >= YOUNG}
        job.report.files += len(old)
        job.report.bytes += sum(one.size for one in old.values())
        known = {row.path: row for row in rows}
        doubtful = [row for row in rows if row.path not in found and not row.deleting]
        doubtful = [row for row in doubtful if now - row.ends_at >= YOUNG]
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

    async def _unknown(self, disk: DiskPlace, found: Sequence[_Found]) -> list[_Found]:
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
        found: Sequence[_Found],
        job: _Job,
    ) -> None:
        job.report.unknown += len(found)
        _name(job.report.unknown_files, disk, (one.path for one in found))
        if not job.adopt:
            return
        for first in range(0, len(found), _BATCH):
            batch = found[first : first + _BATCH]
            read, broken = await asyncio.to_thread(_read_all, disk, batch, job.depth == "hash")
            job.report.broken += len(broken)
            _name(job.report.broken_files, disk, broken)
            async with self._database.transaction() as session:
                out = await self._recordings.take(session, "check", read)
            job.report.indexed += len(out.taken)
            refused = {one.id for one in out.refused}
            _name(job.report.broken_files, disk, (one.path for one in read if one.id in refused))
            job.report.broken += len(refused)

    async def _contents(
        self,
        disk: DiskPlace,
        there: Sequence[tuple[SegmentRow, _Found]],
        job: _Job,
    ) -> None:
        changed = [row for row, one in there if row.bytes != one.size]
        if job.depth == "hash":
            for row, one in there:
                if row.bytes != one.size:
                    continue
                digest = await asyncio.to_thread(_hash, disk, row.path)
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


def _folders(disk: DiskPlace) -> list[tuple[str, str]]:
    """Return camera and day of each folder of recordings; nothing else is looked into."""
    found: list[tuple[str, str]] = []
    with os.scandir(disk.path) as cameras:
        for camera in cameras:
            if not _FOLDER.fullmatch(camera.name) or not camera.is_dir(follow_symlinks=False):
                continue
            with os.scandir(camera.path) as days:
                for day in days:
                    if _DATE.fullmatch(day.name) and day.is_dir(follow_symlinks=False):
                        found.append((camera.name, day.name))
    return found


def _listed(disk: DiskPlace, folder: str) -> dict[str, _Found]:
    """Return the closed files of a folder by their path below the disk's."""
    found: dict[str, _Found] = {}
    try:
        entries = os.scandir(disk.path / folder)
    except FileNotFoundError:
        return found
    with entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = f"{folder}/{entry.name}"
            if not entry.name.endswith(CLOSED_SUFFIX) or not _PATH.fullmatch(path):
                continue
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(info.st_mode):
                at = datetime.fromtimestamp(info.st_mtime, UTC)
                found[path] = _Found(path, info.st_size, at)
    return found


def _read_all(
    disk: DiskPlace, found: Sequence[_Found], with_hash: bool
) -> tuple[list[SegmentIn], list[str]]:
    """Read what files say of themselves; return segments, and the paths of those that are none."""
    read: list[SegmentIn] = []
    broken: list[str] = []
    for one in found:
        try:
            digest = _hash(disk, one.path) if with_hash else ""
            read.append(describe(scan(disk.path / one.path), disk.name, one.path, one.size, digest))
        except FileNotFoundError:
            continue
        except (FormatError, ValidationError, OSError):
            broken.append(one.path)
    return read, broken


def describe(found: Scan, disk: str, path: str, size: int, sha256: str | None) -> SegmentIn:
    """Return the row that a file tells of.

    Raises:
        ValidationError: it tells of none.
        FormatError: it is not a closed file, or lies in the folder of another camera.
    """
    header = found.header
    if not found.closed:
        raise FormatError("the file was never closed")
    return SegmentIn(
        id=header.segment_id,
        camera_id=header.camera_id,
        role=header.role,
        started_at=header.started_at,
        ends_at=found.ends_at,
        bytes=size,
        sha256=sha256 or "",
        disk=disk,
        path=path,
        sequence=header.sequence,
        codec=header.codec,
        width=header.width,
        height=header.height,
        cause=header.cause,
        clock=header.clock,
        motion=found.motion,
    )


def _hash(disk: DiskPlace, path: str) -> str | None:
    """Return the SHA-256 of a file, or None if it is gone."""
    try:
        with (disk.path / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
