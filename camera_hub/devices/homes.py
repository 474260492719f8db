"""Cameras of households: every query on them, and what becomes of them when people move out."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import lazyload

from camera_hub.devices.models import Camera


async def of_households(session: AsyncSession, household_ids: Collection[UUID]) -> list[Camera]:
    """Return the cameras of these households in the order they were added."""
    query = (
        select(Camera)
        .where(Camera.household_id.in_(household_ids), Camera.deleted_at.is_(None))
        .order_by(Camera.id)
    )
    return list(await session.scalars(query))


async def count_by_household(
    session: AsyncSession, household_ids: Collection[UUID]
) -> dict[UUID, int]:
    """Return how many cameras each of these households has; those without are left out."""
    query = (
        select(Camera.household_id, func.count())
        .where(Camera.household_id.in_(household_ids), Camera.deleted_at.is_(None))
        .group_by(Camera.household_id)
    )
    rows = await session.execute(query)
    return {household_id: count for household_id, count in rows if household_id is not None}


async def by_ids(session: AsyncSession, camera_ids: Collection[UUID]) -> list[Camera]:
    """Return those of these cameras that are not deleted."""
    query = select(Camera).where(Camera.id.in_(camera_ids), Camera.deleted_at.is_(None))
    return list(await session.scalars(query.order_by(Camera.id)))


async def watched(session: AsyncSession, camera_ids: Collection[UUID]) -> dict[UUID, Camera]:
    """Return those of these cameras that are not deleted, without streams and status: one query.

    Asked twice a second for everybody who watches.
    """
    query = (
        select(Camera)
        .where(Camera.id.in_(camera_ids), Camera.deleted_at.is_(None))
        .options(lazyload(Camera.streams), lazyload(Camera.status))
    )
    return {camera.id: camera for camera in await session.scalars(query)}


async def also_deleted(session: AsyncSession, camera_id: UUID) -> Camera | None:
    """Return a camera, also one that is gone: its pictures may still be there."""
    query = select(Camera).where(Camera.id == camera_id)
    return await session.scalar(query.options(lazyload(Camera.streams), lazyload(Camera.status)))


async def at_home(session: AsyncSession, camera_ids: Collection[UUID]) -> set[UUID]:
    """Return those of these cameras that look into a home, deleted ones too."""
    query = select(Camera.id).where(Camera.id.in_(camera_ids), Camera.place_kind == "home")
    return set(await session.scalars(query))


async def names(session: AsyncSession, camera_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of these cameras, deleted ones too."""
    query = select(Camera.id, Camera.name).where(Camera.id.in_(camera_ids))
    return {camera_id: name for camera_id, name in await session.execute(query)}


async def shut_down(session: AsyncSession, household_id: UUID) -> list[Camera]:
    """Switch the household's cameras off and forget their passwords; return them."""
    cameras = await of_households(session, [household_id])
    for camera in cameras:
        camera.enabled = False
        camera.username = ""
        camera.password_sealed = ""
        camera.recording = {}
        camera.version += 1
    await session.flush()
    return cameras
