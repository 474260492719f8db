"""Every query of playbacks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.recording.index.models import Playback

_BATCH = 200


async def add(session: AsyncSession, row: Playback) -> None:
    """Write a new playback."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, playback_id: UUID) -> Playback | None:
    """Return a playback, ended or not."""
    return await session.get(Playback, playback_id)


async def by_id_locked(session: AsyncSession, playback_id: UUID) -> Playback | None:
    """Return a playback as it is committed now, locked until the transaction ends."""
    query = select(Playback).where(Playback.id == playback_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def open_ones(session: AsyncSession, unused_since: datetime | None) -> Sequence[UUID]:
    """Return ids of playbacks without an end; only those not used since then, if given."""
    query = select(Playback.id).where(Playback.ended_at.is_(None))
    if unused_since is not None:
        query = query.where(Playback.last_used_at <= unused_since)
    return (await session.scalars(query.order_by(Playback.id).limit(_BATCH))).all()


async def overlapping(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime, since: datetime
) -> Sequence[Playback]:
    """Return the playbacks begun after `since` that covered some of [start, end) of a camera."""
    query = (
        select(Playback)
        .where(Playback.from_at < end, Playback.to_at > start, Playback.created_at >= since)
        .order_by(Playback.id)
    )
    return [
        row
        for row in await session.scalars(query)
        if any(one["camera_id"] == str(camera_id) for one in row.cameras)
    ]
