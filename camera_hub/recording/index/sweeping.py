"""Deletes what is to go: by age, for room, and what was withdrawn. The index first, always.

Mark the rows (commit), remove the files, remove the rows and write what went (commit). A kill
between any two is made good by the next sweep, for a marked row is found again, and a marked row
whose file is gone already is what the sweep wanted.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions import Law
from access.ledger.service import Ledger, NewEntry
from camera_hub.recording.index import deletions, files, repository
from camera_hub.recording.index.retention import Keep, keeps
from camera_hub.recording.index.schemas import DeletionCause, DiskPlace, SegmentRow
from core.clock import Clock
from core.database import Database
from core.logging import get_logger
from core.metrics import counter

BATCH = 500
_FOR_ROOM = 200
_JUMP = timedelta(hours=1)
_deleted = counter("recordings_deleted", "Recorded files that were deleted", ("cause",))
_kept = counter("recordings_not_deleted", "Recorded files that could not be deleted")
_log = get_logger("recording.sweep")

Forget = Callable[[UUID, datetime, datetime], object]
"""Deletes what was made of a camera's recordings of a span: thumbnails, caches. Blocking."""


@dataclass
class SweepReport:
    """What a sweep did: files that went by cause, and how many could not be removed."""

    deleted: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    kept: int = 0
    clock_jumped: bool = False


