"""Every query on plans, and on the cameras that stand on them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import in_areas
from access.scope import CameraScope, in_scope
from camera_hub.devices.models import Camera
from camera_hub.devices.repository import COLUMNS
from camera_hub.plans.models import SitePlan


async def in_those(session: AsyncSession, areas: Sequence[str]) -> list[SitePlan]:
    """Return the plans in and below `areas`, by area and name; `[""]` is all."""
    query = select(SitePlan).where(in_areas(SitePlan.area, areas))
    return list(await session.scalars(query.order_by(SitePlan.area, SitePlan.name, SitePlan.id)))


async def by_id(session: AsyncSession, plan_id: UUID) -> SitePlan | None:
    """Return a plan."""
    return await session.get(SitePlan, plan_id)


async def called(session: AsyncSession, name: str) -> list[SitePlan]:
    """Return the plans of this name, in whatever area."""
    query = select(SitePlan).where(SitePlan.name == name).order_by(SitePlan.area)
    return list(await session.scalars(query))


async def add(session: AsyncSession, plan: SitePlan) -> None:
    """Add a plan."""
    session.add(plan)
    await session.flush()


async def remove(session: AsyncSession, plan: SitePlan) -> None:
    """Remove a plan."""
    await session.delete(plan)
    await session.flush()


async def take_version(session: AsyncSession, plan_id: UUID, expected: int) -> bool:
    """Count the version up from `expected`; False when somebody else was first."""
    taken = await session.execute(
        update(SitePlan)
        .where(SitePlan.id == plan_id, SitePlan.version == expected)
        .values(version=expected + 1)
        .returning(SitePlan.version)
    )
    return taken.first() is not None


async def hashes(session: AsyncSession) -> set[str]:
    """Return the hashes of all drawings that a plan names."""
    return set(await session.scalars(select(SitePlan.sha256).distinct()))


async def counts(
    session: AsyncSession, plan_ids: Collection[UUID], scope: CameraScope
) -> dict[UUID, int]:
    """Return how many cameras of `scope` stand on each of these plans; none is left out."""
    query = (
        select(Camera.plan_id, func.count())
        .where(Camera.plan_id.in_(plan_ids), Camera.deleted_at.is_(None), in_scope(COLUMNS, scope))
        .group_by(Camera.plan_id)
    )
    return {plan_id: count for plan_id, count in await session.execute(query) if plan_id}


async def cameras_on(session: AsyncSession, plan_id: UUID) -> list[Camera]:
    """Return the cameras that stand on a plan, deleted ones too."""
    query = select(Camera).where(Camera.plan_id == plan_id).order_by(Camera.id)
    return list(await session.scalars(query))
