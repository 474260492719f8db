"""The queries behind what residents learn: view records of their homes and shared cameras."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.areas import ancestors, in_areas
from access.seals import repository as seals
from access.views.models import ViewRecord
from camera_hub.devices.models import Camera


@dataclass(frozen=True, slots=True)
class Row:
    """A view record with its viewer and camera, and whether a seal had held it back."""

    record: ViewRecord
    viewer: Account
    camera_name: str
    place_kind: str
    delayed: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose homes, and around which areas shared cameras count."""

    households: frozenset[UUID]
    areas: tuple[str, ...]


def around(areas: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a camera's area covers one of `areas`, or lies in it.

    The stairwell below a flat's area and the gate of the whole compound both count.
    """
    if not areas:
        return false()
    above = {path for area in areas for path in ancestors(area)}
    return or_(ViewRecord.area.in_(sorted(above)), in_areas(ViewRecord.area, sorted(set(areas))))


def concerning(scope: Scope) -> ColumnElement[bool]:
    """Return the condition that a view record concerns these households.

    Records from before the place was kept count by what the camera is today.
    """
    homes = sorted(scope.households)
    shared = or_(
        ViewRecord.place_kind == "shared_space",
        and_(ViewRecord.place_kind == "", Camera.place_kind == "shared_space"),
    )
    return or_(
        ViewRecord.household_id.in_(homes),
        and_(
            ViewRecord.household_id.is_(None),
            ViewRecord.place_kind.in_(("", "home")),
            Camera.household_id.in_(homes),
        ),
        and_(ViewRecord.household_id.is_(None), shared, around(scope.areas)),
    )


async def page(
    session: AsyncSession,
    scope: Scope,
    now: datetime,
    *,
    between: tuple[datetime, datetime] | None = None,
    camera_id: UUID | None = None,
    before: UUID | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Return view records that no seal holds back now, newest first.

    Args:
        session: a session for reading.
        scope: whom the records concern.
        now: the time for which seals count.
        between: only those that began from the first (included) to the second moment.
        camera_id: only those of this camera.
        before: only those older than this record.
        limit: at most so many.
    """
    query = (
        select(ViewRecord, Account, Camera.name, Camera.place_kind, seals.delayed(now))
        .join(Account, Account.id == ViewRecord.account_id)
        .outerjoin(Camera, Camera.id == ViewRecord.camera_id)
        .where(concerning(scope), ~seals.sealed(now))
        .order_by(ViewRecord.id.desc())
    )
    if between is not None:
        query = query.where(ViewRecord.started_at >= between[0], ViewRecord.started_at < between[1])
    if camera_id is not None:
        query = query.where(ViewRecord.camera_id == camera_id)
    if before is not None:
        query = query.where(ViewRecord.id < before)
    if limit is not None:
        query = query.limit(limit)
    found = (await session.execute(query)).all()
    return [
        Row(record, viewer, name or "", record.place_kind or kind or "", bool(delayed))
        for record, viewer, name, kind, delayed in found
    ]


async def count_sealed(
    session: AsyncSession, scope: Scope, now: datetime, between: tuple[datetime, datetime]
) -> int:
    """Return how many records that began in `between` a seal holds back now."""
    if not await seals.any_after(session, now):
        return 0
    return await _count(session, scope, between, seals.sealed(now))


async def count_released(
    session: AsyncSession, scope: Scope, between: tuple[datetime, datetime]
) -> int:
    """Return how many older records a seal held back at the beginning and no longer at the end."""
    if not await seals.any_after(session, between[0]):
        return 0
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    released = and_(seals.sealed(between[0]), ~seals.sealed(between[1]))
    return await _count(session, scope, (long_ago, between[0]), released)


async def _count(
    session: AsyncSession,
    scope: Scope,
    between: tuple[datetime, datetime],
    condition: ColumnElement[bool],
) -> int:
    query = (
        select(func.count(ViewRecord.id))
        .outerjoin(Camera, Camera.id == ViewRecord.camera_id)
        .where(
            concerning(scope),
            condition,
            ViewRecord.started_at >= between[0],
            ViewRecord.started_at < between[1],
        )
    )
    return await session.scalar(query) or 0
