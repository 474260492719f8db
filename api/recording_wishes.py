"""Which cameras are to record because something is going on that people deal with."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices.models import Camera
from governance.incidents.kinds import RECOVERING
from governance.incidents.models import Incident

AFTER_LAST_SIGNAL = timedelta(hours=1)
"""An incident that stays open asks for so long after it was last heard of."""


async def asked_by_incidents(
    session: AsyncSession, camera_ids: Collection[UUID], now: datetime
) -> list[UUID]:
    """Return those of the cameras that an open incident is about, or one of their household.

    Faults of the technology ask for nothing.
    """
    if not camera_ids:
        return []

    def going_on(about: ColumnElement[bool]) -> ColumnElement[bool]:
        return (
            select(Incident.id)
            .where(
                and_(
                    about,
                    Incident.is_open,
                    Incident.kind.not_in(RECOVERING),
                    Incident.last_signal_at > now - AFTER_LAST_SIGNAL,
                )
            )
            .exists()
        )

    query = select(Camera.id).where(
        Camera.id.in_(camera_ids),
        or_(
            going_on(Incident.camera_id == Camera.id),
            going_on(Incident.household_id == Camera.household_id),
        ),
    )
    return sorted(await session.scalars(query))
