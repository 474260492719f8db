"""Every query of recorded segments. Plain columns: a day has thousands of them, years millions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    delete,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices.models import Camera
from camera_hub.recording.index.models import Segment
from camera_hub.recording.index.schemas import LONGEST, SegmentRow

# Of the table, not of the class: those go through the ORM, at twice the cost.
_TABLE = Segment.__table__.c
_COLUMNS = tuple(_TABLE[name] for name in SegmentRow.__slots__)
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
        _TABLE.camera_id == camera_id,
        _TABLE.started_at >= start - LONGEST,
        _TABLE.started_at < end,
        _TABLE.ends_at > start,
        ~_TABLE.deleting,
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


async def times(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime, role: str | None
) -> Iterable[Any]:
    """Return (started_at, ends_at, cause, motion) of what overlaps [start, end), by start.

    A day has 1,440 of them: they are read from the index alone, without the ORM, and from SQLite
    as the texts that it keeps (`UtcDateTime`: ISO 8601, UTC).
    """
    as_text = session.get_bind().dialect.name == "sqlite"
    first, last = (
        (type_coerce(_TABLE.started_at, String), type_coerce(_TABLE.ends_at, String))
        if as_text
        else (_TABLE.started_at, _TABLE.ends_at)
    )
    query = select(first, last, _TABLE.cause, _TABLE.motion).where(covering(camera_id, start, end))
    if role is not None:
        query = query.where(_TABLE.role == role)
    rows = await (await session.connection()).execute(query.order_by(_TABLE.started_at))
    if not as_text:
        return rows.all()
    parse = datetime.fromisoformat
    return [(parse(a), parse(b), cause, motion) for a, b, cause, motion in rows]


async def recorded_between(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime
) -> tuple[float, int]:
    """Return seconds and bytes of the segments that began in [start, end)."""
    if session.get_bind().dialect.name == "postgresql":
        length: ColumnElement[Any] = func.extract("epoch", Segment.ends_at - Segment.started_at)
    else:
        length = (func.julianday(Segment.ends_at) - func.julianday(Segment.started_at)) * 86400.0
    query = select(func.sum(length), func.sum(Segment.bytes)).where(
        Segment.camera_id == camera_id,
        Segment.started_at >= start,
        Segment.started_at < end,
        ~Segment.deleting,
    )
    seconds, size = (await session.execute(query)).one()
    return float(seconds or 0.0), int(size or 0)


async def oldest(session: AsyncSession, camera_id: UUID) -> datetime | None:
    """Return when the oldest recording of a camera begins."""
    query = (
        select(Segment.started_at)
        .where(Segment.camera_id == camera_id, ~Segment.deleting)
        .order_by(Segment.started_at)
        .limit(1)
    )
    return await session.scalar(query)


async def oldest_on(session: AsyncSession, disk: str) -> datetime | None:
    """Return when the oldest recording on a disk begins."""
    query = select(func.min(Segment.started_at)).where(Segment.disk == disk)
    return await session.scalar(query)


async def totals(session: AsyncSession) -> dict[tuple[UUID, str], tuple[int, int]]:
    """Return bytes and number of segments of each camera on each disk: reads all of the index."""
    query = select(Segment.camera_id, Segment.disk, func.sum(Segment.bytes), func.count()).group_by(
        Segment.camera_id, Segment.disk
    )
    return {
        (camera_id, disk): (int(size), int(count))
        for camera_id, disk, size, count in await session.execute(query)
    }


async def rates(
    session: AsyncSession, disk: str, since: datetime
) -> dict[UUID, tuple[int, datetime]]:
    """Return for each camera that recorded on `disk` since then: its bytes, and the first start."""
    query = (
        select(Segment.camera_id, func.sum(Segment.bytes), func.min(Segment.started_at))
        .where(Segment.disk == disk, Segment.started_at >= since)
        .group_by(Segment.camera_id)
    )
    found = {}
    for camera_id, size, first in await session.execute(query):
        found[camera_id] = (int(size), first)
    return found


async def remove(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Remove rows whose files are not there any more; return those that were removed."""
    result = await session.execute(
        delete(Segment)
        .where(Segment.id.in_(ids), ~Segment.deleting)
        .returning(Segment.id)
        .execution_options(synchronize_session=False)
    )
    return set(result.scalars())


async def at_paths(session: AsyncSession, disk: str, paths: Collection[str]) -> set[str]:
    """Return those of `paths` of a disk that the index knows, marked ones too."""
    query = select(Segment.path).where(Segment.disk == disk, Segment.path.in_(paths))
    return set(await session.scalars(query))


async def begun_between(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime
) -> list[SegmentRow]:
    """Return all rows of a camera that begin in [start, end), marked ones too."""
    query = _rows().where(
        Segment.camera_id == camera_id, Segment.started_at >= start, Segment.started_at < end
    )
    return [SegmentRow(*row) for row in await session.execute(query.order_by(Segment.started_at))]


async def begun_after(session: AsyncSession, camera_id: UUID, at: datetime) -> datetime | None:
    """Return when the first recording of a camera that begins at `at` or later does."""
    query = select(Segment.started_at).where(
        Segment.camera_id == camera_id, Segment.started_at >= at
    )
    return await session.scalar(query.order_by(Segment.started_at).limit(1))


async def known_cameras(session: AsyncSession, camera_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the cameras that the database knows, removed ones too."""
    query = select(Camera.id).where(Camera.id.in_(camera_ids))
    return set(await session.scalars(query)) if camera_ids else set()


async def bytes_between(
    session: AsyncSession, camera_id: UUID, spans: Sequence[tuple[datetime, datetime]]
) -> dict[str, int]:
    """Return by disk the bytes of what overlaps any of `spans`; the spans do not overlap."""
    found: dict[str, dict[UUID, int]] = {}
    for start, end in spans:
        query = select(Segment.id, Segment.disk, Segment.bytes).where(
            covering(camera_id, start, end)
        )
        for segment_id, disk, size in await session.execute(query):
            found.setdefault(disk, {})[segment_id] = size
    return {disk: sum(sizes.values()) for disk, sizes in found.items()}
