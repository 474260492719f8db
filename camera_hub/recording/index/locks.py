"""Locks: spans of a camera that stay, whatever age and disks say, until they end or expire."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.schemas import AccountBrief
from access.jurisdictions import Law
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor
from access.scope import CameraScope, in_scope
from camera_hub.devices.models import Camera
from camera_hub.devices.repository import COLUMNS
from camera_hub.recording.index import deletions
from camera_hub.recording.index.models import RecordingLock
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id

LONGEST_SPAN = timedelta(days=31)
LONGEST = timedelta(days=365)
"""How long a lock lasts at most, where the law does not say how long a seal may."""
_AT_ONCE = 100

LockState = Literal["active", "ended", "expired"]


@dataclass(frozen=True, slots=True)
class LockWanted:
    """A lock that somebody asks for. Times aware; `incident_id` was looked up before."""

    start: datetime
    end: datetime
    reason: str
    expires_at: datetime
    incident_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class LockedCamera:
    """What a lock must know of its camera."""

    id: UUID
    name: str
    area: str


class Locks:
    """Makes, ends and lists locks; whoever calls it has asked the door."""

    def __init__(self, clock: Clock, ledger: Ledger, law: Law) -> None:
        self._clock = clock
        self._ledger = ledger
        seal = law.content.seal if law.name != "none" else None
        self.longest = LONGEST if seal is None else timedelta(days=seal.max_days)

    async def lock(
        self, session: AsyncSession, actor: Actor | None, camera: LockedCamera, wanted: LockWanted
    ) -> RecordingLock:
        """Lock a span, in the caller's transaction; append to the ledger last.

        Raises:
            InvalidInputError: code `bad-span`: it is empty, begins in the future, or is longer
                than 31 days; code `bad-expiry`: it expires in the past or too late.
        """
        now = self._clock.now()
        if not wanted.start < wanted.end or wanted.end - wanted.start > LONGEST_SPAN:
            raise InvalidInputError(
                "The span that is to be kept is empty, or longer than 31 days.",
                remedy="Name its beginning and its end; lock a longer time in pieces.",
                code="bad-span",
            )
        if wanted.start > now:
            raise InvalidInputError(
                "The span that is to be kept has not begun.",
                remedy="Lock what was recorded already.",
                code="bad-span",
            )
        if actor is not None:
            self._check_expiry(wanted.expires_at)
        await deletions.serialise(session)
        row = RecordingLock(
            id=new_id(),
            camera_id=camera.id,
            from_at=wanted.start,
            to_at=wanted.end,
            incident_id=wanted.incident_id,
            reason=wanted.reason,
            requested_by=None if actor is None else actor.id,
            created_at=now,
            expires_at=wanted.expires_at,
        )
        session.add(row)
        await session.flush()
        await self._note(
            session,
            "recording.locked",
            actor,
            row,
            camera.area,
            reason=row.reason,
            expires_at=row.expires_at.isoformat(),
        )
        return row

    async def keep_incident(
        self, session: AsyncSession, camera: LockedCamera, incident_id: UUID, wanted: LockWanted
    ) -> None:
        """Lock what shows an incident, once; a later signal of it makes the span longer."""
        query = (
            select(RecordingLock)
            .where(
                RecordingLock.incident_id == incident_id,
                RecordingLock.camera_id == camera.id,
                RecordingLock.requested_by.is_(None),
            )
            .with_for_update()
        )
        row = (await session.scalars(query)).first()
        if row is None:
            await self.lock(session, None, camera, wanted)
        elif row.ended_at is None and row.to_at < wanted.end:
            await deletions.serialise(session)
            row.to_at = wanted.end
            await session.flush()

    async def end_incident(self, session: AsyncSession, incident_id: UUID, area: str) -> int:
        """End what the hub itself has locked for an incident; return how many locks that were."""
        query = (
            select(RecordingLock)
            .where(
                RecordingLock.incident_id == incident_id,
                RecordingLock.requested_by.is_(None),
                RecordingLock.ended_at.is_(None),
            )
            .with_for_update()
        )
        rows = list(await session.scalars(query))
        for row in rows:
            await self._end(session, None, row, area)
        return len(rows)

    async def get(self, session: AsyncSession, lock_id: UUID) -> RecordingLock:
        """Return a lock, held until the transaction ends.

        Raises:
            NotFoundError: there is none with this id.
        """
        query = select(RecordingLock).where(RecordingLock.id == lock_id).with_for_update()
        row = (await session.scalars(query.execution_options(populate_existing=True))).first()
        if row is None:
            raise no_such_lock()
        return row

    async def unlock(
        self, session: AsyncSession, actor: Actor, row: RecordingLock, area: str, why: str = ""
    ) -> None:
        """End a lock now; what it kept goes when its time is over. Append last.

        Raises:
            ConflictError: code `lock-ended`: it has ended or expired.
        """
        self._check_active(row)
        await self._end(session, actor, row, area, why=why)

    async def extend(
        self, session: AsyncSession, actor: Actor | None, row: RecordingLock, area: str, *,
        until: datetime, why: str,
    ) -> None:  # fmt: skip
        """Let a lock in force expire later; `area` is its camera's. Append last.

        Raises:
            ConflictError: code `lock-ended`: it has ended or expired.
            InvalidInputError: code `bad-expiry`: not later than now it does, or too late.
        """
        self._check_active(row)
        if until <= row.expires_at:
            raise InvalidInputError(
                "The lock lasts as long already.",
                remedy="Name a later time, or end the lock.",
                code="bad-expiry",
            )
        self._check_expiry(until)
        await deletions.serialise(session)
        row.expires_at = until
        await session.flush()
        await self._note(
            session,
            "recording.lock_extended",
            actor,
            row,
            area,
            reason=why,
            expires_at=until.isoformat(),
        )

    def _check_active(self, row: RecordingLock) -> None:
        if self.state_of(row) != "active":
            raise ConflictError(
                "This lock has ended.",
                remedy="Reload the list. What is still there can be locked anew.",
                code="lock-ended",
            )

    def _check_expiry(self, until: datetime) -> None:
        now = self._clock.now()
        if not now < until <= now + self.longest:
            raise InvalidInputError(
                f"A lock expires within {self.longest.days} days.",
                remedy="Name a time in between; extend it before that if it is not enough.",
                code="bad-expiry",
            )

    async def expire(self, session: AsyncSession) -> int:
        """Write the end of locks whose time is over; return how many there were.

        A lock counts until its time whether this has run or not.
        """
        query = (
            select(RecordingLock)
            .where(RecordingLock.ended_at.is_(None), RecordingLock.expires_at <= self._clock.now())
            .order_by(RecordingLock.id)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        rows = list(await session.scalars(query))
        areas = await _areas(session, {row.camera_id for row in rows})
        for row in rows:
            row.ended_at = row.expires_at
            await session.flush()
            await self._note(
                session, "recording.lock_expired", None, row, areas.get(row.camera_id, "")
            )
        return len(rows)

    async def of_camera(
        self, session: AsyncSession, camera_id: UUID, start: datetime, end: datetime
    ) -> list[RecordingLock]:
        """Return the locks in force that overlap [start, end), by start."""
        query = (
            select(RecordingLock)
            .where(
                RecordingLock.camera_id == camera_id,
                RecordingLock.ended_at.is_(None),
                RecordingLock.expires_at > self._clock.now(),
                RecordingLock.from_at < end,
                RecordingLock.to_at > start,
            )
            .order_by(RecordingLock.from_at, RecordingLock.id)
        )
        return list(await session.scalars(query))

    async def page(
        self,
        session: AsyncSession,
        scope: CameraScope,
        *,
        active: bool,
        camera_id: UUID | None = None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[tuple[RecordingLock, str]]:
        """Return at most `limit` locks of the cameras of `scope` with their names, newest first.

        `active`: only those in force; `camera_id`: only those of that camera.
        """
        query = (
            select(RecordingLock, Camera.name)
            .join(Camera, Camera.id == RecordingLock.camera_id)
            .where(in_scope(COLUMNS, scope))
            .order_by(RecordingLock.id.desc())
            .limit(limit)
        )
        if active:
            query = query.where(
                RecordingLock.ended_at.is_(None), RecordingLock.expires_at > self._clock.now()
            )
        if camera_id is not None:
            query = query.where(RecordingLock.camera_id == camera_id)
        if before is not None:
            query = query.where(RecordingLock.id < before)
        return [(row, name) for row, name in await session.execute(query)]

    async def in_force(self, session: AsyncSession) -> dict[UUID, list[tuple[datetime, datetime]]]:
        """Return what is locked now, by camera: spans that do not overlap."""
        query = (
            select(RecordingLock.camera_id, RecordingLock.from_at, RecordingLock.to_at)
            .where(RecordingLock.ended_at.is_(None), RecordingLock.expires_at > self._clock.now())
            .order_by(RecordingLock.camera_id, RecordingLock.from_at)
        )
        found: dict[UUID, list[tuple[datetime, datetime]]] = {}
        for camera_id, start, end in await session.execute(query):
            spans = found.setdefault(camera_id, [])
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], end))
            else:
                spans.append((start, end))
        return found

    def state_of(self, row: RecordingLock) -> LockState:
        """Return how a lock stands now."""
        if row.expires_at <= self._clock.now():
            return "expired"
        return "active" if row.ended_at is None else "ended"

    async def _end(
        self,
        session: AsyncSession,
        actor: Actor | None,
        row: RecordingLock,
        area: str,
        *,
        why: str = "",
    ) -> None:
        await session.execute(
            update(RecordingLock)
            .where(RecordingLock.id == row.id)
            .values(ended_at=self._clock.now(), ended_by=None if actor is None else actor.id)
        )
        await session.refresh(row)
        await self._note(session, "recording.unlocked", actor, row, area, reason=why)

    async def _note(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        row: RecordingLock,
        area: str,
        **data: JsonScalar,
    ) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            area=area,
            subject=str(row.camera_id),
            data={
                "lock_id": str(row.id),
                "from": row.from_at.isoformat(),
                "to": row.to_at.isoformat(),
                "incident_id": "" if row.incident_id is None else str(row.incident_id),
                **data,
            },
        )


async def people(session: AsyncSession, rows: Sequence[RecordingLock]) -> dict[UUID, AccountBrief]:
    """Return who made and who ended locks."""
    ids = {who for row in rows for who in (row.requested_by, row.ended_by) if who is not None}
    if not ids:
        return {}
    query = select(Account.id, Account.username, Account.display_name).where(Account.id.in_(ids))
    return {
        row.id: AccountBrief(id=row.id, username=row.username, display_name=row.display_name)
        for row in await session.execute(query)
    }


async def _areas(session: AsyncSession, camera_ids: set[UUID]) -> dict[UUID, str]:
    query = select(Camera.id, Camera.area).where(Camera.id.in_(camera_ids))
    return {camera_id: area for camera_id, area in await session.execute(query)}


def no_such_lock() -> NotFoundError:
    """Return what is said of a lock that is not there, or that one may not know of."""
    return NotFoundError("There is no such lock.", remedy="Reload the list.")
