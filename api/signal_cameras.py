"""What the hub knows of the cameras that signals name."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices.models import Camera
from governance.signals.types import CameraFacts


async def camera_facts(
    session: AsyncSession, camera_ids: Collection[UUID]
) -> Mapping[UUID, CameraFacts]:
    """Return the name, area and household of each of these cameras that exists, by id."""
    query = select(Camera.id, Camera.name, Camera.area, Camera.household_id).where(
        Camera.id.in_(camera_ids)
    )
    return {
        row.id: CameraFacts(name=row.name, area=row.area, household_id=row.household_id)
        for row in await session.execute(query)
    }
