"""Every query on zones."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from analytics.zones.models import ZoneRow, ZoneSetRow


async def version_of(session: AsyncSession, camera_id: UUID) -> int:
    """Return the version of a camera's zones; 0 when they were never edited."""
    found = await session.scalar(
        select(ZoneSetRow.version).where(ZoneSetRow.camera_id == camera_id)
    )
    return found or 0


async def versions_of(session: AsyncSession, camera_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the version of each camera's zones; cameras never edited are left out."""
    rows = await session.execute(
        select(ZoneSetRow.camera_id, ZoneSetRow.version).where(ZoneSetRow.camera_id.in_(camera_ids))
    )
    return {camera_id: version for camera_id, version in rows}


async def of_cameras(session: AsyncSession, camera_ids: Sequence[UUID]) -> list[ZoneRow]:
    """Return all zones of the cameras, each camera's in the order of its editor."""
    rows = await session.scalars(
        select(ZoneRow)
        .where(ZoneRow.camera_id.in_(camera_ids))
        .order_by(ZoneRow.camera_id, ZoneRow.position)
    )
    return list(rows)


async def take_version(
    session: AsyncSession, camera_id: UUID, *, expected: int, now: datetime
) -> bool:
    """Count the version up from `expected`; return False when it stands elsewhere.

    One statement either way, so that of two editors exactly one gets it on both stores.
    """
    if expected == 0:
        dialect = session.get_bind().dialect.name
        insert = insert_sqlite if dialect == "sqlite" else insert_postgresql
        made = await session.execute(
            insert(ZoneSetRow)
            .values(camera_id=camera_id, version=1, updated_at=now)
            .on_conflict_do_nothing(index_elements=["camera_id"])
            .returning(ZoneSetRow.version)
        )
        return made.first() is not None
    taken = await session.execute(
        update(ZoneSetRow)
        .where(ZoneSetRow.camera_id == camera_id, ZoneSetRow.version == expected)
        .values(version=expected + 1, updated_at=now)
        .returning(ZoneSetRow.version)
    )
    return taken.first() is not None


async def replace(session: AsyncSession, camera_id: UUID, rows: Sequence[ZoneRow]) -> None:
    """Delete the camera's zones and add `rows` in their place."""
    await session.execute(delete(ZoneRow).where(ZoneRow.camera_id == camera_id))
    session.add_all(rows)
    await session.flush()
