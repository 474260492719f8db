"""What of incidents bears on recordings: marks on the timeline, and what is kept for them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from api.hub import Hub
from camera_hub.recording.index.models import RecordingLock
from governance.incidents.models import Incident

BEFORE = timedelta(seconds=30)
AFTER = timedelta(seconds=120)
"""How much is kept around what an incident's signals have seen."""
_RECENT = timedelta(hours=12)
_JUST_NOW = timedelta(minutes=15)
_LATE = timedelta(days=1)
_MOST = 500
_DISMISSED = ("test", "false_alarm", "rejected")
_NOTHING_TO_SEE = ("camera_clock", "camera_low_rate", "camera_not_recording")
"""Faults that no picture shows: forty clocks that are wrong for a day would lock a day of forty."""


class IncidentMark(BaseModel):
    """An incident of a camera on its timeline; `at` is when it was seen first."""

    id: UUID
    number: str
    kind: str
    severity: str
    at: AwareDatetime


@dataclass(frozen=True, slots=True)
class Kept:
    """An incident whose recordings are to be kept, or no longer."""

    id: UUID
    number: str
    camera_id: UUID
    area: str
    first_at: datetime
    last_at: datetime


async def incidents_of(
    hub: Hub,
    session: AsyncSession,
    actor: Actor,
    camera_id: UUID,
    between: tuple[datetime, datetime],
) -> list[IncidentMark]:
    """Return the incidents of a camera that were seen between two moments and may be read.

    A signal may have waited in a spool: its incident was opened up to a day later.
    """
    query = (
        select(Incident)
        .where(
            Incident.camera_id == camera_id,
            Incident.opened_at >= between[0],
            Incident.opened_at < between[1] + _LATE,
        )
        .order_by(Incident.opened_at)
        .limit(_MOST)
    )
    seen = [(min(row.opened_at, row.observed_at), row) for row in await session.scalars(query)]
    return [
        IncidentMark(
            id=row.id,
            number=row.number,
            kind=row.kind,
            severity=row.severity,
            at=at,
        )
        for at, row in seen
        if between[0] <= at < between[1]
        and hub.policy.authorize(actor, "incident.read", row.resource()).allowed
    ]


async def to_keep(session: AsyncSession, now: datetime, limit: int) -> list[Kept]:
    """Return incidents of cameras that have no lock yet, or had a signal since it was made.

    Only recent ones: an incident is locked seconds after it opens. Tests, what was dismissed and
    faults that no picture shows are left out, and what a person has unlocked stays so.
    """
    until = (
        select(func.max(RecordingLock.to_at))
        .where(
            RecordingLock.incident_id == Incident.id,
            RecordingLock.requested_by.is_(None),
            or_(RecordingLock.ended_at.is_(None), RecordingLock.ended_by.is_not(None)),
        )
        .correlate(Incident)
        .scalar_subquery()
    )
    query = (
        select(
            Incident.id,
            Incident.number,
            Incident.camera_id,
            Incident.area,
            Incident.opened_at,
            Incident.observed_at,
            until,
        )
        .where(
            Incident.opened_at >= now - _RECENT,
            Incident.camera_id.is_not(None),
            Incident.status == "actual",
            Incident.kind.not_in(_NOTHING_TO_SEE),
            or_(Incident.resolution.is_(None), Incident.resolution.not_in(_DISMISSED)),
            or_(until.is_(None), Incident.last_signal_at >= now - _JUST_NOW),
        )
        .order_by(Incident.opened_at)
        .limit(limit)
    )
    found = []
    for incident_id, number, camera_id, area, opened_at, observed_at, kept in await session.execute(
        query
    ):
        first, last = min(opened_at, observed_at) - BEFORE, max(opened_at, observed_at) + AFTER
        if camera_id is not None and (kept is None or kept < last):
            found.append(Kept(incident_id, number, camera_id, area, first, last))
    return found


async def to_let_go(session: AsyncSession, limit: int) -> list[tuple[UUID, str]]:
    """Return id and area of incidents that were dismissed and whose recordings are still kept."""
    query = (
        select(Incident.id, Incident.area)
        .join(RecordingLock, RecordingLock.incident_id == Incident.id)
        .where(
            RecordingLock.ended_at.is_(None),
            RecordingLock.requested_by.is_(None),
            Incident.resolution.in_(_DISMISSED),
        )
        .distinct()
        .limit(limit)
    )
    return [(incident_id, area) for incident_id, area in await session.execute(query)]
