"""Every query on cameras, their states and the media workers."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import lazyload

from access.policy.areas import in_areas
from access.scope import CameraColumns, CameraScope, in_scope
from camera_hub.devices.models import Camera, CameraStatus, MediaWorker

COLUMNS = CameraColumns(
    id=Camera.id,
    area=Camera.area,
    place_kind=Camera.place_kind,
    household_id=Camera.household_id,
    residents_may_watch=Camera.residents_may_watch,
)


async def add(session: AsyncSession, camera: Camera) -> None:
    """Add a camera with its streams."""
    session.add(camera)
    await session.flush()


async def by_id(session: AsyncSession, camera_id: UUID) -> Camera | None:
    """Return a camera that is not deleted."""
    return await session.scalar(
        select(Camera).where(Camera.id == camera_id, Camera.deleted_at.is_(None))
    )


async def page(
    session: AsyncSession, *, scope: CameraScope, after: UUID | None, limit: int
) -> list[Camera]:
    """Return at most `limit` cameras of `scope` in the order they were added."""
    query = (
        select(Camera)
        .where(Camera.deleted_at.is_(None), in_scope(COLUMNS, scope))
        .order_by(Camera.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Camera.id > after)
    return list(await session.scalars(query))


async def ids_in_scope(session: AsyncSession, scope: CameraScope) -> set[UUID]:
    """Return the ids of all cameras of `scope`."""
    query = select(Camera.id).where(Camera.deleted_at.is_(None), in_scope(COLUMNS, scope))
    return set(await session.scalars(query))


async def named(session: AsyncSession, name: str, scope: CameraScope) -> list[Camera]:
    """Return the cameras of `scope` with this id or name."""
    try:
        wanted = Camera.id == UUID(name)
    except ValueError:
        wanted = Camera.name == name
    query = select(Camera).where(Camera.deleted_at.is_(None), in_scope(COLUMNS, scope), wanted)
    return list(await session.scalars(query.order_by(Camera.id)))


async def enabled(session: AsyncSession) -> list[Camera]:
    """Return every camera that is to be read."""
    query = select(Camera).where(Camera.deleted_at.is_(None), Camera.enabled.is_(True))
    return list(await session.scalars(query.order_by(Camera.id)))


async def all_bare(session: AsyncSession) -> list[Camera]:
    """Return every camera, by area and name, without its streams and status."""
    query = (
        select(Camera)
        .where(Camera.deleted_at.is_(None))
        .options(lazyload(Camera.streams), lazyload(Camera.status))
        .order_by(Camera.area, Camera.name, Camera.id)
    )
    return list(await session.scalars(query))


async def names_in(session: AsyncSession, area: str) -> list[str]:
    """Return the names of the cameras in an area and below it."""
    query = select(Camera.name).where(Camera.deleted_at.is_(None), in_areas(Camera.area, [area]))
    return list(await session.scalars(query.order_by(Camera.name)))


async def with_reason(session: AsyncSession, reason_code: str) -> list[UUID]:
    """Return the cameras to be read whose state was last written with this reason."""
    return list(await session.scalars(_stated().where(CameraStatus.reason_code == reason_code)))


async def with_reason_other_than(session: AsyncSession, reason_code: str) -> list[UUID]:
    """Return the cameras to be read whose state was last written with another reason."""
    return list(await session.scalars(_stated().where(CameraStatus.reason_code != reason_code)))


def _stated() -> Select[UUID]:
    return (
        select(Camera.id)
        .join(CameraStatus, CameraStatus.camera_id == Camera.id)
        .where(Camera.deleted_at.is_(None), Camera.enabled.is_(True))
        .order_by(Camera.id)
    )


async def take_version(session: AsyncSession, camera_id: UUID, expected: int) -> bool:
    """Count the version up from `expected`; False when somebody else was first."""
    taken = await session.execute(
        update(Camera)
        .where(Camera.id == camera_id, Camera.version == expected, Camera.deleted_at.is_(None))
        .values(version=expected + 1)
        .returning(Camera.version)
    )
    return taken.first() is not None


async def put_status(session: AsyncSession, status: CameraStatus) -> None:
    """Write a camera's state over the one before."""
    await session.merge(status)
    await session.flush()


async def areas_of(session: AsyncSession, camera_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the area of each of these cameras that is not deleted."""
    rows = await session.execute(
        select(Camera.id, Camera.area).where(Camera.id.in_(camera_ids), Camera.deleted_at.is_(None))
    )
    return {camera_id: area for camera_id, area in rows}


async def put_worker(session: AsyncSession, worker: MediaWorker) -> None:
    """Write a worker's heartbeat over the one before."""
    await session.merge(worker)
    await session.flush()


async def workers_since(session: AsyncSession, moment: datetime) -> list[str]:
    """Return the names of the workers heard of after `moment`, sorted."""
    query = select(MediaWorker.name).where(MediaWorker.heartbeat_at > moment)
    return sorted(await session.scalars(query))
