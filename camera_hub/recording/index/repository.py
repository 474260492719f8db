"""Every query of recorded segments. Plain columns: a day has thousands of them, years millions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.recording.index.models import Segment
from camera_hub.recording.index.schemas import LONGEST, SegmentRow

_COLUMNS = tuple(getattr(Segment, name) for name in SegmentRow.__slots__)
_BY_ID = 500


def _rows() -> Select[Any]:
    return select(*_COLUMNS)


async def insert_new(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write segments; those whose id or place is taken already are left out."""
    if not rows:
        return
    connection = await session.connection()
    if connection.dialect.name == "postgresql":
        await connection.execute(
            postgresql.insert(Segment).on_conflict_do_nothing(), [dict(row) for row in rows]
        )
    else:
        await connection.execute(
            sqlite.insert(Segment).on_conflict_do_nothing(), [dict(row) for row in rows]
        )


async def by_ids(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, SegmentRow]:
    """Return those of `ids` that the index has."""
    found: dict[UUID, SegmentRow] = {}
    wanted = list(ids)
    for first in range(0, len(wanted), _BY_ID):
        query = _rows().where(Segment.id.in_(wanted[first : first + _BY_ID]))
        found.update({row.id: SegmentRow(*row) for row in await session.execute(query)})
    return found


async def fill_hash(session: AsyncSession, segment_id: UUID, sha256: str) -> None:
    """Write the hash of a file that had none in the index."""
    await session.execute(
        update(Segment).where(Segment.id == segment_id, Segment.sha256 == "").values(sha256=sha256)
    )


def covering(camera_id: UUID, start: datetime, end: datetime) -> ColumnElement[bool]:
    """Return the condition that a segment of the camera overlaps [start, end).

    Bounded on both sides of the index: no segment is longer than 15 minutes.
    """
    return and_(
        Segment.camera_id == camera_id,
        Segment.started_at >= start - LONGEST,
        Segment.started_at < end,
        Segment.ends_at > start,
        ~Segment.deleting,
    )


async def segments(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime, role: str | None
) -> list[SegmentRow]:
    """Return the segments that overlap [start, end), by start; of one role, or of both."""
    query = _rows().where(covering(camera_id, start, end))
    if role is not None:
        query = query.where(Segment.role == role)
    query = query.order_by(Segment.started_at, Segment.role, Segment.sequence)
    return [SegmentRow(*row) for row in await session.execute(query)]
