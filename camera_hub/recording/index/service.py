"""The index of recordings: what lies where, from when to when."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions import Law
from access.ledger.service import Ledger
from camera_hub.recording.index import repository
from camera_hub.recording.index.checking import Checker, CheckReport, Depth, Progress
from camera_hub.recording.index.forecast import DiskForecast
from camera_hub.recording.index.gaps import CameraPast, explain_gaps
from camera_hub.recording.index.locks import Locks
from camera_hub.recording.index.schemas import (
    BadSegment,
    DayTotal,
    DiskPlace,
    RefusedSegment,
    SegmentIn,
    SegmentRow,
    SegmentsOut,
    Span,
)
from camera_hub.recording.index.spans import Interval, Labelled, merged
from camera_hub.recording.index.storage import Storage, Survey
from camera_hub.recording.index.sweeping import Sweeper, SweepReport
from core.clock import Clock
from core.database import Database
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
    """Takes segments into the index and finds them again.

    What takes a session commits nothing; `sweep`, `make_room` and `check` open their own
    transactions.
    """

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, *, law: Law, ledger: Ledger
    ) -> None:
        self.clock = clock
        self.database = database
        self.law = law
        self.disks = disk_places(settings)
        self.locks = Locks(clock, ledger, law)
        self.sweeper = Sweeper(database, clock, disks=self.disks, law=law, ledger=ledger)
        self.storage = Storage(clock, self.disks, law, self.locks)
        self.checker = Checker(
            database, clock, disks=self.disks, recordings=self, site=settings.site.name
        )

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

    async def spans(
        self,
        session: AsyncSession,
        camera_id: UUID,
        start: datetime,
        end: datetime,
        role: str | None = None,
    ) -> list[Span]:
        """Return what of [start, end) is recorded, neighbours within 1.5 s as one span."""
        return merged(await repository.times(session, camera_id, start, end, role), start, end)

    async def days(
        self, session: AsyncSession, camera_id: UUID, month: date, zone: tzinfo
    ) -> list[DayTotal]:
        """Return each day of `month` (its first day) with recordings; days are those of `zone`.

        A segment counts for the day that it begins on.
        """
        found: list[DayTotal] = []
        day = month.replace(day=1)
        while day.month == month.month:
            following = day + timedelta(days=1)
            start, end = (
                datetime.combine(d, time(), zone).astimezone(UTC) for d in (day, following)
            )
            seconds, size = await repository.recorded_between(session, camera_id, start, end)
            if size:
                whole = (end - start).total_seconds()
                found.append(DayTotal(day.isoformat(), round(min(seconds, whole), 1), size))
            day = following
        return found

    async def oldest(self, session: AsyncSession, camera_id: UUID) -> datetime | None:
        """Return when the oldest recording of a camera begins."""
        return await repository.oldest(session, camera_id)

    async def gaps(
        self, session: AsyncSession, keep: CameraPast, spans: Sequence[Span], between: Interval
    ) -> list[Labelled]:
        """Return what is not recorded between two moments, cut by the reason where one is known.

        Reasons: `not_yet` (its file is still being written), `deleted`, `lost`, `withdrawn`,
        `offline`, `not_recording`, `not_added`; else what the plan says now: `off`, `schedule`,
        `no_event`, or `unknown`.
        """
        return await explain_gaps(session, self.clock.now(), keep, spans, between)

    async def sweep(self, *, only_withdrawn: bool = False) -> SweepReport:
        """Delete what is too old or withdrawn; see `Sweeper.sweep`."""
        return await self.sweeper.sweep(only_withdrawn=only_withdrawn)

    async def make_room(self) -> list[DiskForecast]:
        """Delete the oldest recordings where a disk needs the room; return how each disk stands."""
        return await self.storage.make_room(self.database, self.sweeper)

    async def forecast(self, session: AsyncSession) -> list[DiskForecast]:
        """Return how each disk stands, and when it will be full."""
        return (await self.survey(session)).disks

    async def survey(self, session: AsyncSession) -> Survey:
        """Return how disks and cameras stand, and when the disks together will be full."""
        return await self.storage.survey(session)

    async def check(
        self,
        depth: Depth = "presence",
        *,
        adopt: bool = False,
        repair: bool = False,
        progress: Progress | None = None,
    ) -> CheckReport:
        """Compare the index with the disks; see `Checker.check`."""
        return await self.checker.check(depth, adopt=adopt, repair=repair, progress=progress)

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
