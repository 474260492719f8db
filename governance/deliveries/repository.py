"""Every query of deliveries themselves."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from core.database import Base
from governance.deliveries.models import Delivery
from governance.deliveries.types import REACHED, RINGING, DeliveryState

_TABLE = Base.metadata.tables[Delivery.__tablename__]
_ADD_NEW = {
    name: dialect.insert(_TABLE)
    .on_conflict_do_nothing(index_elements=["key", "attempt"])
    .returning(_TABLE.c.incident_id, _TABLE.c.channel, _TABLE.c.state)
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


async def add_new(
    session: AsyncSession, rows: Sequence[dict[str, Any]]
) -> list[tuple[UUID | None, str, str]]:
    """Insert the rows whose (key, attempt) is not there yet.

    Each row is a dict of all columns that have no default, the same for all of them.

    Returns:
        (incident, channel, state) of those that were not there.
    """
    if not rows:
        return []
    query = _ADD_NEW[session.get_bind().dialect.name]
    # The rows apart from the statement: it is compiled once, and not for every number of rows.
    added = await (await session.connection()).execute(query, list(rows))
    return [(incident_id, channel, state) for incident_id, channel, state in added]


async def cancel_ringing(session: AsyncSession, incident_id: UUID, now: datetime, code: str) -> int:
    """Cancel what still waits to ring; return how many."""
    return await _cancel(
        session, now, code, Delivery.incident_id == incident_id, Delivery.purpose.in_(RINGING)
    )


async def cancel_of_recipient(
    session: AsyncSession, incident_id: UUID, recipient_id: UUID, now: datetime, code: str
) -> int:
    """Cancel what still waits to ring at one recipient; return how many."""
    return await _cancel(
        session,
        now,
        code,
        Delivery.incident_id == incident_id,
        Delivery.recipient_id == recipient_id,
        Delivery.purpose.in_(RINGING),
    )


async def cancel_all_of_recipient(
    session: AsyncSession, recipient_id: UUID, now: datetime, code: str
) -> int:
    """Cancel whatever still waits for one recipient: it has withdrawn or is gone."""
    return await _cancel(session, now, code, Delivery.recipient_id == recipient_id)


async def cancel_attempt(
    session: AsyncSession, key: str, attempt: int, now: datetime, code: str
) -> int:
    """Cancel one attempt, if it still waits; return 1 or 0."""
    return await _cancel(session, now, code, Delivery.key == key, Delivery.attempt == attempt)


async def _cancel(session: AsyncSession, now: datetime, code: str, *where: Any) -> int:
    query = (
        update(Delivery)
        .where(Delivery.state == DeliveryState.WAITING.value, *where)
        .values(state=DeliveryState.CANCELLED.value, finished_at=now, code=code)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return len((await session.scalars(query)).all())


async def count_overdue(session: AsyncSession, before: datetime) -> int:
    """Return how many attempts should have left before `before` and still wait."""
    query = select(func.count()).where(
        Delivery.state == DeliveryState.WAITING.value, Delivery.not_before < before
    )
    return await session.scalar(query) or 0


async def of_incident(
    session: AsyncSession, incident_id: UUID, *, after: UUID | None = None, limit: int = 1000
) -> Sequence[Delivery]:
    """Return the deliveries of an incident in the order they were made."""
    query = select(Delivery).where(Delivery.incident_id == incident_id)
    if after is not None:
        query = query.where(Delivery.id > after)
    return (await session.scalars(query.order_by(Delivery.id).limit(limit))).all()


async def reached(
    session: AsyncSession, incident_id: UUID, purposes: Collection[str]
) -> Sequence[Delivery]:
    """Return the attempts that told, or may have told, somebody about an incident."""
    query = (
        select(Delivery)
        .where(
            Delivery.incident_id == incident_id,
            Delivery.purpose.in_(purposes),
            Delivery.state.in_(REACHED),
        )
        .order_by(Delivery.id)
    )
    return (await session.scalars(query)).all()


async def contacts_of_incident(
    session: AsyncSession, incident_id: UUID
) -> Sequence[tuple[UUID, str, str]]:
    """Return (id, name, locale) of each household contact that was to be told of an incident."""
    query = (
        select(Delivery.recipient_id, Delivery.recipient_name, Delivery.locale)
        .where(
            Delivery.incident_id == incident_id,
            Delivery.recipient_kind == "contact",
            Delivery.state != DeliveryState.WITHHELD.value,
        )
        .distinct()
    )
    return [(id, name, locale) for id, name, locale in await session.execute(query)]


async def locked(session: AsyncSession, delivery_id: UUID) -> Delivery | None:
    """Return one attempt as it is committed now, locked until the transaction ends."""
    query = select(Delivery).where(Delivery.id == delivery_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def by_answer(session: AsyncSession, answer_hash: str) -> Delivery | None:
    """Return the newest attempt whose link has this hash."""
    query = (
        select(Delivery)
        .where(Delivery.answer_hash == answer_hash)
        .order_by(Delivery.attempt.desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def by_provider_key(
    session: AsyncSession, gateway_id: UUID, provider_key: UUID
) -> Delivery | None:
    """Return the newest attempt that a gateway knows by this key."""
    query = (
        select(Delivery)
        .where(Delivery.gateway_id == gateway_id, Delivery.provider_key == provider_key)
        .order_by(Delivery.attempt.desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def count_codes(session: AsyncSession, account_id: UUID, since: datetime) -> int:
    """Return how many codes were queued for an account since then."""
    query = select(func.count()).where(
        Delivery.recipient_id == account_id,
        Delivery.purpose == "code",
        Delivery.attempt == 1,
        Delivery.created_at >= since,
    )
    return await session.scalar(query) or 0


async def answer(
    session: AsyncSession,
    answer_hash: str,
    word: str,
    at: datetime,
    eta_at: datetime | None,
) -> None:
    """Write an answer to every attempt that carries the same link."""
    await session.execute(
        update(Delivery)
        .where(Delivery.answer_hash == answer_hash)
        .values(answer=word, answered_at=at, eta_at=eta_at)
        .execution_options(synchronize_session="fetch")
    )


async def newest(
    session: AsyncSession, *, incident_id: UUID | None, state: str | None, limit: int
) -> list[Delivery]:
    """Return the newest attempts, oldest of them first."""
    query = select(Delivery)
    if incident_id is not None:
        query = query.where(Delivery.incident_id == incident_id)
    if state is not None:
        query = query.where(Delivery.state == state)
    found = await session.scalars(query.order_by(Delivery.id.desc()).limit(limit))
    return list(found.all())[::-1]
