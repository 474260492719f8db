"""Every query of incidents and their history."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import in_areas
from core.database import Base
from governance.areas.models import DepartmentMember
from governance.incidents.models import Incident, IncidentLog, IncidentNumber
from governance.timers.models import Timer


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended."""

    severity_rank: int
    opened_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is asked for. `areas`: see `access.policy.areas.in_areas`."""

    areas: Sequence[str]
    state: str = "open"
    severity: str | None = None
    camera_id: UUID | None = None
    kinds: Collection[str] = ()
    step: str | None = None
    # Whoever it is assigned to, handles it, or has acknowledged it.
    person_id: UUID | None = None
    # Of a department that this account belongs to.
    member_id: UUID | None = None


def _taking(insert: postgresql.Insert | sqlite.Insert) -> Any:
    more = {"last": _NUMBERS.c.last + insert.excluded.last}
    return insert.on_conflict_do_update(index_elements=["year"], set_=more).returning(
        _NUMBERS.c.last
    )


_NUMBERS = Base.metadata.tables[IncidentNumber.__tablename__]
# Made once: every incident that opens asks these.
_TAKE_NUMBERS = {
    "postgresql": _taking(postgresql.insert(_NUMBERS)),
    "sqlite": _taking(sqlite.insert(_NUMBERS)),
}
_OPEN_WITH_KEYS = (
    select(Incident)
    .where(Incident.is_open, Incident.dedup_key.in_(bindparam("keys", expanding=True)))
    .order_by(Incident.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_LOCKED = (
    select(Incident)
    .where(Incident.id.in_(bindparam("ids", expanding=True)))
    .order_by(Incident.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)


async def next_number(session: AsyncSession, year: int, count: int = 1) -> int:
    """Take the next `count` numbers of `year` and return the last of them.

    They are given back if the transaction does not commit.
    """
    query = _TAKE_NUMBERS[session.get_bind().dialect.name]
    connection = await session.connection()
    number: int | None = await connection.scalar(query, {"year": year, "last": count})
    assert number is not None
    return number


async def by_id(session: AsyncSession, incident_id: UUID) -> Incident | None:
    """Return an incident, or None."""
    return await session.get(Incident, incident_id)


async def by_number(session: AsyncSession, number: str) -> Incident | None:
    """Return the incident with that number, such as 2026-000123, or None."""
    return (await session.scalars(select(Incident).where(Incident.number == number))).one_or_none()


async def by_id_locked(session: AsyncSession, incident_id: UUID) -> Incident | None:
    """Return an incident as it is committed now, locked until the transaction ends."""
    query = select(Incident).where(Incident.id == incident_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def by_ids_locked(
    session: AsyncSession, incident_ids: Collection[UUID]
) -> dict[UUID, Incident]:
    """Return incidents as they are committed now, locked in the order of their ids."""
    found = await session.scalars(_LOCKED, {"ids": [*incident_ids]})
    return {incident.id: incident for incident in found}


async def open_with_key(session: AsyncSession, dedup_key: str) -> Incident | None:
    """Return the open incident with this key, locked until the transaction ends."""
    query = (
        select(Incident)
        .where(Incident.is_open, Incident.dedup_key == dedup_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).one_or_none()


async def is_open_with_key(session: AsyncSession, dedup_key: str) -> bool:
    """Say whether there is an open incident with this key."""
    query = select(Incident.id).where(Incident.is_open, Incident.dedup_key == dedup_key)
    return await session.scalar(query) is not None


async def open_with_keys(session: AsyncSession, keys: Collection[str]) -> Sequence[Incident]:
    """Return the open incidents with any of these keys, locked until the transaction ends."""
    return (await session.scalars(_OPEN_WITH_KEYS, {"keys": [*keys]})).all()


async def page(
    session: AsyncSession, wanted: Filter, *, after: Position | None, limit: int
) -> Sequence[Incident]:
    """Return at most `limit` incidents behind `after`.

    Open ones come most severe first, then newest; others newest first.
    """
    query = _matching(wanted)
    order = [Incident.opened_at, Incident.id]
    if wanted.state == "open":
        order.insert(0, Incident.severity_rank)
    if after is not None:
        bounds = [after.opened_at, after.id]
        if wanted.state == "open":
            bounds.insert(0, after.severity_rank)
        query = query.where(
            tuple_(*order) < tuple_(*bounds, types=[column.type for column in order])
        )
    query = query.order_by(*(column.desc() for column in order)).limit(limit)
    return (await session.scalars(query)).all()


def _matching(wanted: Filter) -> Select[Incident]:
    query = select(Incident).where(in_areas(Incident.area, wanted.areas))
    if wanted.state == "open":
        query = query.where(Incident.is_open)
    elif wanted.state == "closed":
        query = query.where(~Incident.is_open)
    if wanted.severity is not None:
        query = query.where(Incident.severity == wanted.severity)
    if wanted.camera_id is not None:
        query = query.where(Incident.camera_id == wanted.camera_id)
    if wanted.kinds:
        query = query.where(Incident.kind.in_(wanted.kinds))
    if wanted.step is not None:
        query = query.where(Incident.state == wanted.step)
    if (person := wanted.person_id) is not None:
        query = query.where(
            or_(
                Incident.assignee_id == person,
                Incident.handler_id == person,
                Incident.acknowledged_by_id == person,
            )
        )
    if wanted.member_id is not None:
        mine = select(DepartmentMember.department_id).where(
            DepartmentMember.account_id == wanted.member_id
        )
        query = query.where(Incident.department_id.in_(mine))
    return query


async def log_of(session: AsyncSession, incident_id: UUID) -> Sequence[IncidentLog]:
    """Return the history of an incident, oldest first."""
    query = (
        select(IncidentLog).where(IncidentLog.incident_id == incident_id).order_by(IncidentLog.id)
    )
    return (await session.scalars(query)).all()


async def count_log(session: AsyncSession, incident_id: UUID) -> int:
    """Return how many entries the history of an incident has."""
    query = (
        select(func.count()).select_from(IncidentLog).where(IncidentLog.incident_id == incident_id)
    )
    return await session.scalar(query) or 0


async def last_actor(session: AsyncSession, incident_id: UUID, action: str) -> UUID | None:
    """Return who did `action` last."""
    query = (
        select(IncidentLog.actor_id)
        .where(IncidentLog.incident_id == incident_id, IncidentLog.action == action)
        .order_by(IncidentLog.id.desc())
        .limit(1)
    )
    return await session.scalar(query)


async def merged_into(session: AsyncSession, incident_id: UUID) -> Sequence[Incident]:
    """Return those that were merged into an incident, locked until the transaction ends."""
    query = (
        select(Incident)
        .where(Incident.merged_into_id == incident_id)
        .order_by(Incident.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def merged_briefly(session: AsyncSession, incident_id: UUID) -> Sequence[tuple[UUID, str]]:
    """Return id and number of those that were merged into an incident."""
    query = (
        select(Incident.id, Incident.number)
        .where(Incident.merged_into_id == incident_id)
        .order_by(Incident.id)
    )
    return [(row.id, row.number) for row in await session.execute(query)]


async def numbers(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the numbers of incidents by id."""
    wanted = set(ids)
    if not wanted:
        return {}
    query = select(Incident.id, Incident.number).where(Incident.id.in_(wanted))
    return {row.id: row.number for row in await session.execute(query)}


def _untimed() -> ColumnElement[bool]:
    pending = exists().where(
        Timer.incident_id == Incident.id, Timer.fired_at.is_(None), Timer.cancelled_at.is_(None)
    )
    return and_(Incident.is_open, ~pending)


async def untimed(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """Return open incidents without a pending timer: there should be none."""
    return (await session.scalars(select(Incident.id).where(_untimed()).limit(limit))).all()


async def is_untimed(session: AsyncSession, incident_id: UUID) -> bool:
    """Say whether this incident is open and has no pending timer."""
    query = select(Incident.id).where(Incident.id == incident_id, _untimed())
    return await session.scalar(query) is not None
