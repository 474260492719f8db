"""Every query of alarm devices, pairing codes, and the alarms of a household."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, and_, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from access.households.models import Household
from access.households.repository import Home
from access.policy.areas import in_areas
from core.database import Base
from governance.alarms.models import AlarmDevice, PairingCode
from governance.incidents.kinds import ALARMS
from governance.incidents.models import Incident, IncidentLog
from governance.signals.models import Signal


class PressRow(NamedTuple):
    """A stored press and the incident it belongs to."""

    signal: Signal
    incident: Incident


class PresserRow(NamedTuple):
    """A household and what presses its alarm; no device: a token that is bound as itself."""

    household: Home
    device_id: UUID | None
    device_name: str | None


_DEVICES = Base.metadata.tables[AlarmDevice.__tablename__]
_HOMES = Base.metadata.tables[Household.__tablename__]
# Made once: every press asks it.
_PRESSERS = (
    select(_HOMES.c.id, _HOMES.c.name, _HOMES.c.area, _DEVICES.c.id, _DEVICES.c.name)
    .select_from(
        _HOMES.outerjoin(
            _DEVICES,
            and_(
                _DEVICES.c.household_id == _HOMES.c.id,
                _DEVICES.c.token_id == bindparam("token_id"),
                _DEVICES.c.removed_at.is_(None),
            ),
        )
    )
    .where(_HOMES.c.id.in_(bindparam("ids", expanding=True)), _HOMES.c.closed_at.is_(None))
    .order_by(_HOMES.c.id)
)


async def add(session: AsyncSession, row: AlarmDevice | PairingCode) -> None:
    """Write a new device or code."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, device_id: UUID) -> AlarmDevice | None:
    """Return a device that is in use."""
    row = await session.get(AlarmDevice, device_id)
    return None if row is None or row.removed_at is not None else row


