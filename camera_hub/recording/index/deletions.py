"""Queries of deleting: mark (commit), then the file, then the row and what is said of it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    delete,
    exists,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.recording.index.models import RecordingDeletion, RecordingLock, Segment
from camera_hub.recording.index.schemas import DeletionCause, SegmentRow
from core.ids import new_id

_COLUMNS = tuple(getattr(Segment, name) for name in SegmentRow.__slots__)
_LOCKS_LOCK = 0x6368_726C  # any number that nothing else in this database locks


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted of a camera on a disk, for one cause."""

    camera_id: UUID
    disk: str
    cause: DeletionCause
    start: datetime
    end: datetime
    segments: int
    bytes: int


async def serialise(session: AsyncSession) -> None:
    """Let nobody lock a recording while another marks it for deletion, until the commit.

    SQLite has a single writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCKS_LOCK})


def locked(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a segment lies under a lock that is in force at `now`."""
    return exists(
        select(RecordingLock.id)
        .where(
            RecordingLock.camera_id == Segment.camera_id,
            RecordingLock.ended_at.is_(None),
            RecordingLock.expires_at > now,
            RecordingLock.from_at < Segment.ends_at,
            RecordingLock.to_at > Segment.started_at,
        )
        .correlate(Segment)
    )


async def mark_before(
    session: AsyncSession,
    camera_id: UUID,
    disks: Collection[str],
    *,
    before: datetime,
    now: datetime,
    limit: int,
) -> list[SegmentRow]:
    """Mark the oldest unlocked segments of a camera that end by `before`; return them."""
    chosen = (
        select(Segment.id)
        .where(
            Segment.camera_id == camera_id,
            Segment.disk.in_(disks),
            Segment.started_at < before,
            Segment.ends_at <= before,
            ~Segment.deleting,
            ~locked(now),
        )
        .order_by(Segment.started_at)
        .limit(limit)
    )
    return await _mark(session, chosen)


async def mark_for_room(
    session: AsyncSession,
    disk: str,
    protected: Iterable[tuple[Sequence[UUID], datetime]],
    *,
    now: datetime,
    size: int,
    limit: int,
) -> list[SegmentRow]:
    """Mark the oldest segments of a disk that may go, until `size` bytes are found; return them.

    Args:
        session: a transaction.
        disk: its name.
        protected: groups of cameras, each with the moment from which on their recordings stay.
        now: locks count that are in force then.
        size: bytes that are wanted.
        limit: most segments at once.
    """
    may_go = or_(
        *(
            and_(Segment.camera_id.in_(cameras), Segment.ends_at <= moment)
            for cameras, moment in protected
        )
    )
    query = (
        select(Segment.id, Segment.bytes)
        .where(Segment.disk == disk, ~Segment.deleting, may_go, ~locked(now))
        .order_by(Segment.started_at)
        .limit(limit)
    )
    chosen: list[UUID] = []
    for segment_id, found in await session.execute(query):
        if size <= 0:
            break
        chosen.append(segment_id)
        size -= found
    if not chosen:
        return []
    return await _mark(session, select(Segment.id).where(Segment.id.in_(chosen)))


async def _mark(session: AsyncSession, chosen: Select[Any]) -> list[SegmentRow]:
    result = await session.execute(
        update(Segment)
        .where(Segment.id.in_(chosen))
        .values(deleting=True)
        .returning(*_COLUMNS)
        .execution_options(synchronize_session=False)
    )
    return sorted((SegmentRow(*row) for row in result), key=lambda row: row.started_at)


async def marked(
    session: AsyncSession, disks: Collection[str], after: UUID | None, limit: int
) -> list[SegmentRow]:
    """Return what is marked and not gone yet, by id; what a kill has left is among it."""
    query = select(*_COLUMNS).where(Segment.deleting, Segment.disk.in_(disks))
    if after is not None:
        query = query.where(Segment.id > after)
    return [
        SegmentRow(*row) for row in await session.execute(query.order_by(Segment.id).limit(limit))
    ]


async def finish(session: AsyncSession, ids: Sequence[UUID]) -> set[UUID]:
    """Remove the rows of files that are gone; return those that were there."""
    result = await session.execute(
        delete(Segment)
        .where(Segment.id.in_(ids), Segment.deleting)
        .returning(Segment.id)
        .execution_options(synchronize_session=False)
    )
    return set(result.scalars())


async def note(session: AsyncSession, found: Sequence[Deleted], at: datetime) -> None:
    """Write what was deleted."""
    session.add_all(
        RecordingDeletion(
            id=new_id(),
            at=at,
            camera_id=one.camera_id,
            disk=one.disk,
            from_at=one.start,
            to_at=one.end,
            segments=one.segments,
            bytes=one.bytes,
            cause=one.cause,
        )
        for one in found
    )
    await session.flush()


async def noted(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime
) -> list[tuple[datetime, datetime, str]]:
    """Return (from, to, cause) of what was deleted of a camera and overlaps [start, end)."""
    query = (
        select(RecordingDeletion.from_at, RecordingDeletion.to_at, RecordingDeletion.cause)
        .where(
            RecordingDeletion.camera_id == camera_id,
            RecordingDeletion.at >= start,
            RecordingDeletion.from_at < end,
            RecordingDeletion.to_at > start,
        )
        .order_by(RecordingDeletion.from_at)
    )
    return [(row.from_at, row.to_at, row.cause) for row in await session.execute(query)]


async def cameras_recorded(session: AsyncSession) -> list[UUID]:
    """Return the cameras of which the index has anything: one step through the index for each."""
    found: list[UUID] = []
    query = select(Segment.camera_id).order_by(Segment.camera_id).limit(1)
    last = await session.scalar(query)
    while last is not None:
        found.append(last)
        last = await session.scalar(query.where(Segment.camera_id > last))
    return found


def grouped(rows: Sequence[SegmentRow], cause: DeletionCause) -> list[Deleted]:
    """Sum up what was deleted, by camera and disk."""
    found: dict[tuple[UUID, str], Deleted] = {}
    for row in rows:
        key = (row.camera_id, row.disk)
        one = found.get(key)
        if one is None:
            found[key] = Deleted(
                row.camera_id, row.disk, cause, row.started_at, row.ends_at, 1, row.bytes
            )
        else:
            found[key] = replace(
                one,
                start=min(one.start, row.started_at),
                end=max(one.end, row.ends_at),
                segments=one.segments + 1,
                bytes=one.bytes + row.bytes,
            )
    return list(found.values())
