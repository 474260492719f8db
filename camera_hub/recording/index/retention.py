"""How long the recordings of a camera are kept: the law's bounds around what was asked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.households.models import Household
from access.jurisdictions import Law
from camera_hub.devices.models import Camera


@dataclass(frozen=True, slots=True)
class Keep:
    """What holds for the recordings of one camera.

    `hours`: when they go; None: only when a disk needs the room. `floor_h`: the law wants them so
    long, whatever a disk needs. `withdrawn`: the camera was removed or its household has moved
    out; what neither a lock nor the law keeps goes now. The law asks for nothing of a home.
    """

    camera_id: UUID
    name: str
    area: str
    household_id: UUID | None
    hours: int | None
    floor_h: int
    withdrawn: bool = False

    def cutoff(self, now: datetime) -> datetime | None:
        """Return the moment before which recordings are no longer kept; None: there is none."""
        if self.withdrawn:
            return now - timedelta(hours=self.floor_h)
        return None if self.hours is None else now - timedelta(hours=self.hours)

    def protected_from(self, now: datetime) -> datetime:
        """Return the moment from which on not even a full disk deletes a recording."""
        return now - timedelta(hours=self.floor_h)


def hours_in_force(
    law: Law, place_type: str, place_kind: str, asked: int | None
) -> tuple[int | None, int]:
    """Return how many hours recordings are kept (None: nothing says), and how many at least.

    A camera that was there before the law may ask for what it does not allow: the law counts.
    What is kept of a home is its household's affair.
    """
    hours = law.retention_of(place_type, place_kind, asked)
    place = law.places.get(place_type)
    limits = None if place is None or place_kind == "home" else place.retention
    if limits is None:
        return hours, 0
    if limits.max_h is not None:
        hours = limits.max_h if hours is None else min(hours, limits.max_h)
    floor = limits.min_h or 0
    return (hours if hours is None else max(hours, floor)), floor


_COLUMNS = (
    Camera.id,
    Camera.name,
    Camera.area,
    Camera.household_id,
    Camera.place_type,
    Camera.place_kind,
    Camera.retention_hours,
    Camera.deleted_at,
    Household.closed_at,
)


async def keeps(session: AsyncSession, law: Law, camera_id: UUID | None = None) -> dict[UUID, Keep]:
    """Return what holds for each camera, removed ones too, or for one of them.

    A camera that the database does not know has no entry: what it recorded is never deleted.
    """
    query = select(*_COLUMNS).outerjoin(Household, Household.id == Camera.household_id)
    if camera_id is not None:
        query = query.where(Camera.id == camera_id)
    return {row.id: _keep(law, row) for row in await session.execute(query)}


def _keep(law: Law, row: Any) -> Keep:
    hours, floor = hours_in_force(law, row.place_type, row.place_kind, row.retention_hours)
    gone = row.deleted_at is not None or row.closed_at is not None
    return Keep(row.id, row.name, row.area, row.household_id, hours, floor, withdrawn=gone)