async def by_ids_locked(
    session: AsyncSession, device_ids: Collection[UUID]
) -> Sequence[AlarmDevice]:
    """Return devices in use as they are committed now, locked in the order of their ids."""
    query = (
        select(AlarmDevice)
        .where(AlarmDevice.id.in_(device_ids), AlarmDevice.removed_at.is_(None))
        .order_by(AlarmDevice.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def by_id_locked(session: AsyncSession, device_id: UUID) -> AlarmDevice | None:
    """Return a device in use as it is committed now, locked until the transaction ends."""
    query = select(AlarmDevice).where(AlarmDevice.id == device_id, AlarmDevice.removed_at.is_(None))
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(locked)).one_or_none()


async def by_token(session: AsyncSession, token_id: UUID) -> AlarmDevice | None:
    """Return the device in use that shows this token."""
    query = select(AlarmDevice).where(
        AlarmDevice.token_id == token_id, AlarmDevice.removed_at.is_(None)
    )
    return (await session.scalars(query)).one_or_none()


async def presser(
    session: AsyncSession, token_id: UUID | None, household_ids: Collection[UUID]
) -> PresserRow | None:
    """Return one of these households that lives there, with its device that shows this token.

    The one with such a device comes first; None: they have all moved out.
    """
    if not household_ids:
        return None
    values = {"token_id": token_id, "ids": [*household_ids]}
    rows = (await (await session.connection()).execute(_PRESSERS, values)).all()
    found = [PresserRow(Home(*row[:3]), *row[3:]) for row in rows]
    return next((row for row in found if row.device_id is not None), found[0] if found else None)


async def by_account_code(session: AsyncSession, code: str) -> AlarmDevice | None:
    """Return the panel in use that answers to this account code (capitals)."""
    query = select(AlarmDevice).where(
        AlarmDevice.account_code == code, AlarmDevice.removed_at.is_(None)
    )
    return (await session.scalars(query)).one_or_none()


async def of_household(session: AsyncSession, household_id: UUID) -> Sequence[AlarmDevice]:
    """Return the devices in use of a household, oldest first."""
    query = (
        select(AlarmDevice)
        .where(AlarmDevice.household_id == household_id, AlarmDevice.removed_at.is_(None))
        .order_by(AlarmDevice.id)
    )
    return (await session.scalars(query)).all()


async def page(
    session: AsyncSession, *, areas: Sequence[str], after: UUID | None, limit: int
) -> Sequence[AlarmDevice]:
    """Return at most `limit` devices in use whose households lie in `areas`, oldest first."""
    query = (
        select(AlarmDevice)
        .join(Household, Household.id == AlarmDevice.household_id)
        .where(AlarmDevice.removed_at.is_(None), in_areas(Household.area, areas))
        .order_by(AlarmDevice.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(AlarmDevice.id > after)
    return (await session.scalars(query)).all()


async def households(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Household]:
    """Return these households by their ids."""
    if not ids:
        return {}
    found = await session.scalars(select(Household).where(Household.id.in_(ids)))
    return {row.id: row for row in found}


async def called(session: AsyncSession, text: str) -> list[UUID]:
    """Return the households with this id or name that live there; at most two of them."""
    query = select(Household.id).where(Household.closed_at.is_(None)).limit(2)
    try:
        query = query.where(Household.id == UUID(text))
    except ValueError:
        query = query.where(Household.name == text)
    return list(await session.scalars(query))


async def watched(session: AsyncSession) -> Sequence[AlarmDevice]:
    """Return the devices in use that promise heartbeats or have told of a low battery."""
    query = select(AlarmDevice).where(
        AlarmDevice.removed_at.is_(None),
        AlarmDevice.heartbeat_s.is_not(None) | AlarmDevice.battery_low_at.is_not(None),
    )
    return (await session.scalars(query.order_by(AlarmDevice.id))).all()


async def set_values(session: AsyncSession, device_id: UUID, **values: object) -> None:
    """Write some columns of a device."""
    await session.execute(update(AlarmDevice).where(AlarmDevice.id == device_id).values(**values))


async def code_by_hash(session: AsyncSession, code_hash: bytes) -> PairingCode | None:
    """Return the code with this hash, whether it still counts or not."""
    query = select(PairingCode).where(PairingCode.code_hash == code_hash)
    return (await session.scalars(query)).one_or_none()


async def use_code(session: AsyncSession, code_hash: bytes, now: datetime, max_tries: int) -> bool:
    """Mark a code as used; False if it was used, has run out of time or of tries."""
    done = await session.execute(
        update(PairingCode)
        .where(
            PairingCode.code_hash == code_hash,
            PairingCode.used_at.is_(None),
            PairingCode.expires_at > now,
            PairingCode.tries < max_tries,
        )
        .values(used_at=now)
    )
    assert isinstance(done, CursorResult)
    return done.rowcount == 1


async def count_try(session: AsyncSession, prefix_hash: bytes) -> None:
    """Count a wrong guess against every code that begins like it."""
    await session.execute(
        update(PairingCode)
        .where(PairingCode.prefix_hash == prefix_hash, PairingCode.used_at.is_(None))
        .values(tries=PairingCode.tries + 1)
    )


async def live_codes(
    session: AsyncSession, household_id: UUID, now: datetime
) -> Sequence[PairingCode]:
    """Return the codes of a household that have not run out, oldest first."""
    query = (
        select(PairingCode)
        .where(
            PairingCode.household_id == household_id,
            PairingCode.used_at.is_(None),
            PairingCode.expires_at > now,
        )
        .order_by(PairingCode.expires_at)
    )
    return (await session.scalars(query)).all()


async def forget_codes(
    session: AsyncSession, *, before: datetime, household_id: UUID | None = None
) -> None:
    """Delete codes that ran out before `before`; with a household, all of it."""
    query = delete(PairingCode)
    if household_id is None:
        query = query.where(PairingCode.expires_at < before)
    else:
        query = query.where(PairingCode.household_id == household_id)
    await session.execute(query)


async def count_in_use(session: AsyncSession, household_id: UUID) -> int:
    """Return how many devices a household has."""
    query = (
        select(func.count())
        .select_from(AlarmDevice)
        .where(AlarmDevice.household_id == household_id, AlarmDevice.removed_at.is_(None))
    )
    return await session.scalar(query) or 0


async def press(
    session: AsyncSession, household_ids: Collection[UUID], press_id: str
) -> PressRow | None:
    """Return the press with this id of one of these households, the latest if there are two."""
    query = (
        select(Signal, Incident)
        .join(Incident, Incident.id == Signal.incident_id)
        .where(
            Incident.household_id.in_(household_ids),
            Incident.kind.in_(ALARMS),
            Signal.event_id == press_id,
        )
        .order_by(Signal.received_at.desc())
        .limit(1)
    )
    found = (await session.execute(query)).one_or_none()
    return None if found is None else PressRow(found[0], found[1])


async def presses(
    session: AsyncSession, household_ids: Collection[UUID], *, since: datetime, limit: int
) -> list[PressRow]:
    """Return the first press of each alarm of these households since then, newest first."""
    other = aliased(Signal)
    first = (
        select(other.id)
        .where(other.incident_id == Incident.id)
        .order_by(other.id)
        .limit(1)
        .correlate(Incident)
        .scalar_subquery()
    )
    query = (
        select(Signal, Incident)
        .join(Incident, Incident.id == Signal.incident_id)
        .where(
            Incident.household_id.in_(household_ids),
            Incident.kind.in_(ALARMS),
            Incident.opened_at >= since,
            Signal.id == first,
        )
        .order_by(Incident.opened_at.desc(), Incident.id.desc())
        .limit(limit)
    )
    return [PressRow(signal, incident) for signal, incident in await session.execute(query)]


async def logs(
    session: AsyncSession, incident_ids: Collection[UUID]
) -> dict[UUID, list[IncidentLog]]:
    """Return the history of these incidents, oldest first."""
    found: dict[UUID, list[IncidentLog]] = {identity: [] for identity in incident_ids}
    query = (
        select(IncidentLog)
        .where(IncidentLog.incident_id.in_(incident_ids))
        .order_by(IncidentLog.id)
    )
    for entry in await session.scalars(query):
        found[entry.incident_id].append(entry)
    return found


async def incidents(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Incident]:
    """Return these incidents by their ids."""
    if not ids:
        return {}
    found = await session.scalars(select(Incident).where(Incident.id.in_(ids)))
    return {row.id: row for row in found}
