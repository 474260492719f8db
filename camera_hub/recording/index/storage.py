"""What lies on the disks, when they will be full, and room for what comes next."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions import Law
from camera_hub.recording.disks import LEAST_ROOM
from camera_hub.recording.index import files, repository
from camera_hub.recording.index.forecast import (
    DiskForecast,
    Load,
    at_days,
    capacity_of,
    day_rate,
    days_between,
    full_after,
)
from camera_hub.recording.index.locks import Locks
from camera_hub.recording.index.retention import Keep, keeps
from camera_hub.recording.index.schemas import DiskPlace
from camera_hub.recording.index.sweeping import Sweeper
from core.clock import Clock
from core.database import Database

FRESH_S = 60.0
COUNTED_EVERY_S = 600.0
"""Counting reads all of the index, so it is not done for every look at the disks."""
_FOR_EVER_D = 10_000.0


@dataclass(frozen=True, slots=True)
class CameraUse:
    """What the recordings of one camera take. `retention_h`: None where nothing says."""

    camera_id: UUID
    name: str
    bytes: int
    per_day: int
    retention_h: int | None
    floor_h: int
    oldest_at: datetime | None
    locked_bytes: int


@dataclass(frozen=True, slots=True)
class Survey:
    """How things stand. `full_at`: when what must be kept no longer fits on all disks together."""

    disks: list[DiskForecast]
    cameras: list[CameraUse]
    full_at: datetime | None


@dataclass
class _Counted:
    """What counting the index has found, and when (monotonic)."""

    at: float
    totals: dict[tuple[UUID, str], tuple[int, int]]
    rates: dict[tuple[UUID, str], float]
    used: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (_, disk), (size, _) in self.totals.items():
            self.used[disk] = self.used.get(disk, 0) + size

    def per_day(self, disk: str) -> float:
        return sum(rate for (_, name), rate in self.rates.items() if name == disk)

    def used_now(self, disk: str, now: float) -> int:
        """Return bytes of a disk, with what will have come since the count."""
        return self.used.get(disk, 0) + int(self.per_day(disk) * (now - self.at) / 86_400)


class Storage:
    """Looks at disks and index together."""

    def __init__(
        self, clock: Clock, disks: Mapping[str, DiskPlace], law: Law, locks: Locks
    ) -> None:
        self._clock = clock
        self._disks = disks
        self._law = law
        self._locks = locks
        self._counted: _Counted | None = None

    async def survey(self, session: AsyncSession, *, within_s: float = FRESH_S) -> Survey:
        """Return how disks and cameras stand; counted at most `within_s` seconds ago."""
        now = self._clock.now()
        counted = await self._count(session, within_s)
        rooms = await asyncio.to_thread(self._rooms)
        rules = await keeps(session, self._law)
        locks = await self._locks.in_force(session)
        oldest = {
            camera_id: await repository.oldest(session, camera_id)
            for camera_id in {camera_id for camera_id, _ in counted.totals}
        }
        loads = await self._loads(session, counted, rules, locks, oldest)
        disks = []
        capacities = 0
        for name, disk in self._disks.items():
            of_disk = [load for (_, where), load in loads.items() if where == name]
            first = await repository.oldest_on(session, name)
            stands = self._disk(disk, rooms[name], counted, of_disk, first)
            if stands.state != "away":
                capacities += capacity_of(disk.quota, stands.used, stands.free)
            disks.append(stands)
        there = {disk.name for disk in disks if disk.state != "away"}
        together = [load for (_, where), load in loads.items() if where in there]
        full = full_after(together, capacities) if there else None
        cameras = await self._cameras(session, counted, rules, locks, oldest)
        return Survey(disks, cameras, at_days(now, full))

    async def make_room(self, database: Database, sweeper: Sweeper) -> list[DiskForecast]:
        """Delete the oldest of what may go where a disk has little room left; see `Sweeper`."""
        async with database.read() as session:
            counted = await self._count(session, COUNTED_EVERY_S)
        rooms = await asyncio.to_thread(self._rooms)
        for name, disk in self._disks.items():
            room = rooms[name]
            if room is None:
                continue
            wanted = self._margin(disk, room, counted) - self._headroom(disk, room, counted)
            if wanted > 0:
                report = await sweeper.make_room(name, wanted)
                counted.used[name] = max(0, counted.used.get(name, 0) - report.bytes)
        async with database.read() as session:
            return (await self.survey(session, within_s=COUNTED_EVERY_S)).disks

    async def _count(self, session: AsyncSession, within_s: float) -> _Counted:
        now = self._clock.monotonic()
        if self._counted is not None and now - self._counted.at < within_s:
            return self._counted
        moment = self._clock.now()
        rates: dict[tuple[UUID, str], float] = {}
        for disk in self._disks:
            found = await repository.rates(session, disk, moment - timedelta(days=1))
            for camera_id, (size, first) in found.items():
                rates[camera_id, disk] = day_rate(size, first, moment)
        self._counted = _Counted(now, await repository.totals(session), rates)
        return self._counted

    def _rooms(self) -> dict[str, files.Room | None]:
        return {name: files.room_of(disk) for name, disk in self._disks.items()}

    def _headroom(self, disk: DiskPlace, room: files.Room, counted: _Counted) -> int:
        """Return how many bytes recordings may still take."""
        free = room.free - disk.keep_free
        if not disk.quota:
            return free
        return min(free, disk.quota - counted.used_now(disk.name, self._clock.monotonic()))

    def _margin(self, disk: DiskPlace, room: files.Room, counted: _Counted) -> int:
        """Return what is to be free: what a recorder asks for, and an hour of what comes next."""
        used = counted.used_now(disk.name, self._clock.monotonic())
        capacity = capacity_of(disk.quota, used, room.free - disk.keep_free)
        hour = int(counted.per_day(disk.name) / 24) + LEAST_ROOM
        return LEAST_ROOM + min(capacity // 20, hour)

    def _disk(
        self,
        disk: DiskPlace,
        room: files.Room | None,
        counted: _Counted,
        loads: Sequence[Load],
        first: datetime | None,
    ) -> DiskForecast:
        now = self._clock.now()
        used = counted.used_now(disk.name, self._clock.monotonic())
        per_day = int(counted.per_day(disk.name))
        if room is None:
            reason = "not-used-yet" if first is None else "disk-away"
            return DiskForecast(
                disk.name, "away", reason, 0, used, 0, disk.quota, per_day, None, first
            )
        headroom = self._headroom(disk, room, counted)
        full = headroom < LEAST_ROOM
        capacity = capacity_of(disk.quota, used, room.free - disk.keep_free)
        return DiskForecast(
            name=disk.name,
            state="full" if full else "ok",
            reason="no-room" if full else "",
            total=room.total,
            used=used,
            free=max(headroom, 0),
            quota=disk.quota,
            per_day=per_day,
            full_at=now if full else at_days(now, full_after(loads, capacity)),
            oldest_at=first,
        )

    async def _loads(
        self,
        session: AsyncSession,
        counted: _Counted,
        rules: Mapping[UUID, Keep],
        locks: Mapping[UUID, Sequence[tuple[datetime, datetime]]],
        oldest: Mapping[UUID, datetime | None],
    ) -> dict[tuple[UUID, str], Load]:
        now = self._clock.now()
        loads = {}
        for (camera_id, disk), (size, _) in counted.totals.items():
            kept = _kept_days(rules.get(camera_id))
            # What is younger is counted already.
            end = now - timedelta(days=min(kept, _FOR_EVER_D))
            older = [(a, min(b, end)) for a, b in locks.get(camera_id, ()) if a < end]
            locked = await repository.bytes_between(session, camera_id, older) if older else {}
            loads[camera_id, disk] = Load(
                used=size,
                per_day=counted.rates.get((camera_id, disk), 0.0),
                days_held=days_between(oldest[camera_id], now),
                kept_days=kept,
                locked=locked.get(disk, 0),
            )
        return loads

    async def _cameras(
        self,
        session: AsyncSession,
        counted: _Counted,
        rules: Mapping[UUID, Keep],
        locks: Mapping[UUID, Sequence[tuple[datetime, datetime]]],
        oldest: Mapping[UUID, datetime | None],
    ) -> list[CameraUse]:
        sizes: dict[UUID, int] = {}
        for (camera_id, _), (size, _) in counted.totals.items():
            sizes[camera_id] = sizes.get(camera_id, 0) + size
        found = []
        for camera_id, size in sizes.items():
            keep = rules.get(camera_id)
            locked = await repository.bytes_between(session, camera_id, locks.get(camera_id, ()))
            rate = sum(rate for (owner, _), rate in counted.rates.items() if owner == camera_id)
            found.append(
                CameraUse(
                    camera_id=camera_id,
                    name="" if keep is None else keep.name,
                    bytes=size,
                    per_day=int(rate),
                    retention_h=None if keep is None else keep.hours,
                    floor_h=0 if keep is None else keep.floor_h,
                    oldest_at=oldest.get(camera_id),
                    locked_bytes=sum(locked.values()),
                )
            )
        return sorted(found, key=lambda use: (-use.bytes, use.name))


def _kept_days(keep: Keep | None) -> float:
    """Return how long recordings must stay; where nothing says, a full disk lets the oldest go."""
    if keep is None:
        return _FOR_EVER_D
    kept = keep.floor_h if keep.withdrawn or keep.hours is None else keep.hours
    return kept / 24