class Sweeper:
    """Deletes recordings. One process of a site does so at a time: see `alone`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        disks: Mapping[str, DiskPlace],
        law: Law,
        ledger: Ledger,
    ) -> None:
        self._database = database
        self._clock = clock
        self._disks = disks
        self._law = law
        self._ledger = ledger
        self._ahead = self._trusted = self._wall_ahead()
        self._held_until = float("-inf")
        self.forget: list[Forget] = []

    async def sweep(self, *, only_withdrawn: bool = False) -> SweepReport:
        """Delete what is older than it may be, and what was withdrawn; finish what is marked."""
        report = SweepReport()
        there = await asyncio.to_thread(self._there)
        if not there:
            return report
        await self.finish_marked(there, report)
        if self.clock_jumped():
            # A clock that has jumped ahead would make a month of recordings look too old.
            report.clock_jumped = True
            _log.error("sweep_waits", why="the clock has jumped")
            return report
        async with self._database.read() as session:
            rules = await keeps(session, self._law)
            cameras = await deletions.cameras_recorded(session)
        for camera_id in cameras:
            keep = rules.get(camera_id)
            if keep is None or (only_withdrawn and not keep.withdrawn):
                continue
            await self._sweep_camera(keep, there, report)
        return report

    async def _sweep_camera(self, keep: Keep, there: Sequence[str], report: SweepReport) -> None:
        cause: DeletionCause = "withdrawn" if keep.withdrawn else "retention"
        while True:
            now = self._clock.now()
            before = keep.cutoff(now)
            if before is None:
                return
            async with self._database.transaction() as session:
                await deletions.serialise(session)
                rows = await deletions.mark_before(
                    session, keep.camera_id, there, before=before, now=now, limit=BATCH
                )
            if not rows:
                return
            await self._remove(rows, {keep.camera_id: keep}, report, cause)

    async def make_room(self, disk: str, size: int) -> SweepReport:
        """Delete the oldest recordings of a disk that law and locks let go, until `size` is free.

        What is freed is `report.bytes`; less than `size` where nothing more may go.
        """
        report = SweepReport()
        async with self._database.read() as session:
            rules = await keeps(session, self._law)
        while report.bytes < size and not report.kept:
            now = self._sure_now()
            groups: dict[datetime, list[UUID]] = {}
            for keep in rules.values():
                groups.setdefault(keep.protected_from(now), []).append(keep.camera_id)
            if not groups:
                break
            async with self._database.transaction() as session:
                await deletions.serialise(session)
                rows = await deletions.mark_for_room(
                    session,
                    disk,
                    [(cameras, moment) for moment, cameras in groups.items()],
                    now=now,
                    size=size - report.bytes,
                    limit=_FOR_ROOM,
                )
            if not rows:
                break
            await self._remove(rows, rules, report, "quota")
        return report

    async def finish_marked(self, there: Sequence[str], report: SweepReport) -> None:
        """Finish what was marked and then left, by a kill or by a disk that refused."""
        async with self._database.read() as session:
            rows = await deletions.marked(session, there, None, BATCH)
            rules = await keeps(session, self._law) if rows else {}
        while rows:
            await self._remove(rows, rules, report, None)
            async with self._database.read() as session:
                rows = await deletions.marked(session, there, rows[-1].id, BATCH)

    async def _remove(
        self,
        rows: Sequence[SegmentRow],
        rules: Mapping[UUID, Keep],
        report: SweepReport,
        cause: DeletionCause | None,
    ) -> None:
        """Remove the files of marked rows, then the rows. `cause` None: found again by its rule."""
        done = await asyncio.to_thread(self._unlink, rows)
        for why in sorted(set(done.kept.values())):
            _log.error("recordings_not_deleted", why=why, count=len(done.kept))
        report.kept += len(done.kept)
        _kept.inc(len(done.kept))
        gone = set(done.gone)
        if not gone:
            return
        async with self._database.transaction() as session:
            removed = await deletions.finish(session, sorted(gone))
            went = [row for row in rows if row.id in removed]
            await self._note(session, went, rules, cause, report)
        await asyncio.to_thread(self._tidy, went)

    async def _note(
        self,
        session: AsyncSession,
        went: Sequence[SegmentRow],
        rules: Mapping[UUID, Keep],
        cause: DeletionCause | None,
        report: SweepReport,
    ) -> None:
        now = self._clock.now()
        by_cause: dict[DeletionCause, list[SegmentRow]] = {}
        for row in went:
            why = cause or _cause_of(row, rules.get(row.camera_id), now)
            by_cause.setdefault(why, []).append(row)
        entries: list[NewEntry] = []
        for why, rows in by_cause.items():
            found = deletions.grouped(rows, why)
            await deletions.note(session, found, now)
            entries += [_entry(one, rules.get(one.camera_id)) for one in found]
            report.deleted[why] = report.deleted.get(why, 0) + len(rows)
            report.bytes += sum(row.bytes for row in rows)
            _deleted.labels(why).inc(len(rows))
        if entries:
            await self._ledger.append_all(session, entries)

    async def forget_lost(self, session: AsyncSession, rows: Sequence[SegmentRow]) -> int:
        """Take rows out of the index whose files a disk has lost; return how many there were."""
        rules = await keeps(session, self._law)
        removed = await repository.remove(session, [row.id for row in rows])
        went = [row for row in rows if row.id in removed]
        await self._note(session, went, rules, "lost", SweepReport())
        return len(went)

    def _there(self) -> list[str]:
        return [name for name, disk in self._disks.items() if files.is_there(disk)]

    def _unlink(self, rows: Sequence[SegmentRow]) -> files.Unlinked:
        """Remove files, and what was made of them while their rows still say that it must go."""
        done = files.Unlinked()
        by_disk: dict[str, list[SegmentRow]] = {}
        for row in rows:
            by_disk.setdefault(row.disk, []).append(row)
        for name, of_disk in by_disk.items():
            found = files.unlink(self._disks[name], of_disk)
            done.gone += found.gone
            done.kept.update(found.kept)
        gone = set(done.gone)
        ordered = sorted(
            (row for row in rows if row.id in gone), key=lambda r: (str(r.camera_id), r.started_at)
        )
        for camera_id, group in groupby(ordered, key=lambda row: row.camera_id):
            for start, end in _ranges(list(group)):
                for forget in self.forget:
                    forget(camera_id, start, end)
        return done

    def _tidy(self, rows: Sequence[SegmentRow]) -> None:
        today = f"{self._clock.now():%Y-%m-%d}"
        for name, disk in self._disks.items():
            folders = {row.path.rpartition("/")[0] for row in rows if row.disk == name}
            if folders:
                files.tidy(disk, sorted(folders), today)

    def clock_jumped(self) -> bool:
        """Say whether the wall clock has left the monotonic one within the last hour."""
        now, ahead = self._clock.monotonic(), self._wall_ahead()
        if abs(ahead - self._ahead) > _JUMP:
            self._held_until = now + _JUMP.total_seconds()
        self._ahead = ahead
        if now >= self._held_until:
            self._trusted = ahead
        return now < self._held_until

    def _sure_now(self) -> datetime:
        """Return the time, after a jump ahead what it would be without it: locks end by it."""
        now = self._clock.now()
        if not self.clock_jumped():
            return now
        return min(now, now - (self._wall_ahead() - self._trusted))

    def _wall_ahead(self) -> timedelta:
        """Return how far the wall clock is ahead of the monotonic one."""
        now = self._clock.now()
        return now - datetime.min.replace(tzinfo=UTC) - timedelta(seconds=self._clock.monotonic())


def _ranges(rows: Sequence[SegmentRow]) -> list[tuple[datetime, datetime]]:
    """Return what rows of one camera cover, neighbours as one."""
    found: list[tuple[datetime, datetime]] = []
    for row in rows:
        if found and row.started_at - found[-1][1] <= timedelta(minutes=1):
            found[-1] = (found[-1][0], max(found[-1][1], row.ends_at))
        else:
            found.append((row.started_at, row.ends_at))
    return found


def _cause_of(row: SegmentRow, keep: Keep | None, now: datetime) -> DeletionCause:
    """Return why a row had been marked, as far as the rules in force tell."""
    if keep is None or keep.withdrawn:
        return "withdrawn"
    before = keep.cutoff(now)
    return "retention" if before is not None and row.ends_at <= before else "quota"


def _entry(one: deletions.Deleted, keep: Keep | None) -> NewEntry:
    return NewEntry(
        "recording.deleted",
        None,
        {
            "cause": one.cause,
            "disk": one.disk,
            "from": one.start.isoformat(),
            "to": one.end.isoformat(),
            "segments": one.segments,
            "bytes": one.bytes,
        },
        "" if keep is None else keep.area,
        str(one.camera_id),
    )
