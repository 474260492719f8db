"""Every query on consent."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.consent.models import AlarmOpening, AlarmResponder, ConsentGrant
from core.database import Base

_OPENINGS = Base.metadata.tables[AlarmOpening.__tablename__]
_ADD_OPENINGS = insert(_OPENINGS)


class NewOpening(NamedTuple):
    """An incident that opens a household's cameras, or with `camera_id` that one of them."""

    incident_id: UUID
    household_id: UUID
    camera_id: UUID | None = None


async def add_openings(session: AsyncSession, opened: Sequence[NewOpening], at: datetime) -> None:
    """Write that these incidents have opened at an instant."""
    rows = [{**one._asdict(), "opened_at": at, "ended_at": None} for one in opened]
    await (await session.connection()).execute(_ADD_OPENINGS, rows)


async def add(session: AsyncSession, row: ConsentGrant | AlarmResponder) -> None:
    """Write a new row."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, grant_id: UUID) -> ConsentGrant | None:
    """Return the grant with that id."""
    return await session.get(ConsentGrant, grant_id)


def _live(now: datetime) -> ColumnElement[bool]:
    unended = or_(ConsentGrant.ends_at.is_(None), ConsentGrant.ends_at > now)
    return and_(ConsentGrant.withdrawn_at.is_(None), unended)


def _opens() -> ColumnElement[bool]:
    """Return the condition under which an alarm opens the camera of an alarm grant."""
    return and_(
        ConsentGrant.kind == "alarm",
        AlarmOpening.household_id == ConsentGrant.household_id,
        AlarmOpening.ended_at.is_(None),
        or_(
            AlarmOpening.camera_id.is_(None),
            and_(AlarmOpening.camera_id == ConsentGrant.camera_id, ConsentGrant.on_detection),
        ),
    )


async def open_to(
    session: AsyncSession,
    account_id: UUID,
    now: datetime,
    camera_ids: Collection[UUID] | None = None,
) -> list[tuple[ConsentGrant, UUID | None]]:
    """Return what is granted to this account now, hours aside, with the incident of an alarm.

    Of all cameras, or of `camera_ids` only. Shares come first, then the oldest alarm.
    """
    answers = and_(
        AlarmResponder.incident_id == AlarmOpening.incident_id,
        AlarmResponder.account_id == account_id,
    )
    query = (
        select(ConsentGrant, AlarmResponder.incident_id)
        .outerjoin(AlarmOpening, _opens())
        .outerjoin(AlarmResponder, answers)
        .where(
            _live(now),
            or_(
                and_(ConsentGrant.kind == "share", ConsentGrant.account_id == account_id),
                and_(ConsentGrant.kind == "alarm", AlarmResponder.account_id == account_id),
            ),
        )
        .order_by(ConsentGrant.kind.desc(), ConsentGrant.id, AlarmResponder.incident_id)
    )
    if camera_ids is not None:
        query = query.where(ConsentGrant.camera_id.in_(camera_ids))
    return [(grant, incident) for grant, incident in (await session.execute(query)).all()]


async def page(
    session: AsyncSession,
    *,
    households: Collection[UUID],
    account_id: UUID | None,
    now: datetime,
    camera_id: UUID | None = None,
    state: Literal["live", "ended", "all"] = "all",
    before: UUID | None = None,
    limit: int = 50,
) -> list[ConsentGrant]:
    """Return at most `limit` grants of `households`, or given to `account_id`, newest first."""
    mine: ColumnElement[bool] = ConsentGrant.household_id.in_(households)
    if account_id is not None:
        mine = or_(mine, ConsentGrant.account_id == account_id)
    query = select(ConsentGrant).where(mine).order_by(ConsentGrant.id.desc()).limit(limit)
    if camera_id is not None:
        query = query.where(ConsentGrant.camera_id == camera_id)
    if state != "all":
        query = query.where(_live(now) if state == "live" else ~_live(now))
    if before is not None:
        query = query.where(ConsentGrant.id < before)
    return list(await session.scalars(query))


async def everything(session: AsyncSession, now: datetime, limit: int) -> list[ConsentGrant]:
    """Return at most `limit` live grants of all households, newest first."""
    query = select(ConsentGrant).where(_live(now)).order_by(ConsentGrant.id.desc()).limit(limit)
    return list(await session.scalars(query))


async def count_live(session: AsyncSession, camera_id: UUID, now: datetime) -> int:
    """Return how many grants of this camera are live."""
    query = select(func.count()).select_from(ConsentGrant)
    found = await session.scalar(query.where(ConsentGrant.camera_id == camera_id, _live(now)))
    return found or 0


async def live_alarm_grant(session: AsyncSession, camera_id: UUID, now: datetime) -> UUID | None:
    """Return the standing alarm consent of this camera, if there is one."""
    query = select(ConsentGrant.id).where(
        ConsentGrant.camera_id == camera_id, ConsentGrant.kind == "alarm", _live(now)
    )
    return await session.scalar(query.limit(1))


async def live_of(
    session: AsyncSession,
    now: datetime,
    *,
    household_id: UUID | None = None,
    camera_id: UUID | None = None,
) -> list[ConsentGrant]:
    """Return the live grants of a household or of a camera."""
    query = select(ConsentGrant).where(_live(now)).order_by(ConsentGrant.id)
    if household_id is not None:
        query = query.where(ConsentGrant.household_id == household_id)
    if camera_id is not None:
        query = query.where(ConsentGrant.camera_id == camera_id)
    return list(await session.scalars(query))


async def withdraw(
    session: AsyncSession, grant_ids: Sequence[UUID], at: datetime, by: UUID | None
) -> list[UUID]:
    """Write the end of these grants; return those that had none before."""
    query = (
        update(ConsentGrant)
        .where(ConsentGrant.id.in_(grant_ids), ConsentGrant.withdrawn_at.is_(None))
        .values(withdrawn_at=at, withdrawn_by=by)
        .returning(ConsentGrant.id)
    )
    return sorted(await session.scalars(query))


async def answering(
    session: AsyncSession, grant_ids: Collection[UUID]
) -> list[tuple[UUID, Account]]:
    """Return (grant, account) for everybody who answers an alarm that has opened such a grant."""
    query = (
        select(ConsentGrant.id, Account)
        .join(AlarmOpening, _opens())
        .join(AlarmResponder, AlarmResponder.incident_id == AlarmOpening.incident_id)
        .join(Account, Account.id == AlarmResponder.account_id)
        .where(ConsentGrant.id.in_(grant_ids))
        .order_by(AlarmResponder.since, Account.id)
    )
    return [(grant_id, account) for grant_id, account in (await session.execute(query)).all()]


async def accounts(session: AsyncSession, account_ids: Collection[UUID]) -> dict[UUID, Account]:
    """Return these accounts by id."""
    query = select(Account).where(Account.id.in_(account_ids))
    return {account.id: account for account in await session.scalars(query)}


async def opening(session: AsyncSession, incident_id: UUID) -> AlarmOpening | None:
    """Return what this incident opens, or has opened."""
    return await session.get(AlarmOpening, incident_id)


async def responder(
    session: AsyncSession, incident_id: UUID, account_id: UUID
) -> AlarmResponder | None:
    """Return the note that this account answers the incident."""
    return await session.get(AlarmResponder, (incident_id, account_id))


async def end_opening(session: AsyncSession, incident_id: UUID, at: datetime) -> bool:
    """Write the end of what this incident opens; False when there was nothing to end."""
    ended = await session.execute(
        update(AlarmOpening)
        .where(AlarmOpening.incident_id == incident_id, AlarmOpening.ended_at.is_(None))
        .values(ended_at=at)
        .returning(AlarmOpening.incident_id)
    )
    return ended.first() is not None
